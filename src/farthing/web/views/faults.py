"""Faults: what failures cost a training run, over thousands of simulated runs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from farthing import api
from farthing.errors import InvalidInput, UnknownName
from farthing.records.faults import Distribution, FaultsResult
from farthing.records.term import Term
from farthing.report import faults as told
from farthing.report.fault_charts import fault_charts
from farthing.units import DAY, format_seconds, format_usd
from farthing.web.subject import cluster_of, model_of, without
from farthing.web.view import Explanation, Given, Shown, View
from farthing.web.views.faults_asks import ASKS

ROUNDING: Final = 1e-9
"""Shares below are what rounding leaves of nothing."""


MOST_RUN_DAYS: Final = 2_000_000
"""Simulated days of all runs together: they take half a gigabyte."""


def _check_size(given: Given) -> None:
    """Refuse what would fill the memory of the server.

    Raises
    ------
    InvalidInput
        Too many days of too many runs.
    """
    preset = api.fault_presets().get(given.get("preset", ""))
    days = given.get("duration_s", preset.duration_s if preset else 30 * DAY) / DAY
    runs = given.get("runs", 2000)
    if runs * days > MOST_RUN_DAYS:
        raise InvalidInput(
            f"runs: {runs:,} runs of {days:,.0f} days are too much for a page, which plays {MOST_RUN_DAYS:,} "
            "days in all: ask for fewer or shorter ones, or use the command"
        )


def _ask(given: Given) -> FaultsResult:
    _check_size(given)
    asked = without(given, "preset")
    if "model" in asked:
        asked["model"] = model_of(given)
    if "cluster" in asked:
        asked["cluster"] = cluster_of(given)
    return api.simulate_faults(given.get("preset", ""), **asked)


def _record(given: Given, found: FaultsResult) -> Any:
    return found


def _lost_s(found: FaultsResult) -> float:
    """Time of a run that is no lasting progress."""
    return sum(one.lost_s for one in found.kinds)


def _show(given: Given, found: FaultsResult) -> Shown:
    run, good = found.run, found.goodput
    kinds = [
        (name, f"{share:.2%}", format_seconds(lost), share, "good" if lasts else "bad")
        for name, share, lost, lasts in told.kind_rows(found)
    ]
    return Shown(
        headline=run.name,
        verdict=told.faults_answer(found),
        charts=fault_charts(found),
        more={
            "found": found,
            "run": run,
            "spread": f"nine runs of ten: {good.p5:.1%} to {good.p95:.1%}" if found.runs > 1 else "",
            "lost_s": _lost_s(found),
            "lost_usd": sum(one.lost_usd for one in found.kinds),
            "often": math.isfinite(found.mtbf_seen_s),
            "simulated": told.simulated_words(found),
            "whole": told.whole_words(found),
            "facts": tuple(told.faults_facts(found)),
            "kinds": kinds,
            "causes": told.cause_table(found),
            "counted": told.CAUSES,
            "intervals": told.interval_table(found),
            "tried": told.tried_words(found),
            "flat": told.flat_words(found),
            "spares": told.spare_table(found.spares) if found.spares else None,
            "spare_words": told.spare_words(found.spares) if found.spares else "",
            "changes": told.change_table(found) if found.sensitivity else None,
        },
    )


def _rows(found: FaultsResult) -> Sequence[Mapping[str, Any]]:
    return list(_table(found))


def _table(found: FaultsResult) -> Iterator[Mapping[str, Any]]:
    def row(name: str, value: float, unit: str, spread: Distribution | None = None) -> Mapping[str, Any]:
        ends = {"p5": spread.p5, "p50": spread.p50, "p95": spread.p95} if spread else {}
        return {"name": name, "value": value, "unit": unit, "p5": None, "p50": None, "p95": None} | ends

    yield row("goodput", found.goodput.mean, "", found.goodput)
    yield row("failures", found.failures.mean, "", found.failures)
    yield row("planned", found.planned.mean, "", found.planned)
    if math.isfinite(found.mtbf_seen_s):
        yield row("mtbf_seen_s", found.mtbf_seen_s, "s")
    if found.finish_s is not None:
        yield row("finish_s", found.finish_s.mean, "s", found.finish_s)
    yield row("work_s", found.work_s, "s")
    yield row("formula_share", found.formula_share, "")
    interval = found.interval
    for field in ("best_interval_s", "interval_used_s", "young_s", "daly_s"):
        yield row(field, getattr(interval, field), "s")
    for one in found.kinds:
        yield row(f"lost: {one.name}", one.lost_s, "s")
    for one in found.by_cause:
        yield row(f"cause: {one.name}", one.lost_s, "s")
        if found.run.cards_usd_per_s:
            yield row(f"cause: {one.name}, usd", one.lost_usd, "USD")
    for tried in interval.intervals:
        yield row(f"goodput, {tried.what}", tried.goodput, "")
    for spare in found.spares.curve if found.spares else ():
        yield row(f"goodput, {spare.what}", spare.goodput, "")
    for other in found.sensitivity:
        yield row(f"goodput, {other.what}", other.goodput, "")


def _goodput(found: FaultsResult) -> Explanation:
    good = found.goodput
    losses = [
        Term(
            name=f"lost: {one.name}",
            value=one.share,
            formula="time / time of a run",
            numbers=_over(found, one.lost_s),
        )
        for one in found.kinds
        if one.share > ROUNDING
    ]
    return Explanation(
        title="Goodput",
        value=f"{good.mean:.2%}",
        meaning="Share of the wall-clock time that is lasting progress at full pace: the mean of all runs.",
        terms=(
            Term(
                name="goodput",
                value=good.mean,
                formula=" - ".join(["1", *(one.name for one in losses)]),
                numbers=" - ".join(["1", *(f"{one.value:.4g}" for one in losses)]),
                terms=tuple(losses),
            ),
        ),
        notes=[
            f"{told.simulated_words(found)}; the standard error of the mean is {good.standard_error:.2%}.",
            *([f"Published: {found.published}."] if found.published else []),
        ],
    )


def _over(found: FaultsResult, lost_s: float) -> str:
    return f"{lost_s:.4g} / {found.run.duration_s:.4g}"


def _is_key(basis: str) -> bool:
    """Whether it is a key of the bibliography, not words."""
    try:
        api.citation(basis)
    except UnknownName:
        return False
    return True


def _failures(found: FaultsResult) -> Explanation:
    stated = [cause for cause in found.run.causes if cause.basis and not _is_key(cause.basis)]
    each = tuple(
        Term(
            name=f"life of {cause.fault_parts:,} parts, {cause.name}",
            value=cause.part_mtbf_s / cause.fault_parts,
            unit="s",
            formula="life of a part / parts",
            numbers=f"{cause.part_mtbf_s:.4g} / {cause.fault_parts}",
            reference=cause.basis if _is_key(cause.basis) else "",
        )
        for cause in found.run.causes
    )
    seen = Term(
        name="time between failures",
        value=found.mtbf_seen_s,
        unit="s",
        formula="time of a run / unplanned interruptions",
        numbers=f"{found.run.duration_s:.4g} / {found.failures.mean:.4g}",
    )
    return Explanation(
        title="Unplanned interruptions of a run",
        value=f"{found.failures.mean:,.1f}",
        meaning="Each part fails on its own, at an age that is drawn; any failure stops the whole job.",
        terms=(*((seen,) if found.failures.mean else ()), *each),
        notes=[f"{cause.name}: {cause.basis}." for cause in stated],
    )


def _finish(found: FaultsResult) -> Explanation:
    spread = found.finish_s
    notes = [f"{format_seconds(found.work_s)} is its ideal training time: nothing fails, nothing is saved."]
    if spread is not None:
        notes.append(f"Nine runs of ten take {format_seconds(spread.p5)} to {format_seconds(spread.p95)}.")
    if found.unfinished_share:
        notes.append(f"{found.unfinished_share:.2%} of the runs had not finished, and are not counted.")
    return Explanation(
        title="Time until the work is done",
        value=format_seconds(spread.p50) if spread else "",
        meaning="Wall-clock time of the median run.",
        notes=notes,
    )


def _lost(found: FaultsResult) -> Explanation:
    run, lost_s = found.run, _lost_s(found)
    terms = [
        Term(
            name="time lost",
            value=lost_s,
            unit="s",
            formula="time of a run × (1 - goodput)",
            numbers=f"{run.duration_s:.4g} × (1 - {found.goodput.mean:.4g})",
        )
    ]
    if run.cards_usd_per_s:
        terms.append(
            Term(
                name="money lost",
                value=lost_s * run.cards_usd_per_s,
                unit="USD",
                formula="time lost × cost of the cards a second",
                numbers=f"{lost_s:.4g} × {run.cards_usd_per_s:.4g}",
            )
        )
    return Explanation(
        title="What is lost",
        value=format_usd(lost_s * run.cards_usd_per_s) if run.cards_usd_per_s else format_seconds(lost_s),
        meaning="The cards' time that is no lasting progress, at what they cost.",
        terms=terms,
        notes=[row for row in run.assumptions if "USD" in row or "$" in row],
    )


def _interval(found: FaultsResult) -> Explanation:
    one = found.interval
    return Explanation(
        title="Interval between checkpoints",
        value=format_seconds(one.best_interval_s),
        meaning="The one with the highest mean goodput of those tried, under the same failures.",
        notes=[
            told.flat_words(found),
            f"Young: sqrt(2 × checkpoint × MTBF) = {format_seconds(one.young_s)}, with a goodput of "
            f"{one.young_goodput:.2%} [young-1974].",
            f"Daly, to higher order: {format_seconds(one.daly_s)}, with a goodput of {one.daly_goodput:.2%} "
            "[daly-2006].",
        ],
    )


def _spares(found: FaultsResult) -> Explanation:
    need = found.spares
    if need is None:
        return Explanation(title="Spare hosts", meaning="No failure takes a host out.")
    return Explanation(
        title="Spare hosts",
        value=f"{need.poisson_spares:,.0f}",
        meaning="So many cover 99% of all moments, for hosts under repair are about Poisson distributed.",
        notes=[told.spare_words(need)],
    )


_EXPLAINED: Final[Mapping[str, Callable[[FaultsResult], Explanation]]] = {
    "goodput": _goodput,
    "finish_s": _finish,
    "failures": _failures,
    "lost": _lost,
    "interval": _interval,
    "spares": _spares,
}


def _explain(given: Given, found: FaultsResult, number: str) -> Explanation:
    if number not in _EXPLAINED:
        raise UnknownName("number", number, tuple(_EXPLAINED))
    return _EXPLAINED[number](found)


VIEW: Final = View(
    name="faults",
    title="Faults",
    lead="What failures cost a training run: thousands of simulated runs, each failure drawn.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    record=_record,
    rows=_rows,
    explain=_explain,
    first={"preset": "llama-3-405b"},
    verb="Simulate",
    slow=True,
    command=("simulate", "faults"),
    function="simulate_faults",
    positional=("preset",),
    schema=FaultsResult,
)
