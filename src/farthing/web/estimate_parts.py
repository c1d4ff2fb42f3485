"""What the views of serving and of training share."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Final

from farthing import api
from farthing.errors import UnknownName
from farthing.records.error_bar import ErrorBar
from farthing.records.estimate import InferenceEstimate, TrainingEstimate
from farthing.records.search import SearchResult
from farthing.records.term import Term
from farthing.report.search import GOALS, front_table, plan_words, search_table
from farthing.units import format_bytes, format_quantity, format_usd, unit_of
from farthing.web.asks import Ask
from farthing.web.kinds import name, number, repeated, text
from farthing.web.view import Explanation

Estimate = InferenceEstimate | TrainingEstimate

MODEL_ASKS: Final = (
    Ask(name="model", title="Model", text="A model of the catalogue.", kind=name("models"), flag=""),
    Ask(
        name="changes",
        title="Changes",
        text="Fields of the model's shape to replace, with commas: layers=40,hidden=8192.",
        kind=repeated(text(r"[A-Za-z_-]+ ?= ?[A-Za-z0-9._+-]+", "a change; write it like layers=40")),
        section="More of the load",
        flag="--set",
    ),
)

_MONEY: Final = "Money"

MONEY_ASKS: Final = tuple(
    Ask(name=field, title=title, text=words, kind=number(0.0, 1e9), section=_MONEY, default=default)
    for field, title, words, default in (
        ("usd_per_kwh", "Electricity", "Price of electricity [USD/kWh].", "0.12"),
        ("years", "Years", "Years until bought hardware is written off.", "3"),
        ("pue", "PUE", "Power of the building over power of the machines.", "1.2"),
        ("usd_per_accelerator", "Price of a card", "Your price of a card [USD].", "the catalogue's"),
        ("usd_per_accelerator_hour", "Rent of a card", "Your rent of a card [USD/hour].", "the catalogue's"),
    )
)

LIMITS: Final = (
    Ask(
        name="usd_per_million_tokens",
        title="USD a million",
        text="Most for a million tokens [USD].",
        kind=number(0, 1e9, positive=True),
        flag="--usd-per-million",
        section="Goal and limits",
    ),
    Ask(
        name="headroom_share",
        title="Headroom",
        text="Share of each card's memory that stays free.",
        kind=number(0, 0.99),
        flag="--headroom",
        section="Goal and limits",
    ),
)


def search_context(found: SearchResult | None, estimate: Estimate) -> dict[str, Any]:
    """What the template of a search shows."""
    if found is None:
        return {"found": None}
    header, rows = search_table(found)
    return {
        "found": found,
        "goal": GOALS[found.objective],
        "plan_header": header,
        "plan_rows": rows,
        "front_rows": front_table(found) if found.front else None,
        "miss_words": plan_words(found.miss.choice) if found.miss else "",
    }


def quantity_rows(estimate: Estimate, names: Sequence[str]) -> list[Mapping[str, Any]]:
    """A row for each number, with its unit and its interval, then those of money."""
    bars = {bar.name: bar for bar in estimate.intervals}
    rows: list[Mapping[str, Any]] = []

    def add(what: str, value: float, unit: str, bar_name: str = "") -> None:
        bar = bars.get(bar_name or what)
        low, high = (bar.low, bar.high) if bar else (None, None)
        rows.append({"name": what, "value": value, "unit": unit, "low_80": low, "high_80": high})

    for field in names:
        add(field, getattr(estimate, field), unit_of(field))
    add("memory_bytes", estimate.memory.total_bytes, "byte", "total_bytes")
    add("memory_capacity_bytes", estimate.memory.capacity_bytes, "byte")
    for part in estimate.memory.parts:
        add(f"memory: {part.name}", part.value, "byte")
    for cost in estimate.costs:
        add(f"{cost.way}: usd_per_s", cost.usd_per_s, "USD/s")
        add(f"{cost.way}: usd_per_million_tokens", cost.usd_per_million_tokens, "USD")
    return rows


def meaning(record: str, field: str) -> str:
    """What a field of a record means, in a sentence; empty where the glossary has no such field."""
    try:
        return api.term(record, field).meaning
    except UnknownName:
        return ""


def _term(terms: Sequence[Term], name: str) -> Term | None:
    """The term of a name, at the least depth."""
    level = list(terms)
    while level:
        found = next((term for term in level if term.name == name), None)
        if found is not None:
            return found
        level = [part for term in dict.fromkeys(level) for part in term.terms]
    return None


def _interval(bar: ErrorBar) -> str:
    """Where like measurements lie, in the unit that the page shows."""
    if bar.low is None or bar.high is None:
        return ""
    if bar.name == "total_bytes":
        low, high = (format_bytes(end, binary=True) for end in (bar.low, bar.high))
    else:
        low, high = (format_quantity(end, unit_of(bar.name)) for end in (bar.low, bar.high))
    return f"80% of like measurements lie within {low} to {high}: "


def explanation(
    estimate: Estimate, number: str, terms: Mapping[str, str], meanings: Mapping[str, str] | None = None
) -> Explanation:
    """How a number of an estimate comes about: by its term, its interval, its prices.

    Parameters
    ----------
    estimate
        With its derivation.
    number
        A field of it.
    terms
        The name of the term that derives a number, by the number.
    meanings
        What a number is, in a sentence, where the glossary says it otherwise.
    """
    named = {field.name for field in dataclasses.fields(estimate)}
    if number not in named:
        raise UnknownName("number", number, sorted(named))
    words_of_it = (meanings or {}).get(number) or meaning(type(estimate).__name__, number)
    found = _term(estimate.terms, terms.get(number, ""))
    bars = {bar.name: bar for bar in estimate.intervals}
    bar = bars.get({"memory": "total_bytes"}.get(number, number))
    notes = []
    if bar is not None:
        notes.append(f"{_interval(bar)}{bar.basis}.")
    if number in ("costs", "run_usd", "usd_per_million_tokens"):
        notes += [f"{cost.way}: {cost.basis}." for cost in estimate.costs]
    value = found.value if found else getattr(estimate, number, None)
    if number == "memory":
        total = estimate.memory.total_bytes
        words = f"{format_bytes(total, binary=True)} = {format_bytes(total)}"
    elif number == "costs" and estimate.costs:
        words = format_usd(estimate.costs[0].usd_per_million_tokens)
    elif isinstance(value, (int, float)):
        words = format_quantity(value, found.unit if found else unit_of(number))
    else:
        words = ""
    return Explanation(
        title=found.name if found else number.replace("_", " "),
        value=words,
        meaning=words_of_it,
        terms=(found,) if found else (),
        notes=notes,
    )
