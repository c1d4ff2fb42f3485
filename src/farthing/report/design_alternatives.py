"""What stands beside a build: renting and APIs, less to do, other prices, and what else was looked at."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from farthing.records.design import Alternative, DesignResult
from farthing.report import layout
from farthing.report.design_words import Table, usd_per_million
from farthing.report.prices import STALE
from farthing.units import DAY, MONTH

ALTERNATIVES: Final = 6
"""So many providers are told, the cheapest first."""

LONG: Final = 20 * 12 * MONTH
"""After which nobody waits for hardware to pay for itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """Renting and APIs beside owning: a table, its title and what it means."""

    title: str
    note: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    remarks: tuple[str, ...]
    told: tuple[Alternative, ...]


def beside(result: DesignResult) -> Beside | None:
    """Renting and APIs beside owning; None where there is nothing to compare."""
    own = next((build for build in result.best if build.way == "own"), None)
    found = [one for one in result.alternatives if one.break_even_s != 0 or not own]
    if not found:
        return None
    rent = [one for one in found if one.name.startswith("rent ")]
    others = [one for one in found if not one.name.startswith("rent ")]
    told = sorted([*rent, *others[:ALTERNATIVES]], key=lambda one: one.usd_per_million_tokens)
    rows = []
    for one in told:
        paid = _months(one.break_even_s) if own else ""
        stale = STALE if one.stale else ""
        rows.append((one.name, f"{one.date}{stale}", usd_per_million(one.usd_per_million_tokens), paid))
    if own:
        rows.append(("own, the best build", "", usd_per_million(own.usd_per_million_tokens), ""))
    kept = 4 if own else 3
    remarks = []
    if len(others) > ALTERNATIVES:
        remarks.append(f"{len(others) - ALTERNATIVES} dearer providers are left out")
    if own:
        remarks.append(f"what is bought is counted over {result.ownership.years * 12:,.0f} months")
    if others:
        remarks.append("APIs: for a million tokens put out, with the prompts that belong to them")
    return Beside(
        title="Rent or buy" if result.task == "training" else "Rent, buy, or call an API",
        note="when the best build to own has paid for itself against it" if own else "",
        header=("", "price of", "USD/M", "paid after")[:kept],
        rows=[row[:kept] for row in rows],
        remarks=tuple(remarks),
        told=tuple(told),
    )


def _months(seconds: float | None) -> str:
    """Until something has paid for itself.

    Examples
    --------
    >>> _months(36 * MONTH), _months(5 * DAY), _months(None)
    ('36 months', '5 days', 'never')
    """
    if seconds is None or seconds > LONG:
        return "never"
    if seconds < MONTH:
        return f"{math.ceil(seconds / DAY)} days"
    return f"{seconds / MONTH:.0f} months"


def load_note(result: DesignResult) -> str:
    """What `load_table` tells."""
    stay = "rented machines given back" if result.ownership.elastic else "the machines staying"
    return f"USD a million tokens over the mean demand, {stay}"


def load_table(result: DesignResult) -> Table:
    """What tokens cost with less to do."""
    points = result.load_curve
    kinds = [name for name in ("own", "rent") if any(getattr(p, name) is not None for p in points)]
    rows = [
        (layout.percent(point.share), *(usd_per_million(getattr(point, name)) for name in kinds))
        for point in points
        if round(point.share, 2) in (0.05, 0.1, 0.2, 0.5, 1.0)
    ]
    return ("demand", *kinds), rows


def change_note(result: DesignResult) -> str:
    """What `change_table` is of."""
    return "the first build as it stands" if result.task == "training" else "the first build, adapted"


def change_table(result: DesignResult) -> Table:
    """What other prices and demands would do."""
    rows = [
        (one.what, usd_per_million(one.usd_per_million_tokens), layout.change(one.factor))
        for one in result.sensitivity
    ]
    return ("", "USD/M", "change"), rows


def looked_at(result: DesignResult) -> tuple[str, ...]:
    """How many builds there are, and what became of them."""
    words = [f"{result.evaluated:,} timed and priced; no other can be better"]
    if result.removed:
        told = [f"{rule.rule}: {rule.candidates:,}" for rule in result.removed]
        words.append(f"left out: {'; '.join(told)}")
    return tuple(words)
