"""The report of a training run under faults: goodput, where the time goes, checkpoints, spares."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.fault_run import FaultRun
from farthing.records.faults import FaultsResult, Loss, SpareNeed, WhatIf
from farthing.report import layout
from farthing.units import HOUR, format_bytes, format_count, format_seconds, format_usd

SMALL_SHARE: Final = 5e-5
"""Losses below are left out of tables: they would read 0.00%."""

ROWS: Final = 12
"""So many causes have a row of their own, the costliest first."""

SHORT: Final = 10
"""Intervals between checkpoints; of a run with fewer no formula of long ones is shown."""


def faults_report(result: FaultsResult) -> RenderableType:
    """All that a person wants to read of a simulated run.

    Parameters
    ----------
    result
        What was found.

    Examples
    --------
    >>> from rich.console import Console
    >>> from farthing import api
    >>> console = Console(width=100)
    >>> with console.capture() as capture:
    ...     console.print(faults_report(api.simulate_faults("article-2048", runs=40, duration_s=86400.0)))
    >>> capture.get().splitlines()[0]
    'LLaMA-2 70B on 2,048 A100, one failure a card and month'
    """
    return Group(*_report(result))


def _report(result: FaultsResult) -> Iterator[RenderableType]:
    run = result.run
    yield layout.heading(run.name)
    yield layout.indented(Text(faults_answer(result)))
    yield Text()
    yield layout.heading("Simulated", simulated_words(result))
    yield layout.facts(faults_facts(result))
    yield Text()
    yield from _kinds(result)
    yield from _by_cause(result)
    yield from _interval(result)
    if result.spares is not None:
        yield from _spares(result.spares)
    yield from _sensitivity(result)
    if run.assumptions:
        yield layout.heading("Assumed")
        yield layout.items(run.assumptions)


def simulated_words(result: FaultsResult) -> str:
    """How many runs, of what length, and which."""
    length = format_seconds(result.run.duration_s)
    return f"{_counted(result.runs, 'run')} of {length}, seed {result.seed}"


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _percent(share: float) -> str:
    """Two digits behind the point, so that small losses are seen."""
    return f"{share:.2%}"


def faults_answer(result: FaultsResult) -> str:
    """The answer in a sentence."""
    good = result.goodput
    words = f"{good.mean:.1%} of the wall-clock time is lasting progress at full pace"
    if result.runs > 1:
        words += f"; nine runs of ten lie between {good.p5:.1%} and {good.p95:.1%}"
    return words


def faults_facts(result: FaultsResult) -> Iterator[tuple[str, str]]:
    """What else is told of the runs, by name."""
    run, good = result.run, result.goodput
    yield "job", f"{_counted(run.hosts, 'host')}, {_counted(run.cards, 'card')}"
    if result.published:
        yield "published", result.published
    if result.runs > 1:
        yield (
            "goodput",
            f"mean {_percent(good.mean)}, its standard error {_percent(good.standard_error)}; "
            f"median {_percent(good.p50)}, half of the runs between {_percent(good.p25)} and "
            f"{_percent(good.p75)}",
        )
    planned = f", {result.planned.mean:,.1f} planned stops of the running job" if result.planned.mean else ""
    if result.failures.mean:
        yield (
            "interruptions of a run",
            f"{result.failures.mean:,.1f} unplanned{planned}; one unplanned every "
            f"{format_seconds(result.mtbf_seen_s)}",
        )
    else:
        yield "interruptions of a run", f"none unplanned in any run{planned}"
    yield "checkpoints", _saved(run)
    yield "recovery", _recovery(run)
    yield "to finish", _finish(result)
    # It knows one kind of checkpoint, and runs with many of them.
    short = run.duration_s < SHORT * result.interval.interval_used_s
    if not (run.checkpointing.memory_interval_s or short):
        yield "Daly's formula", _formula(result)


def _saved(run: FaultRun) -> str:
    saved = run.checkpointing
    size = format_bytes(saved.stored_bytes)
    if saved.checkpoint_mode == "sync":
        words = f"{size}; the job stops {format_seconds(saved.write_s)} for each"
    else:
        words = (
            f"{size}; the job stops {format_seconds(saved.snapshot_s)} for each, which is written "
            f"{format_seconds(saved.write_s)} later"
        )
    if saved.memory_interval_s:
        words += (
            f"; every {format_seconds(saved.memory_interval_s)} one in the memory of other hosts, for which "
            f"it stops {format_seconds(saved.memory_snapshot_s)}"
        )
    return words


def _recovery(run: FaultRun) -> str:
    recovery, saved = run.recovery, run.checkpointing
    words = (
        f"{format_seconds(recovery.detection_s)} until it is noticed"
        f"{' on average' if recovery.detection_spread == 'exponential' else ''}, "
        f"{format_seconds(recovery.restart_s)} to restart, {format_seconds(saved.load_s)} to load"
    )
    if recovery.spare_hosts is None:
        words += "; a spare host is always there"
    else:
        words += f"; {_counted(recovery.spare_hosts, 'spare host')}"
        if recovery.elastic_replicas:
            words += f", fewer than {recovery.elastic_replicas} replicas where they lack"
        else:
            words += ", the job waits where they lack"
    return words


def _finish(result: FaultsResult) -> str:
    work = format_seconds(result.work_s)
    found = result.finish_s
    if found is None:
        return f"{work} of ideal training: most runs had not finished when the simulation gave up"
    words = (
        f"{work} of ideal training take {format_seconds(found.p50)} (p50), {format_seconds(found.p95)} (p95)"
    )
    if result.unfinished_share:
        words += f"; {_percent(result.unfinished_share)} of the runs, not counted, had not finished"
    return words


def _formula(result: FaultsResult) -> str:
    words = f"{_percent(result.formula_share)} for the same MTBF and mean recovery; "
    if not result.formula_applies:
        return f"{words}it leaves out {_joined(_left_out(result.run))}"
    gap = abs(result.formula_share - result.goodput.mean)
    return f"{words}exact for long runs of this kind, and {_percent(gap)} from the simulated mean"


def _left_out(run: FaultRun) -> Iterator[str]:
    """What Daly's formula does not know of a run."""
    recovery, saved = run.recovery, run.checkpointing
    if any(cause.lifetime != "exponential" for cause in run.causes):
        yield "the age of parts"
    if any(cause.followed_share for cause in run.causes):
        yield "failures that follow others"
    if saved.checkpoint_mode == "async":
        yield "asynchronous writes"
    if recovery.spare_hosts is not None:
        yield "lacking spares"
    if run.stragglers is not None:
        yield "slow parts"
    if recovery.maintenance_per_day:
        yield "planned stops"
    if recovery.manual_share or recovery.detection_spread != "constant":
        yield "recoveries that differ"


def _joined(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _money(usd: float) -> str:
    return format_usd(usd) if usd else ""


def _hours(card_s: float) -> str:
    hours = card_s / HOUR
    return format_count(hours) if hours >= 1e5 else f"{hours:,.0f}" if hours >= 10 else f"{hours:,.2g}"


def whole_words(result: FaultsResult) -> str:
    """What a run takes in all: time, the cards' time and their money."""
    run = result.run
    words = f"{format_seconds(run.duration_s)}, {_hours(run.duration_s * run.cards)} card-hours"
    if run.cards_usd_per_s:
        words += f", {format_usd(run.duration_s * run.cards_usd_per_s)}"
    return f"{words}; the mean of all runs"


def kind_rows(result: FaultsResult) -> list[tuple[str, float, float, bool]]:
    """Where the time goes: name, share, seconds of a run, whether it lasts; losses of nothing left out."""
    good = result.goodput.mean
    lost = sorted(result.kinds, key=lambda one: -one.share)
    rows = [("lasting progress", good, good * result.run.duration_s, True)]
    return rows + [(one.name, one.share, one.lost_s, False) for one in lost if one.share >= SMALL_SHARE]


def _kinds(result: FaultsResult) -> Iterator[RenderableType]:
    run = result.run
    yield layout.heading("Where the time goes", whole_words(result))
    table = layout.grid("left", "right", "right", "right", "right", "fill", expand=True)
    for name, share, seconds, lasts in kind_rows(result):
        table.add_row(
            name,
            _percent(share),
            format_seconds(seconds),
            f"{_hours(seconds * run.cards)} card-h",
            _money(seconds * run.cards_usd_per_s),
            layout.Bar(share, "green" if lasts else "red"),
        )
    yield layout.indented(table)
    yield Text()


CAUSES: Final = "all that follows from it: lost work, detection, waiting, restart"
"""What is counted of a cause."""


def cause_table(result: FaultsResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of what each cause costs, the costliest first; the rest of very many together."""
    shown = [one for one in result.by_cause if one.share >= SMALL_SHARE or one.events >= 0.05]
    rows = [_cause_row(result.run, one) for one in shown[:ROWS]]
    rest = shown[ROWS:]
    if rest:
        total = Loss(
            name=_counted(len(rest), "more cause"),
            share=sum(one.share for one in rest),
            lost_s=sum(one.lost_s for one in rest),
            lost_card_s=sum(one.lost_card_s for one in rest),
            lost_usd=sum(one.lost_usd for one in rest),
            events=sum(one.events for one in rest),
        )
        rows.append(_cause_row(result.run, total))
    header = ("", "a run", "time", "", "card-hours", *(("USD",) if result.run.cards_usd_per_s else ()))
    return header, [row[: len(header)] for row in rows]


def _by_cause(result: FaultsResult) -> Iterator[RenderableType]:
    yield layout.heading("By cause", CAUSES)
    yield layout.columns(*cause_table(result))
    yield Text()


def _cause_row(run: FaultRun, one: Loss) -> tuple[str, ...]:
    events = f"{one.events:,.1f}" if one.events else ""
    usd = f"{one.lost_usd:,.0f}"
    return one.name, events, _percent(one.share), format_seconds(one.lost_s), _hours(one.lost_card_s), usd


def interval_table(result: FaultsResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of the interval between checkpoints that is best, of the formulas, and of the run."""
    run, found = result.run, result.interval
    rows = [("best found", found.best_interval_s, found.best_goodput)]
    if run.checkpointing.stall_s and found.daly_s < run.duration_s:
        rows += [
            ("Young's formula", found.young_s, found.young_goodput),
            ("Daly's formula", found.daly_s, found.daly_goodput),
        ]
    used = min(found.intervals, key=lambda one: abs(one.amount - found.interval_used_s))
    rows.append(("of this run", found.interval_used_s, used.goodput))
    header = ("", "interval", "goodput")
    return header, [(name, format_seconds(seconds), _percent(goodput)) for name, seconds, goodput in rows]


def tried_words(result: FaultsResult) -> str:
    """Under what the intervals were tried."""
    return f"running time between two, all tried under the same {_counted(result.studied_runs, 'run')}"


def flat_words(result: FaultsResult) -> str:
    """How exactly the best interval has to be kept."""
    found = result.interval
    return (
        f"{_between(found.flat_low_s, found.flat_high_s)}: no worse than the best within two standard "
        f"errors. {_between(found.near_low_s, found.near_high_s)}: less than 0.1% of the time worse."
    )


def _interval(result: FaultsResult) -> Iterator[RenderableType]:
    yield layout.heading("How often to checkpoint", tried_words(result))
    yield layout.columns(*interval_table(result))
    yield layout.indented(Text(flat_words(result), style="dim"))
    yield Text()


def _between(low: float, high: float) -> str:
    if low == high:
        return f"Only {format_seconds(low)}"
    return f"{format_seconds(low)} to {format_seconds(high)}"


def spare_table(found: SpareNeed) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of goodput by spare hosts."""
    return ("", "goodput"), [(one.what, _percent(one.goodput)) for one in found.curve]


def spare_words(found: SpareNeed) -> str:
    """How many hosts are away at once, and how many spares cover that."""
    peak = found.peak_out
    return (
        f"Hosts under repair at the worst moment of a run: {peak.p50:,.0f} in the median, "
        f"{peak.p95:,.0f} or fewer in 19 runs of 20. Spares that cover 99% of all moments (Poisson): "
        f"{found.poisson_spares:,.0f}."
    )


def _spares(found: SpareNeed) -> Iterator[RenderableType]:
    yield layout.heading("Spare hosts", "goodput where the job waits while none is there")
    yield layout.columns(*spare_table(found))
    yield layout.indented(Text(spare_words(found), style="dim"))
    yield Text()


def change_table(result: FaultsResult) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of goodput with one thing changed."""
    return ("", "goodput", "change", "±"), list(_changes(result.sensitivity))


def _sensitivity(result: FaultsResult) -> Iterator[RenderableType]:
    if not result.sensitivity:
        return
    yield layout.heading("If it were otherwise", "goodput, and the change in points of it")
    yield layout.columns(*change_table(result))
    yield Text()


def _changes(rows: Sequence[WhatIf]) -> Iterator[tuple[str, ...]]:
    for one in rows:
        error = f"{100 * one.gain_error:.3f}" if one.gain_error < float("inf") else ""
        yield one.what, _percent(one.goodput), f"{100 * one.goodput_gain:+.2f}", error
