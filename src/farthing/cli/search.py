"""What ``train`` and ``infer`` share: they search what is not given of a plan, and show what was found."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, get_args

import click

from farthing.cli.options import Count, Duration, F, Number, Several, Word, given, joined, option
from farthing.errors import Infeasible, InvalidInput
from farthing.records.search import InferenceObjective, Limits, Task, TrainingObjective

if TYPE_CHECKING:
    from farthing.records.hardware import Cluster
    from farthing.records.model import Model
    from farthing.records.search import SearchResult

_SECTION: Final = "Search"

_LIMITS: Final = frozenset(field.name for field in dataclasses.fields(Limits))


def search_options(task: Task) -> Callable[[F], F]:
    """Objective, limits, and how much is shown."""
    training = task == "training"
    words = get_args(TrainingObjective if training else InferenceObjective)
    limits: list[tuple[str, str, Any, str]] = [
        (
            "headroom_share",
            "--headroom",
            Number(0, 0.99),
            f"Share of each card's memory to stay free.  [default: {'0.05' if training else '0'}]",
        ),
        (
            "usd_per_million_tokens",
            "--usd-per-million",
            Number(0, 1e9, positive=True),
            "Most for a million tokens [USD].",
        ),
    ]
    if training:
        limits += [
            ("run_s", "--within", Duration(), "Longest run, e.g. 30d; with --tokens."),
            ("run_usd", "--max-usd", Number(0, 1e12, positive=True), "Dearest run [USD]; with --tokens."),
        ]
    else:
        limits += [
            ("ttft_s", "--ttft", Duration(), "Longest time to the first token, e.g. 2s."),
            ("tpot_s", "--tpot", Duration(), "Longest time between two tokens, e.g. 50ms."),
            ("max_batch_size", "--max-batch", Count(), "Largest batch."),
        ]
    return joined(
        option(
            _SECTION,
            "objective",
            "--objective",
            type=Word(words),
            help=f"What is best.  [default: {words[0]}]",
        ),
        *(option(_SECTION, field, name, type=kind, help=text) for field, name, kind, text in limits),
        option(
            _SECTION,
            "front",
            "--front",
            type=Several(Word(words)),
            metavar="OBJECTIVE,OBJECTIVE[,OBJECTIVE]",
            help="Also the plans that none beats in all of these.",
        ),
        option(
            _SECTION,
            "top",
            "--top",
            type=Count(1, 100),
            help="Plans that are compared, each of another kind.  [default: 5]",
        ),
        option(
            _SECTION,
            "search",
            "--search/--no-search",
            default=True,
            help="Search what is left out, or take its default.  [default: search]",
        ),
    )


def answer(
    task: Task, model: Model, cluster: Cluster, options: dict[str, Any], *, explain: bool
) -> tuple[Any, SearchResult | None]:
    """The estimate of the best plan or the nearest miss, and what else a search found; None without one."""
    from farthing.cli.progress import processors, progress
    from farthing.planning import plan

    asked = given(options)
    if not asked["search"]:
        _refuse_choices(asked)
    with progress("searching") as told:
        return plan(model, cluster, task=task, explain=explain, progress=told, workers=processors(), **asked)


def priced(options: dict[str, Any]) -> dict[str, Any]:
    """How money is counted, and whether on paper, for another question about the same plan."""
    from farthing.planning import priced

    return priced(given(options))


def _refuse_choices(asked: dict[str, Any]) -> None:
    """One plan has no objective, and one value a field."""
    for name in ("objective", "front", "top", *sorted(_LIMITS)):
        if name in asked:
            raise InvalidInput(f"--no-search evaluates one plan: leave out {_spelled(name)}")
    for name, value in asked.items():
        if isinstance(value, tuple) and name != "stage_layers":
            raise InvalidInput(f"--no-search evaluates one plan: give one value of {_spelled(name)}")


def _spelled(name: str) -> str:
    """The option of a field, as it is typed."""
    context = click.get_current_context(silent=True)
    options = context.command.params if context else ()
    return next((option.opts[0] for option in options if option.name == name), name.replace("_", " "))


def show_verdict(found: SearchResult | None, fits: bool) -> None:
    """Write above the report of the nearest miss that it is one; a plan without room says so itself."""
    if found is None or found.best or not fits or not found.miss:
        return
    from rich.text import Text

    from farthing.cli.output import show

    show(Text(f"No plan keeps the limits; the nearest {found.miss.breaks}:", style="bold red"))


def show_search(found: SearchResult | None) -> None:
    """Write what the search found beside the best plan."""
    if found is None:
        return
    from rich.console import Group
    from rich.text import Text

    from farthing.cli.output import show
    from farthing.report.search import search_report

    show(Group(Text(), search_report(found)))


def refuse_misfit(estimate: Any, found: SearchResult | None) -> None:
    """End with exit code 3 where nothing fits."""
    if found is not None and not found.best and estimate.fits:
        what = f"no plan of {found.model} on {found.cluster} keeps the limits"
        if found.miss:
            what += f": the nearest {found.miss.breaks}"
            if found.miss.would_help:
                what += f"; would help: {', or '.join(found.miss.would_help)}"
        raise Infeasible(what)
    if not estimate.fits:
        raise Infeasible(f"{estimate.model} on {estimate.cluster} does not fit: {estimate.misfit}")
