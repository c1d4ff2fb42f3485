"""``farthing design``: the cheapest complete build, to buy or to rent, that does a job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, get_args

import click

from farthing.cli.options import (
    LAST,
    Command,
    Count,
    Duration,
    Name,
    Number,
    Several,
    Tokens,
    Word,
    complete_accelerator,
    complete_engine,
    complete_format,
    field_option,
    given,
    joined,
    model_options,
    option,
    output_options,
)
from farthing.cli.plots import check_plots, plot_options, show_charts
from farthing.errors import Infeasible, InvalidInput
from farthing.records.design import Condition, Demand, DesignLimits, DesignObjective, Ownership, Site
from farthing.records.workload import InferenceWorkload
from farthing.units import HOUR

_JOB: Final = "Job"
_LIMITS: Final = "Limits"
_PARTS: Final = "What may be used"
_MONEY: Final = "Owning and renting"
_SHOW: Final = "Search"
_TRAINING: Final = {
    "training_tokens": "--tokens",
    "sequence_tokens": "--sequence",
    "global_batch_size": "--batch",
    "run_s": "--within",
    "run_usd": "--max-run-usd",
}
_SERVING: Final = {
    "tokens_per_s": "--tokens-per-s",
    "trough_share": "--trough",
    "prompt_tokens": "--prompt",
    "output_tokens": "--output",
    "prefix_share": "--prefix-share",
    "ttft_s": "--ttft",
    "tpot_s": "--tpot",
    "kv_format": "--kv",
    "front": "--front",
}
"""Options of one task alone, by the field that they fill."""

_USD: Final = Number(0, 1e12, positive=True)


def job_options(function: Any) -> Any:
    """What is served, or trained."""
    load = InferenceWorkload
    return joined(
        option(
            _JOB,
            "task",
            "--for",
            type=Word(("inference", "training")),
            default="inference",
            help="What the hardware is for.  [default: inference]",
        ),
        field_option(
            _JOB,
            Demand,
            "tokens_per_s",
            "--tokens-per-s",
            type=Number(0, 1e12, positive=True),
            text="Output tokens a second at the busiest hour.",
        ),
        field_option(
            _JOB,
            Demand,
            "trough_share",
            "--trough",
            type=Number(0, 1),
            text="Demand of the quietest hour over that of the busiest; a sine in between.",
        ),
        field_option(
            _JOB, load, "prompt_tokens", "--prompt", type=Count(), text="Tokens of one request's prompt."
        ),
        field_option(
            _JOB, load, "output_tokens", "--output", type=Count(0), text="Tokens of one request's answer."
        ),
        field_option(
            _JOB,
            load,
            "prefix_share",
            "--prefix-share",
            type=Number(0, 1),
            text="Share of it cached already.",
        ),
        option(
            _JOB,
            "training_tokens",
            "--tokens",
            type=Tokens(),
            help="Tokens to train on, e.g. 100B; with --for training.",
        ),
        option(_JOB, "sequence_tokens", "--sequence", type=Count(), help="Tokens of a training sequence."),
        option(_JOB, "global_batch_size", "--batch", type=Count(), help="Sequences of a training step."),
    )(function)


def limit_options(function: Any) -> Any:
    """What every build must keep."""
    return joined(
        option(
            _LIMITS, "ttft_s", "--ttft", type=Duration(), help="Longest time to the first token, e.g. 2s."
        ),
        option(
            _LIMITS, "tpot_s", "--tpot", type=Duration(), help="Longest time between two tokens, e.g. 50ms."
        ),
        option(_LIMITS, "run_s", "--within", type=Duration(), help="Longest training run, e.g. 30d."),
        option(_LIMITS, "run_usd", "--max-run-usd", type=_USD, help="Dearest training run [USD]."),
        option(_LIMITS, "capital_usd", "--max-usd", type=_USD, help="Most money to buy it all [USD]."),
        option(
            _LIMITS, "max_usd_per_hour", "--max-usd-per-hour", type=_USD, help="Most money an hour [USD/h]."
        ),
        option(
            _LIMITS,
            "usd_per_million_tokens",
            "--usd-per-million",
            type=_USD,
            help="Most for a million tokens [USD].",
        ),
        option(_LIMITS, "power_w", "--max-watts", type=_USD, help="Most power at the meter [W]."),
        field_option(
            _LIMITS, DesignLimits, "most_hosts", "--max-hosts", type=Count(1, 4096), text="Most hosts."
        ),
        option(_LIMITS, "most_accelerators", "--max-accelerators", type=Count(), help="Most accelerators."),
    )(function)


def part_options(function: Any) -> Any:
    """What may be used, and at which prices."""
    return joined(
        option(_PARTS, "own", "--buy", is_flag=True, help="Only what is bought."),
        option(_PARTS, "rent", "--rent", is_flag=True, help="Only what is rented."),
        option(_PARTS, "either", "--either", is_flag=True, help="Whichever is better.  [default]"),
        option(
            _PARTS,
            "accelerators",
            "--accelerators",
            type=Several(Name()),
            metavar="ID[,ID...]",
            shell_complete=complete_accelerator,
            help="Only these: ids, vendors or architectures.",
        ),
        option(
            _PARTS,
            "measured",
            "--measured",
            is_flag=True,
            help="Only accelerators of generations whose kernels were measured.",
        ),
        option(
            _PARTS,
            "condition",
            "--condition",
            type=Word(get_args(Condition)),
            help="New or used accelerators.  [default: any]",
        ),
        option(
            _PARTS,
            "weight_format",
            "--weights",
            metavar="FORMAT[,FORMAT...]",
            type=Several(Name()),
            shell_complete=complete_format,
            help="Number formats of the weights to choose from.  [default: the model's]",
        ),
        option(
            _PARTS,
            "kv_format",
            "--kv",
            metavar="FORMAT[,FORMAT...]",
            type=Several(Name()),
            shell_complete=complete_format,
            help="Number formats of the KV cache to choose from.  [default: fp16]",
        ),
        option(
            _PARTS,
            "engine",
            "--engine",
            metavar="ENGINE[,ENGINE...]",
            type=Several(Name()),
            shell_complete=complete_engine,
            help="Engines to choose from.  [default: the usual one for each accelerator]",
        ),
        option(
            _PARTS,
            "usd",
            "--price",
            multiple=True,
            metavar="ITEM=USD",
            help="Your price of an accelerator, part or whole host (0: you have it). Repeatable.",
        ),
        option(
            _PARTS,
            "usd_per_hour",
            "--rent-price",
            multiple=True,
            metavar="ID=USD",
            help="Your rent of an accelerator an hour. Repeatable.",
        ),
        option(
            _PARTS,
            "prices",
            "--prices",
            type=click.Path(path_type=Path),
            metavar="FILE",
            help="A file of prices that come first, as farthing prices use takes it.",
        ),
    )(function)


def money_options(function: Any) -> Any:
    """What owning and renting mean."""
    return joined(
        option(
            _MONEY,
            "country",
            "--country",
            metavar="COUNTRY",
            help="Its price of electricity and household circuits, e.g. de.",
        ),
        field_option(
            _MONEY,
            Ownership,
            "site",
            "--site",
            type=Word(get_args(Site)),
            text="Where it stands; a data centre has rents, overheads and licences.",
        ),
        *(
            field_option(_MONEY, Ownership, field, name, type=kind, text=text)
            for field, name, kind, text in (
                ("years", "--years", Number(0, 100, positive=True), "Until it is sold or written off."),
                ("annual_interest", "--interest", Number(0, 10), "Of the money a year, 0.08 for 8%."),
                ("usd_per_kwh", "--usd-per-kwh", Number(0, 1e6), "Price of electricity [USD/kWh]."),
                (
                    "pue",
                    "--pue",
                    Number(1, 10),
                    "Power of the building over that of the machines, losses of supplies counted; in a data "
                    "centre its average.",
                ),
            )
        ),
        option(
            _MONEY,
            "residual_share",
            "--resale",
            metavar="SHARE|market",
            help="Share of the price that a sale brings then, or what used accelerators have fetched.  "
            "[default: 0]",
        ),
        option(
            _MONEY,
            "usd_per_kw_month",
            "--usd-per-kw-month",
            type=Number(0, 1e6),
            help="Rent of the space by power [USD/kW/month].  [default: 0; the usual one in a data centre]",
        ),
        option(
            _MONEY,
            "elastic",
            "--elastic",
            is_flag=True,
            default=None,
            help="Give rented machines back in quiet hours.",
        ),
    )(function)


@click.command(cls=Command, short_help="The cheapest complete build, or rental, that does a job.")
@model_options
@job_options
@limit_options
@part_options
@money_options
@option(
    _SHOW,
    "objective",
    "--objective",
    type=Word(get_args(DesignObjective)),
    help="What is best.  [default: usd, the cheapest tokens]",
)
@option(
    _SHOW,
    "front",
    "--front",
    type=Several(Word(get_args(DesignObjective))),
    metavar="OBJECTIVE,OBJECTIVE[,OBJECTIVE]",
    help="Also the builds that none beats in all of these; of builds that serve.",
)
@option(_SHOW, "top", "--top", type=Count(1, 100), help="Builds that are compared.  [default: 10]")
@option(
    _SHOW,
    "told",
    "--show",
    type=Count(1, 100),
    default=1,
    help="Which of them is told in full.  [default: 1]",
)
@option(LAST, "--ideal", is_flag=True, help="Paper arithmetic: every efficiency is 1.")
@plot_options
@output_options
def design(
    model: str,
    changes: Sequence[str],
    told: int,
    chart: bool,
    plots: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """The cheapest complete build, bought or rented, that does a job with MODEL.

    Every accelerator with a price is tried in every host that takes it, with every network, split, batch and
    number of hosts, down to switches, cables and power supplies. Times are those with other users' prompts
    read in between. Each price has its date and source; those older than six months are marked.

    \b
    Examples:
      farthing design llama-3.1-8b --tokens-per-s 500 --tpot 50ms --accelerators rtx-3090,rtx-4090,l4
      farthing design llama-3.3-70b --tokens-per-s 300 --tpot 80ms --buy --accelerators ampere --country de
      farthing design llama-3.1-8b --objective tokens-per-s --max-usd 5000 --buy --weights bf16,fp8
      farthing design qwen3-32b --tokens-per-s 1000 --rent --trough 0.2 --elastic --json
      farthing design llama-3.1-8b --for training --tokens 10B --within 30d --accelerators rtx-3090,h100-sxm
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.cli.progress import processors, progress

    check_plots(chart, plots, as_json)
    asked = _question(options)
    if (chart or plots) and "front" not in asked and asked["task"] == "inference":
        asked["front"] = ("usd", "tpot")
    shape = api.find_model(model, **api.parsed_changes(changes))
    with progress("searching builds"):
        found = api.design(shape, workers=processors(), **asked)
    if as_json:
        show_json(found)
    else:
        from farthing.report.design import design_report

        if found.best and told > len(found.best):
            raise InvalidInput(f"--show {told}: there are {len(found.best)} builds; raise --top for more")
        show(design_report(found, shape.name, told))
    if not found.best:
        raise Infeasible(f"no build keeps the limits: {found.miss}")
    if chart or plots:
        from farthing.report.design_charts import design_charts

        show_charts(design_charts(found), chart, plots, as_json)


def _question(options: dict[str, Any]) -> dict[str, Any]:
    """The options as the arguments of `farthing.api.design`."""
    asked = given(options)
    ways = [way for way in ("own", "rent", "either") if asked.pop(way)]
    if len(ways) > 1:
        raise InvalidInput("give one of --buy, --rent and --either")
    asked["ways"] = ways[0] if ways else "either"
    _refuse_other_task(asked)
    for name, wanted in (("usd", "--price"), ("usd_per_hour", "--rent-price")):
        asked[name] = _prices(asked.pop(name, ()), wanted)
    if "max_usd_per_hour" in asked:
        asked["usd_per_s"] = asked.pop("max_usd_per_hour") / HOUR
    if "residual_share" in asked:
        asked["residual_share"] = _resale(asked["residual_share"])
    return asked


def _refuse_other_task(asked: dict[str, Any]) -> None:
    """Options that belong to the other of serving and training."""
    training = asked["task"] == "training"
    for field, name in (_SERVING if training else _TRAINING).items():
        if field in asked:
            other = "is for serving: leave out --for training" if training else "needs --for training"
            raise InvalidInput(f"{name} {other}")


def _resale(text: str) -> Any:
    """A share, or the word ``market``."""
    if text.strip().lower() == "market":
        return "market"
    try:
        return float(text)
    except ValueError:
        raise InvalidInput(f"--resale {text!r} is neither a share such as 0.3 nor the word market") from None


def _prices(given_prices: Sequence[str], name: str) -> dict[str, float]:
    """``ITEM=USD`` by item."""
    found: dict[str, float] = {}
    for text in given_prices:
        item, sign, usd = text.partition("=")
        try:
            value = float(usd.replace(",", "").replace("$", ""))
        except ValueError:
            value = float("nan")
        if value >= 1e12:
            raise InvalidInput(f"{name} {text!r}: a price is below 1e12 USD")
        if not sign or not item.strip() or not value >= 0:
            raise InvalidInput(f"{name} {text!r} is not ITEM=USD; write e.g. {name} rtx-4090=1500")
        found[item.strip().lower()] = value
    return found
