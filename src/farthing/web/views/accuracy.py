"""Accuracy: how far predictions are from published measurements, by group, and every measured number."""

from __future__ import annotations

import functools
import heapq
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from farthing import api
from farthing.errors import UnknownName
from farthing.records.accuracy import Accuracy, AccuracyOverview, Outcome
from farthing.records.chart import Chart
from farthing.report.accuracy import share
from farthing.report.accuracy_charts import error_chart, interval_chart, predicted_chart
from farthing.report.encoding import fields_of
from farthing.report.ticks import figure
from farthing.web.asks import Ask, python_call
from farthing.web.estimate_parts import meaning
from farthing.web.kinds import chosen, count, flag, hidden, text
from farthing.web.view import Explanation, Given, Shown, View

GROUP: Final = "consumer, decode"
"""What is shown where nothing is chosen."""

CASES: Final = 20
MOST_CASES: Final = 200
"""Numbers that a page lists: at first, and at most."""

MOST_POINTS: Final = 600
"""More would make the page slow to load on a phone."""

CHOICE: Final = ("group", "quantity", "source")
"""What chooses measured numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What a page of measurements tells.

    Attributes
    ----------
    accuracy
        All of them, by group and by source.
    outcomes
        Measured numbers that were chosen; fitted ones only where that was asked, or there are no others.
    """

    accuracy: AccuracyOverview
    outcomes: tuple[Outcome, ...]


def _named(values: Iterable[str]) -> Sequence[tuple[str, str]]:
    return [(value, value) for value in values]


def _groups() -> Sequence[tuple[str, str]]:
    return [(row.group, f"{row.group} ({row.cases:,})") for row in api.accuracy().by_group]


def _sources() -> Sequence[tuple[str, str]]:
    return _named(sorted({row.source for row in api.accuracy().by_source}, key=str.lower))


def _quantities() -> Sequence[tuple[str, str]]:
    found = api.measured_quantities()
    return sorted(((id, f"{name} ({id})") for id, name in found.items()), key=lambda pair: pair[1])


ASKS: Final = (
    Ask(
        name="group",
        flag="-",
        title="Group",
        text="Row of the table of accuracy.",
        kind=chosen(text(what="a group"), _groups),
        default=f"{GROUP}, or all",
    ),
    Ask(
        name="source",
        flag="-",
        title="Source",
        text="Who measured.",
        kind=chosen(text(what="a source"), _sources),
        default="all",
        belongs=("group",),
    ),
    Ask(
        name="quantity",
        flag="-",
        title="Quantity",
        text="What was measured.",
        kind=chosen(text(what="a quantity"), _quantities),
        default="all",
        belongs=("group",),
    ),
    Ask(
        name="fitted",
        flag="-",
        title="Fitted numbers",
        text="Show also those that constants were fitted to: they are no evidence.",
        kind=flag(),
        default="no",
    ),
    Ask(
        name="cases",
        flag="-",
        title="Listed",
        text="Measured numbers that are listed.",
        kind=hidden(count(1, MOST_CASES)),
        default=f"{CASES}",
        belongs=CHOICE,
    ),
)


def _choice(given: Given) -> dict[str, Any]:
    """What chooses the numbers; the first group where nothing does."""
    return {name: given[name] for name in CHOICE if name in given} or {"group": GROUP}


def _ask(given: Given) -> Measured:
    found = api.outcomes(**_choice(given))
    evidence = tuple(one for one in found if not one.fitted)
    judged = any(not one.reason for one in evidence)
    return Measured(
        accuracy=api.accuracy(), outcomes=found if given.get("fitted") or not judged else evidence
    )


def case_id(one: Outcome) -> str:
    """What names a measured number in an address."""
    return f"{one.kind}/{one.id}/{one.quantity}"


def _link(given: Given) -> Callable[[Outcome], str]:
    """Pages of the numbers, relative to this one."""
    asked = {name: given[name] for name in CHOICE if name in given}
    asked |= {"fitted": "yes"} if given.get("fitted") else {}

    begins = "accuracy/explain?" + urlencode(asked | {"number": ""}, safe=":,/")

    def page(one: Outcome) -> str:
        return begins + quote(case_id(one), safe="/")

    return page


def _factor(one: Outcome) -> float:
    """How many times too much or too little is predicted."""
    return abs(math.log(one.predicted / one.measured))


def _predicted(outcomes: Sequence[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if not one.reason and one.measured > 0 and one.predicted > 0]


def _amount(value: float, unit: str) -> str:
    return f"{figure(value)} {unit}".rstrip()


def _verdict(found: AccuracyOverview) -> str:
    rows = [row for row in found.by_group if row.evidence]
    sources = len({row.source for row in found.by_source})
    evidence = sum(row.evidence for row in found.by_group)

    def middle(name: str) -> float:
        values = [float(getattr(row, name)) for row in rows]
        return statistics.median(value for value in values if not math.isnan(value))

    ours, constant, inside = (middle(name) for name in ("median_error", "baseline_error", "inside_80"))
    return (
        f"{found.predicted:,} of {found.cases:,} published numbers of {sources:,} sources are predicted; to "
        f"{evidence:,} of them nothing was fitted. The median error of the middle group is {share(ours)}, "
        f"where one constant times the peaks has {share(constant)}; intervals that promise 80% hold "
        f"{share(inside)}."
    )


@functools.cache
def _overview_charts() -> tuple[Chart, ...]:
    found = api.accuracy()
    return error_chart(found), interval_chart(found)


def _figures(given: Given, found: AccuracyOverview) -> Accuracy | None:
    """The row of the table that is about the numbers which were chosen; None where it has none."""
    choice = _choice(given)
    if "quantity" in choice or "group" not in choice:
        return None
    rows = found.by_source if "source" in choice else found.by_group
    source = choice.get("source", "")
    return next((row for row in rows if row.group == choice["group"] and row.source == source), None)


def _show(given: Given, answer: Measured) -> Shown:
    found, choice = answer.accuracy, _choice(given)
    predicted = _predicted(answer.outcomes)
    drawn = predicted_chart(
        answer.outcomes,
        ", ".join(choice.values()),
        fitted=bool(given.get("fitted")),
        link=_link(given),
        most=MOST_POINTS,
    )
    return Shown(
        headline=", ".join(choice.values()),
        verdict=_verdict(found),
        charts=_overview_charts(),
        more={
            "overview": found,
            "drawn": drawn if predicted else None,
            "figures": _figures(given, found),
            "worst": heapq.nlargest(given.get("cases", CASES), predicted, key=_factor),
            "predicted": len(predicted),
            "missing": [one for one in answer.outcomes if one.reason][:CASES],
            "missed": sum(bool(one.reason) for one in answer.outcomes),
            "most_cases": MOST_CASES,
            "group": choice.get("group", ""),
            "sources": [row for row in found.by_source if row.group == choice.get("group")],
            "share": share,
            "amount": _amount,
            "case_id": case_id,
            "bias": lambda value: "" if math.isnan(value) else f"{value:.2f}",
        },
    )


def _rows(answer: Measured) -> Sequence[Mapping[str, Any]]:
    return [{**fields_of(one), "error": one.error} for one in answer.outcomes]


def _explain(given: Given, answer: Measured, number: str) -> Explanation:
    """A measured number, or what a figure of the table means."""
    if "/" not in number:
        return Explanation(title=number.replace("_", " "), meaning=meaning("Accuracy", number))
    one = next((one for one in answer.outcomes if case_id(one) == number), None)
    if one is None:
        raise UnknownName("measured number", number, ())
    facts = [("measured", _amount(one.measured, one.unit))]
    if one.reason:
        facts.append(("not predicted", one.reason))
    else:
        facts += [
            ("predicted", _amount(one.predicted, one.unit)),
            ("error", f"{one.error:+.1%}"),
        ]
        if not math.isnan(one.low):
            inside = "inside" if one.low <= one.measured <= one.high else "outside"
            span = f"{figure(one.low)} to {_amount(one.high, one.unit)}"
            facts.append(("80% interval", f"{span}; the measurement is {inside}"))
    facts += [("setup", one.setup), ("group", one.group or "none"), ("row", f"{one.id} of {one.file}")]
    notes = ["Constants were fitted to this number: it is no evidence."] if one.fitted else []
    return Explanation(
        title=one.name,
        value=one.source,
        facts=facts,
        notes=notes,
        source=one.citation or one.source,
        url=one.url,
    )


VIEW: Final = View(
    name="accuracy",
    title="Accuracy",
    lead="How far predictions are from published measurements: every number, with its source.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    record=lambda given, answer: answer,
    rows=_rows,
    explain=_explain,
    command=("validate",),
    call=lambda given: python_call("api.outcomes", (), _choice(given)),
    schema=Measured,
)
