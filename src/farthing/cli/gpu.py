"""``farthing gpu``: accelerators, their facts and prices."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click

from farthing.cli.options import (
    Command,
    Count,
    Word,
    complete_accelerator,
    complete_format,
    complete_model,
    given,
    option,
    output_options,
)
from farthing.cli.plots import check_plots, plot_options, show_charts
from farthing.errors import InvalidInput
from farthing.records.hardware import AcceleratorKind

if TYPE_CHECKING:
    from farthing.records.card_comparison import CardPlan
    from farthing.records.hardware import Accelerator

_SORT: Final = {
    "id": "id",
    "vendor": "vendor",
    "year": "year",
    "memory": "memory_gib",
    "bandwidth": "memory_gb_per_s",
    "compute": "training_tflop_per_s",
    "power": "tdp_w",
}
"""What lists are sorted by, and the column of it."""


@click.group("gpu")
def gpu() -> None:
    """Accelerators: list them, show one, compare some."""


@gpu.command("list", cls=Command, short_help="One line for each accelerator.")
@option("Filter", "--vendor", metavar="VENDOR", help="Only of this vendor, e.g. nvidia.")
@option("Filter", "--architecture", metavar="NAME", help="Only of this architecture, e.g. hopper.")
@option("Filter", "--kind", type=Word(get_args(AcceleratorKind)), help="Only of this kind.")
@option("Filter", "--search", metavar="TEXT", help="Only those with this text in id, name or notes.")
@option("Filter", "--sort", type=Word(_SORT), help="Largest or newest first.  [default: catalogue order]")
@output_options
def list_accelerators(
    vendor: str | None,
    architecture: str | None,
    kind: str | None,
    search: str | None,
    sort: str | None,
    as_json: bool,
) -> None:
    """One line for each accelerator of the catalogue.

    \b
    Examples:
      farthing gpu list
      farthing gpu list --vendor nvidia --architecture hopper --sort memory
      farthing gpu list --search 4090 --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json

    cards: list[Accelerator] = list(api.accelerators().values())
    cards = _only(cards, "vendor", vendor)
    cards = _only(cards, "architecture", architecture)
    if kind:
        cards = [card for card in cards if card.kind == kind]
    kept = {card.id for card in cards}
    found = api.catalog_records("accelerators", search=search or "", sort=_SORT[sort] if sort else "")
    cards = [card for card in found if card.id in kept]
    if as_json:
        show_json(cards)
    else:
        from farthing.report.accelerators import accelerator_list

        show(accelerator_list(cards))


def _only(cards: list[Accelerator], field: str, value: str | None) -> list[Accelerator]:
    if value is None:
        return cards
    found = [card for card in cards if getattr(card, field).lower() == value.strip().lower()]
    if not found:
        known = sorted({getattr(card, field) for card in cards})
        raise InvalidInput(f"no accelerator has {field} {value!r}; {_nearest(value, known)}")
    return found


def _nearest(value: str, known: Iterable[str]) -> str:
    lower = {name.lower(): name for name in known}
    near = get_close_matches(value.lower(), lower, n=3, cutoff=0.5)
    if near:
        return f"did you mean {', '.join(lower[name] for name in near)}?"
    return f"there are {', '.join(lower.values())}"


@gpu.command("show", cls=Command, short_help="All facts and prices of one accelerator.")
@click.argument("name", metavar="ID", shell_complete=complete_accelerator)
@output_options
def show_accelerator(name: str, as_json: bool) -> None:
    """All facts and prices of the accelerator ID, with their sources.

    \b
    Examples:
      farthing gpu show rtx-4090
      farthing gpu show h100-sxm --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json

    card = api.accelerator(name)
    prices = api.prices(card.id)
    if as_json:
        from farthing.report.prices import price_object

        show_json({"accelerator": card, "prices": [price_object(price) for price in prices]})
    else:
        from farthing.report.accelerators import accelerator_report

        show(accelerator_report(card, prices))


@gpu.command("compare", cls=Command, short_help="Accelerators side by side.")
@click.argument("names", nargs=-1, required=True, metavar="ID...", shell_complete=complete_accelerator)
@option(
    "Model",
    "--model",
    metavar="MODEL",
    shell_complete=complete_model,
    help="What one card of each does with this model.",
)
@option(
    "Model", "changes", "--set", multiple=True, metavar="FIELD=VALUE", help="Change a field of its shape."
)
@option(
    "Model",
    "--weights",
    "--weight-format",
    "weights",
    metavar="FORMAT",
    shell_complete=complete_format,
    help="Number format of the weights.  [default: bf16]",
)
@option(
    "Model",
    "context",
    "--context",
    "--context-tokens",
    type=Count(),
    help="Tokens of context.  [default: 1152]",
)
@option("Model", "--lora-rank", type=Count(), help="Compare the training of adapters of this rank too.")
@plot_options
@output_options
def compare_accelerators(
    names: tuple[str, ...],
    model: str | None,
    changes: tuple[str, ...],
    weights: str | None,
    context: int | None,
    lora_rank: int | None,
    chart: bool,
    plots: tuple[Path, ...],
    as_json: bool,
) -> None:
    """The accelerators ID side by side; with a model, what each does.

    Of each, one card with a single sequence, and the best plans found for serving and for training on the
    fewest cards of one host that hold the model (1, 2, 4 or 8). Throughput is of one card of these, and for
    its price: 1,000 USD of purchase, and a dollar of rent. The charts hold it against the first card's.

    \b
    Examples:
      farthing gpu compare rtx-4090 rtx-3090 h100-sxm
      farthing gpu compare rtx-4090 h100-sxm mi300x --model llama-3.1-8b
      farthing gpu compare rtx-4090 h100-sxm --model llama-3.1-8b --lora-rank 16 --chart --plot cards.svg
      farthing gpu compare rtx-4090 m2-ultra --model llama-2-70b --weights q4_k_m --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.cli.progress import progress
    from farthing.report.accelerators import Candidate, candidate_object, comparison
    from farthing.report.card_comparison import card_charts, card_table

    about_model = weights or context or changes or lora_rank or chart or plots
    if model is None and about_model:
        raise InvalidInput(
            "--weights, --context, --set, --lora-rank, --chart and --plot are about a model; add --model"
        )
    check_plots(chart, plots, as_json)
    options = given({"weight_format": weights, "context_tokens": context})
    shape = api.find_model(model, **api.parsed_changes(changes)) if model else None
    plans: tuple[CardPlan, ...] = ()
    if shape:
        with progress("comparing") as told:
            plans = api.compare_cards(shape, names, lora_rank=lora_rank or 0, told=told, **options)
    candidates = []
    for name in dict.fromkeys(names):
        card = api.accelerator(name)
        estimate = api.infer(shape, api.find_cluster(card.id), **options) if shape else None
        candidates.append(
            Candidate(
                accelerator=card,
                purchase=api.purchase_price(card.id),
                rental=api.rental_price(card.id),
                estimate=estimate,
                plans=tuple(plan for plan in plans if plan.accelerator == card.id),
            )
        )
    if as_json:
        show_json([candidate_object(candidate) for candidate in candidates])
    else:
        show(comparison(candidates))
        if plans:
            show(card_table(plans))
    if shape:
        show_charts(card_charts(plans, shape.id), chart, plots, as_json)
