"""How the shipped measurements came out, kept in a file: comparing them all again takes many seconds.

``outcomes.json.gz`` is written by ``make docs``, with the constants that ship. It holds columns, with words
as numbers of a list; the setups stay in ``cases/*.csv``, where outcomes find them by row.
"""

from __future__ import annotations

import functools
import gzip
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from farthing.catalog.sources import page_of
from farthing.errors import UnknownName
from farthing.evidence.accuracy import Columns, column_statistics, counted_refusals
from farthing.evidence.load import COLUMNS, shipped
from farthing.evidence.words import QUANTITIES, published_in, setup_words
from farthing.records.accuracy import Accuracy, AccuracyOverview, Outcome
from farthing.records.comparison import Case, Comparison

FILE: Final = "outcomes.json.gz"

DIGITS: Final = 8
"""Of all numbers but the measured ones, which are as their files have them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipped:
    """The outcomes as columns, one entry a measured number.

    Attributes
    ----------
    kinds, groups, sources, quantities, reasons
        Lists of words; the columns below hold places in them. A reason and a group may be empty.
    intervals
        Low and high end over the prediction, as the columns below refer to them; none is 0, 0.
    kind, row
        Which file, and the place of the row in it, from 0.
    group, source, quantity, reason, interval
        Places in the lists.
    measured, predicted, simple
        As of `Comparison`; 0 where there is none.
    rate, fitted
        1 or 0.
    """

    kinds: list[str]
    groups: list[str]
    sources: list[str]
    quantities: list[str]
    reasons: list[str]
    intervals: list[tuple[float, float]]
    kind: list[int]
    row: list[int]
    group: list[int]
    source: list[int]
    quantity: list[int]
    reason: list[int]
    interval: list[int]
    measured: list[float]
    predicted: list[float]
    simple: list[float]
    rate: list[int]
    fitted: list[int]


def packed(comparisons: Sequence[Comparison]) -> bytes:
    """The file's content, from the comparisons of all shipped cases in order."""
    known = {kind: {case.id: row for row, case in enumerate(shipped(kind))} for kind in COLUMNS}
    words: dict[str, dict[str, int]] = {}
    intervals: dict[tuple[float, float], int] = {}

    def places(name: str, values: Iterable[str]) -> list[int]:
        listed = words.setdefault(name, {})
        return [listed.setdefault(value, len(listed)) for value in values]

    def ends(one: Comparison) -> int:
        factors = (_kept(one.low / one.predicted, DIGITS), _kept(one.high / one.predicted, DIGITS))
        return intervals.setdefault(factors, len(intervals))

    found = {
        "kind": places("kinds", (one.case.kind for one in comparisons)),
        "row": [known[one.case.kind][one.case.id] for one in comparisons],
        "group": places("groups", (one.group for one in comparisons)),
        "source": places("sources", (one.case.source for one in comparisons)),
        "quantity": places("quantities", (one.quantity for one in comparisons)),
        "reason": places("reasons", (one.reason for one in comparisons)),
        "interval": [ends(one) for one in comparisons],
        "measured": [_kept(one.measured) for one in comparisons],
        "predicted": [_kept(one.predicted, DIGITS) for one in comparisons],
        "simple": [_kept(one.simple, DIGITS) for one in comparisons],
        "rate": [int(one.rate) for one in comparisons],
        "fitted": [int(one.fitted) for one in comparisons],
    }
    lists = {name: list(listed) for name, listed in words.items()}
    text = msgspec.json.encode({**lists, "intervals": list(intervals), **found})
    return gzip.compress(text, mtime=0)


def _kept(value: float, digits: int = 0) -> float:
    """A number as the file has it: so many digits, 0 where there is none."""
    if not math.isfinite(value):
        return 0.0
    return float(f"{value:.{digits}g}") if digits else value


@functools.cache
def read() -> Shipped:
    """The outcomes that ship."""
    content = (resources.files("farthing.evidence") / FILE).read_bytes()
    return msgspec.json.decode(gzip.decompress(content), type=Shipped)


@functools.cache
def columns() -> Columns:
    """The outcomes as the statistics take them."""
    data = read()
    predicted = _known(data.predicted)
    factors = np.array(data.intervals)[np.array(data.interval)]
    factors[factors == 0] = np.nan
    said = np.array([bool(reason) for reason in data.reasons])
    return Columns(
        source=np.array(data.source),
        measured=_known(data.measured),
        predicted=predicted,
        low=predicted * factors[:, 0],
        high=predicted * factors[:, 1],
        simple=_known(data.simple),
        refused=said[np.array(data.reason)],
        rate=np.array(data.rate, dtype=bool),
        fitted=np.array(data.fitted, dtype=bool),
    )


def _known(values: Sequence[float]) -> NDArray[np.float64]:
    found = np.array(values, dtype=float)
    found[found == 0] = np.nan
    return found


@functools.cache
def overview() -> AccuracyOverview:
    """How they came out, by group and by source; nothing is predicted again."""
    data, rows = read(), columns()
    kind, group, source = np.array(data.kind), np.array(data.group), np.array(data.source)
    by_group, by_source = [], []
    for places in _alike(kind * len(data.groups) + group):
        first = places[0]
        words = {"kind": data.kinds[kind[first]], "group": data.groups[group[first]]}
        if words["group"]:
            mine = rows.only(places)
            by_group.append(Accuracy(**words, **column_statistics(mine)))
            for own in _alike(mine.source):
                told = {**words, "source": data.sources[source[places[own[0]]]]}
                by_source.append(Accuracy(**told, **column_statistics(mine.only(own))))
    reasons = ((data.kind[place], data.reason[place]) for place in np.flatnonzero(rows.refused))
    return AccuracyOverview(
        cases=len(data.kind),
        predicted=int((~rows.refused).sum()),
        fitted=int((rows.fitted & ~rows.refused).sum()),
        by_group=tuple(by_group),
        by_source=tuple(by_source),
        refusals=counted_refusals((data.kinds[k], data.reasons[r]) for k, r in reasons),
    )


def _alike(keys: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Places of equal keys, in order of first sight."""
    order = np.argsort(keys, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(keys[order])) + 1)
    return sorted(parts, key=lambda part: int(part[0]))


@functools.lru_cache(maxsize=64)
def outcomes(*, kind: str = "", group: str = "", quantity: str = "", source: str = "") -> tuple[Outcome, ...]:
    """The numbers of a kind, group, quantity and source, in the files' order; empty means any.

    Raises
    ------
    UnknownName
        No number has such a kind, group, quantity or source.
    """
    data = read()
    chosen = np.ones(len(data.kind), dtype=bool)
    for what, name, words, places in (
        ("kind of measurement", kind, data.kinds, data.kind),
        ("group of the accuracy table", group, data.groups, data.group),
        ("measured quantity", quantity, data.quantities, data.quantity),
        ("source of measurements", source, data.sources, data.source),
    ):
        if name:
            if name not in words:
                raise UnknownName(what, name, filter(None, words))
            chosen &= np.array(places) == words.index(name)
    rows = columns()
    return tuple(_outcome(data, rows, place) for place in map(int, np.flatnonzero(chosen)))


def _outcome(data: Shipped, rows: Columns, place: int) -> Outcome:
    kind, quantity = data.kinds[data.kind[place]], data.quantities[data.quantity[place]]
    case = _cases(kind)[data.row[place]]
    name, unit = QUANTITIES[quantity]
    citation = published_in(case)
    return Outcome(
        kind=kind,
        file=case.file,
        id=case.id,
        group=data.groups[data.group[place]],
        quantity=quantity,
        name=name,
        unit=unit,
        source=case.source,
        citation=citation,
        url=_page(citation),
        setup=setup_words(case),
        measured=float(rows.measured[place]),
        predicted=float(rows.predicted[place]),
        low=float(rows.low[place]),
        high=float(rows.high[place]),
        rate=bool(rows.rate[place]),
        fitted=bool(rows.fitted[place]),
        reason=data.reasons[data.reason[place]],
    )


@functools.cache
def _cases(kind: str) -> Sequence[Case]:
    return shipped(kind)


_page = functools.lru_cache(maxsize=4096)(page_of)
