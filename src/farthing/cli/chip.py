"""``farthing chip``: what an accelerator costs to make."""

from __future__ import annotations

from typing import Any, Final, get_args

import click
from click.shell_completion import CompletionItem

from farthing.cli.options import LAST, Command, Number, Word, given, option, output_options
from farthing.errors import InvalidInput
from farthing.records.chip import YieldModel

_DIES: Final = "Dies"
_PARTS: Final = "Other parts"
_USD: Final = Number(0, 1e7)


def _complete_chip(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from farthing import api

    return [CompletionItem(id) for id in api.chips() if id.startswith(incomplete.lower())]


@click.command(cls=Command, short_help="What an accelerator costs to make.")
@click.argument("names", nargs=-1, metavar="[ID]...", shell_complete=_complete_chip)
@option(
    _DIES,
    "--yield-model",
    type=Word(get_args(YieldModel)),
    help="How defects spread over dies.  [default: murphy]",
)
@option(
    _DIES,
    "defects_per_cm2",
    "--defects",
    "--defects-per-cm2",
    type=Number(0, 10),
    help="Fatal defects of the compute dies' process [1/cm²].  [default: the catalogue's]",
)
@option(
    _DIES,
    "--wafer-usd",
    type=Number(0, 1e7, positive=True),
    help="Price of a processed wafer of compute dies [USD].  [default: the catalogue's]",
)
@option(
    _DIES,
    "--harvest/--no-harvest",
    default=None,
    help="Count dies as good whose defects lie in units that are switched off.  [default: yes]",
)
@option(
    _DIES,
    "--unit-area-share",
    type=Number(0, 1),
    help="Share of a compute die that those units fill.  [default: 0.5]",
)
@option(
    _DIES,
    "--clustering",
    type=Number(0.001, 1e9),
    help="Of the negative-binomial model: small where defects cluster.  [default: 3]",
)
@option(
    _PARTS,
    "--memory-usd-per-gb",
    type=_USD,
    help="Price of the memory [USD/GB].  [default: the catalogue's, by kind]",
)
@option(
    _PARTS,
    "--package-usd",
    type=_USD,
    help="Substrate or interposer, package and cooler [USD].  [default: the catalogue's, by kind]",
)
@option(
    _PARTS, "--board-usd", type=_USD, help="Board and its parts [USD].  [default: the catalogue's, by kind]"
)
@option(LAST, "--article", is_flag=True, help="The article's bills, with its own assumptions.")
@option(LAST, "--explain", is_flag=True, help="Derive the cost of one chip as on paper.")
@output_options
def chip(names: tuple[str, ...], article: bool, explain: bool, as_json: bool, **options: Any) -> None:
    """What the accelerators ID cost to make: dies, memory, package and board.

    Dies of a wafer and their yield follow from area and defects; prices of wafers, memory and packages are
    published estimates, each with its source and, where sources differ, a range. Without an ID all chips of
    known silicon, a line each.

    \b
    Examples:
      farthing chip
      farthing chip h100-sxm rtx-4090 mi300x
      farthing chip h100-sxm --explain
      farthing chip --article
      farthing chip b200-sxm --yield-model negative-binomial --defects 0.07 --memory-usd-per-gb 20 --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json

    changes = given(options)
    if "clustering" in changes and changes.get("yield_model") != "negative-binomial":
        raise InvalidInput("--clustering is about one model; add --yield-model negative-binomial")
    if article and changes:
        raise InvalidInput("--article brings its own assumptions; leave out the options about dies and parts")
    chosen = [name.strip().lower() for name in names] or list(_all(article))
    if explain and len(names) != 1:
        raise InvalidInput("--explain derives one chip; name one, e.g. farthing chip h100-sxm --explain")
    costs = [
        api.chip_cost(name, article=article, explain=explain, **changes) for name in dict.fromkeys(chosen)
    ]
    if as_json:
        show_json(costs)
        return
    from farthing.report.chip import chip_comparison, chip_list, chip_report

    if explain:
        show(chip_report(costs[0], citation=api.citation))
    else:
        show(chip_comparison(costs) if names or article else chip_list(costs))


def _all(article: bool) -> Any:
    from farthing import catalog

    return catalog.chip_bills() if article else catalog.chips()
