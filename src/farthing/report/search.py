"""The report of a search: the best plan, those of other kinds, why it wins, and what was taken out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.estimate import DisaggregatedEstimate, TrainingEstimate
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.search import Choice, SearchResult
from farthing.report import layout
from farthing.report.estimate import split
from farthing.units import MILLISECOND, format_bytes, format_quantity, format_seconds, format_usd

GOALS: Final = {
    "step": "the shortest step",
    "usd": "the cheapest tokens",
    "energy": "the least energy",
    "memory": "the least memory",
    "tokens-per-s": "the most tokens a second",
    "ttft": "the earliest first token",
    "tpot": "the shortest time a token",
}

USUAL_ORDER: Final = TrainingPlan().rank_order

TIMES: Final = {"ttft": "to the first token", "tpot": "for a token", "memory": "for a token"}
"""What the parts of a serving plan's time add up to; else the cluster's time for each token put out."""


def _usd(value: float) -> str:
    return format_usd(value).removeprefix("$")


def _whole(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.3g}"


def _size_of(value: float) -> str:
    return format_bytes(value, binary=True)


_COLUMNS: Final[dict[str, tuple[tuple[str, str, Callable[[float], str], str], ...]]] = {
    "inference": (
        ("tokens/s", "paid_tokens_per_s", _whole, ""),
        ("first", "ttft_s", format_seconds, ""),
        ("a token", "tpot_s", format_seconds, ""),
        ("USD/M", "usd_per_million_tokens", _usd, ""),
        ("J/token", "energy_per_token_j", lambda value: f"{value:,.3g}", ""),
        ("memory", "memory_bytes", _size_of, "memory"),
    ),
    "training": (
        ("step", "step_s", format_seconds, ""),
        ("tokens/s", "tokens_per_s", _whole, ""),
        ("MFU", "mfu", lambda value: f"{value:.1%}", ""),
        ("USD/M", "usd_per_million_tokens", _usd, ""),
        ("energy", "energy_j", lambda value: format_quantity(value, "J"), "energy"),
        ("memory", "memory_bytes", _size_of, ""),
    ),
}
"""Header, figure, its form, and the objective that it is shown for, by task; ``USD/M`` is for a million
tokens."""


def _size(words: str, value: int, default: int) -> str:
    return f"{words} {value:,}" if value != default else ""


def _training_words(plan: TrainingPlan) -> Iterator[str]:
    yield split(plan)
    yield _size("expert tp", plan.expert_tp or plan.tp, plan.tp)
    yield f"micro-batch {plan.micro_batch_size}"
    if plan.pp > 1:
        yield plan.schedule if plan.schedule in ("gpipe", "zero-bubble") else ""
        yield _size("interleave", plan.interleave, 1)
        yield _size("first stage spared", plan.first_spared, 0)
        yield _size("last stage spared", plan.last_spared, 0)
        yield f"ranks {plan.rank_order}" if plan.rank_order != USUAL_ORDER and plan.dp > 1 else ""
    yield "no sequence parallelism" if plan.tp > 1 and not plan.sequence_parallel else ""
    yield f"ZeRO {plan.zero_stage}" if plan.dp * plan.cp > 1 and plan.zero_stage else ""
    yield f"recompute {plan.recompute}{_how_much(plan)}" if plan.recompute != "none" else ""
    yield f"offload {plan.offload}" if plan.offload != "none" else ""


def _how_much(plan: TrainingPlan) -> str:
    """Which layers full recomputation is for."""
    if plan.recompute != "full":
        return ""
    groups = f" in groups of {plan.recompute_layers}" if plan.recompute_layers > 1 else ""
    return (f" for {100 * plan.recompute_share:.3g}%" if plan.recompute_share < 1 else "") + groups


def _inference_words(plan: InferencePlan) -> Iterator[str]:
    yield split(plan)
    if len(set(plan.stage_layers)) > 1:
        yield f"layers {'+'.join(map(str, plan.stage_layers))}"
    yield _size("micro-batches", plan.micro_batches, 0)
    yield _size("chunk", plan.chunk_tokens, 0)


def _named_words(plans: Sequence[object]) -> tuple[str, ...]:
    """Formats and engines in which plans differ."""
    names = ("weight_format", "kv_format", "engine")
    return tuple(name for name in names if len({getattr(plan, name, "") for plan in plans}) > 1)


def plan_words(choice: Choice, named: Sequence[str] = ()) -> str:
    """A plan in few words; ``named`` formats and engines are told.

    Examples
    --------
    >>> from farthing import api
    >>> found = api.infer("llama-2-70b", "1x8:h100-sxm", tp=4, dp=2, batch_size=32)
    >>> plan_words(Choice(inference=found, figures={}), ["weight_format"])
    'tp 4, dp 2, batch 32, bf16'
    """
    found = choice.estimate
    if isinstance(found, TrainingEstimate):
        words = [word for word in _training_words(found.plan) if word]
    else:
        words = [word for word in _inference_words(found.plan) if word]
        words.insert(1, f"batch {found.workload.batch_size:,}")
    return ", ".join([*words, *(getattr(found.plan, name) for name in named)])


def _sides(found: DisaggregatedEstimate, named: Sequence[str]) -> str:
    """A plan of two kinds of workers in few words."""
    plan = found.plan
    sides = f"prompts on {split(plan.prefill)}; answers on {split(plan.decode)}"
    told = (getattr(plan.decode, name) for name in named)
    users = found.workload.batch_size
    return ", ".join([f"{sides}; {users:,} user{'' if users == 1 else 's'}", *told])


def _figures(found: DisaggregatedEstimate) -> dict[str, float]:
    """Those that mean the same as of a plan whose workers do both."""
    figures = {
        "paid_tokens_per_s": found.served_tokens_per_s,
        "ttft_s": found.ttft_s,
        "tpot_s": found.tpot_s,
    }
    if found.costs:
        figures["usd_per_million_tokens"] = min(cost.usd_per_million_tokens for cost in found.costs)
    return figures


_Row = tuple[str, str, dict[str, float]]
"""Label, plan and figures."""


def _rows(choices: Sequence[Choice], labels: Iterable[object], named: Sequence[str]) -> list[_Row]:
    return [
        (str(label), plan_words(choice, named), choice.figures)
        for choice, label in zip(choices, labels, strict=False)
    ]


def _cells(
    task: str, rows: Sequence[_Row], wanted: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: plans and their figures, the usual ones and those that objectives want."""
    columns = [
        (header, name, shown)
        for header, name, shown, objective in _COLUMNS[task]
        if any(name in figures for _, _, figures in rows) and (not objective or objective in wanted)
    ]
    cells = [
        (label, plan, *(shown(figures[name]) if name in figures else "" for _, name, shown in columns))
        for label, plan, figures in rows
    ]
    return ("", "plan", *(header for header, _, _ in columns)), cells


def _table(task: str, rows: Sequence[_Row], wanted: Sequence[str]) -> RenderableType:
    return layout.columns(*_cells(task, rows, wanted), left=2, wrap=True)


def search_table(result: SearchResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of the best plans, ``+`` of two kinds of workers and ``~`` of machines rearranged.

    Examples
    --------
    >>> from farthing import api
    >>> header, rows = search_table(api.search("llama-2-70b", "1x8:h100-sxm", batch_size=1).result)
    >>> header[:3], rows[0][:2]
    (('', 'plan', 'tokens/s'), ('1', 'tp 8, batch 1'))
    """
    return _cells(result.task, _all_rows(result), (result.objective,))


def front_table(result: SearchResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of the plans that none beats in all objectives of the front."""
    named = _named(result)
    return _cells(result.task, _rows(result.front, itertools.repeat(""), named), result.front_objectives)


def search_report(result: SearchResult) -> RenderableType:
    """All that a person wants to read of a search; the best plan's own report tells the rest of it.

    Parameters
    ----------
    result
        Of either task.

    Examples
    --------
    >>> from rich.console import Console
    >>> from farthing import catalog
    >>> from farthing.records.search import Limits
    >>> nothing = SearchResult(task="inference", model="llama-2-7b", cluster="rtx-4090", objective="usd",
    ...                        limits=Limits(), candidates=7, evaluated=0, fitting=0, removed=(), best=())
    >>> console = Console(width=80)
    >>> with console.capture() as capture:
    ...     console.print(search_report(nothing))
    >>> capture.get().splitlines()[0]
    'Search for the cheapest tokens  no plan keeps the limits'
    """
    return Group(*_report(result))


def _named(result: SearchResult) -> tuple[str, ...]:
    plans: list[object] = [choice.estimate.plan for choice in (*result.best, *result.front)]
    return _named_words([*plans, result.disaggregated.plan.decode] if result.disaggregated else plans)


def _all_rows(result: SearchResult) -> list[_Row]:
    """The best plans, that of two kinds of workers, and that of machines rearranged."""
    named = _named(result)
    rows = _rows(result.best, itertools.count(1), named)
    if result.disaggregated:
        rows.append(("+", _sides(result.disaggregated, named), _figures(result.disaggregated)))
    if result.rearranged:
        other = result.rearranged.choice
        rows.append(("~", plan_words(other, named), other.figures))
    return rows


def _report(result: SearchResult) -> Iterator[RenderableType]:
    named, rows = _named(result), _all_rows(result)
    apart, other = result.disaggregated, result.rearranged
    note = "the best of each kind" if result.best else "no plan keeps the limits"
    if apart:
        note += "; + where some workers read prompts for others"
    if other:
        note += "; ~ with machines or cards moved or left out"
    yield layout.heading(f"Search for {GOALS[result.objective]}", note)
    if rows:
        yield _table(result.task, rows, (result.objective,))
        if _counts_reading(result):
            yield layout.indented(Text("tokens/s: put out while prompts are read in between", style="dim"))
    if other:
        told = [f"~ {', then '.join(other.machines)}"]
        told += [f"unused: {', '.join(other.unused)}"] if other.unused else []
        yield layout.indented(Text("; ".join(told), style="dim"))
    yield Text()
    yield from _why(result)
    yield from _missed(result)
    if result.front:
        wanted = result.front_objectives
        yield layout.heading("Pareto front", f"no plan is better in all of {', '.join(wanted)}")
        yield _table(result.task, _rows(result.front, itertools.repeat(""), named), wanted)
        yield Text()
    yield from _counts(result)


def _counts_reading(result: SearchResult) -> bool:
    """Whether the rates are those of prompts and outputs together."""
    return any(choice.inference and choice.inference.workload.output_tokens for choice in result.best)


def _why(result: SearchResult) -> Iterator[RenderableType]:
    """Where the winner's time goes, beside the runner-up's."""
    if not result.reasons:
        return
    winner, runner_up = (
        sum(getattr(r, side) for r in result.reasons) for side in ("winner_s", "runner_up_s")
    )
    if result.task == "training":
        of_what = "for a step"
    else:
        objective = result.objective if _counts_reading(result) else "ttft"
        of_what = TIMES.get(objective, "of the cluster for a token put out")
    factor, unit = (1.0, "s") if max(winner, runner_up) >= 1 else (MILLISECOND, "ms")
    rows = [
        (
            reason.part,
            f"{reason.winner_s / factor:,.4g}",
            f"{reason.runner_up_s / factor:,.4g}",
            f"{(reason.runner_up_s - reason.winner_s) / factor:+,.3g}",
        )
        for reason in result.reasons
        if reason.winner_s or reason.runner_up_s
    ]
    rows.append(
        (
            "together",
            f"{winner / factor:,.4g}",
            f"{runner_up / factor:,.4g}",
            f"{(runner_up - winner) / factor:+,.3g}",
        )
    )
    yield layout.heading("Why the first wins", f"time {of_what} [{unit}]")
    yield layout.columns(("", "first", "second", "saved"), rows)
    yield Text()


def _missed(result: SearchResult) -> Iterator[RenderableType]:
    """The nearest plan that does not do."""
    miss = result.miss
    if miss is None:
        return
    yield layout.heading("The nearest miss", "it would be better" if result.best else "")
    rows = [("plan", plan_words(miss.choice)), ("but", miss.breaks)]
    if miss.would_help:
        rows.append(("what would help", ", or ".join(miss.would_help)))
    yield layout.facts(rows)
    yield Text()


def _counts(result: SearchResult) -> Iterator[RenderableType]:
    """How many plans there were, and what became of them."""
    yield layout.heading("Plans", f"{result.candidates:,}")
    rows = [(rule.rule, f"{-rule.candidates:,}") for rule in result.removed]
    rows.append(("evaluated", f"{result.evaluated:,}"))
    rows += [(rule.rule, f"{-rule.candidates:,}") for rule in result.broken]
    rows.append(("keep every limit", f"{result.fitting:,}"))
    yield layout.columns(("", "plans"), rows)
