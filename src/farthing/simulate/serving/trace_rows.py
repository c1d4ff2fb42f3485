"""Cells of a trace as columns of numbers, each checked: times since the first row, tokens, priorities."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from farthing.errors import InvalidInput
from farthing.records.serving import MOST_TOKENS
from farthing.simulate.serving.trace_file import Cells, TraceFile
from farthing.simulate.serving.trace_layout import Layout

MOST_SECONDS: Final = 1e10
"""Three centuries: a larger number is a time in another unit."""
MOST_PRIORITY: Final = 1_000_000

_INSTANT: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,9})?)?)"
    r" ?(Z|UTC|[+-][0-9]{2}:?[0-9]{2})?"
)
_GREENWICH: Final = {None, "Z", "UTC", "+00:00", "+0000"}
_YEARS: Final = ("1700", "2261")
"""What a count of nanoseconds in 64 bits can hold."""


class Odd(ValueError):
    """A cell that makes no sense: why, and what to do, as the rest of a sentence."""


class Rows(NamedTuple):
    """Some requests in columns; None where there is no such: of priorities, prefixes, and rows of a file."""

    arrival_s: NDArray[np.float64]
    prompt: NDArray[np.int64]
    output: NDArray[np.int64]
    priority: NDArray[np.int64] | None
    prefix: Sequence[tuple[int, ...]] | None
    row: NDArray[np.int64] | None

    def only(self, which: NDArray[Any]) -> Rows:
        """The requests of a mask, or at places."""
        places = np.flatnonzero(which) if which.dtype == bool else which
        return Rows(
            self.arrival_s[places],
            self.prompt[places],
            self.output[places],
            None if self.priority is None else self.priority[places],
            None if self.prefix is None else [self.prefix[place] for place in places.tolist()],
            None if self.row is None else self.row[places],
        )


def rows(file: TraceFile, layout: Layout) -> Iterator[Rows]:
    """The requests of a file in its own order, times from its first row [s]; nothing is dropped yet.

    Parameters
    ----------
    file
        Which is read from its start.
    layout
        Which columns tell what.
    """
    clock = Clock(layout.unit_s)
    for cells in file.cells(layout):

        def column(field: str, read: Callable[[Sequence[Any]], Any], cells: Cells = cells) -> Any:
            return _read(file, layout, cells, field, read)

        prompt = column("prompt", _tokens)
        prefix = cells.columns.get("prefix")
        if prefix is not None:
            full = (prompt // layout.block_tokens).tolist()
            prefix = [ids[:blocks] for ids, blocks in zip(prefix, full, strict=True)]
        yield Rows(
            column("arrival", clock.seconds),
            prompt,
            column("output", _tokens),
            column("priority", _priorities) if layout.priority else None,
            prefix,
            np.asarray(cells.rows),
        )


def _read(
    file: TraceFile, layout: Layout, cells: Cells, field: str, read: Callable[[Sequence[Any]], Any]
) -> Any:
    """A column of numbers; where a cell is odd, the error names it."""
    column = cells.columns[field]
    try:
        return read(column)
    except Odd:
        for row, cell in zip(cells.rows, column, strict=True):
            try:
                read([cell])
            except Odd as why:
                said = f"{cell[:40]!r}" if isinstance(cell, str) else f"{cell}"
                where = f"{file.path}, line {file.line(row)}, column {layout.columns[field]!r}"
                raise InvalidInput(f"{where}: {said} {why}") from None
        raise


class Clock:
    """Arrivals as seconds since the first one that it is given.

    Parameters
    ----------
    unit_s
        Of numbers [s]; 0 where the first cell decides: a number is in seconds, else date-times.

    Examples
    --------
    >>> Clock(0).seconds(["2024-05-10 00:00:00.009930+00:00", "2024-05-10T02:00:01+02:00"]).tolist()
    [0.0, 0.99007]
    >>> Clock(0.001).seconds([1700000000000, 1700000000250]).tolist()
    [0.0, 0.25]
    """

    def __init__(self, unit_s: float) -> None:
        self._unit_s = unit_s
        self._dates = False
        self._origin: Any = None

    def seconds(self, cells: Sequence[Any]) -> NDArray[np.float64]:
        """Of numbers, or of texts that are numbers or ISO date-times (UTC where they say nothing else)."""
        if not self._unit_s:
            self._dates = isinstance(cells[0], str) and _INSTANT.fullmatch(cells[0].strip()) is not None
            self._unit_s = 1.0
        times: Any = _instants(cells) if self._dates else self._numbers(cells)
        if self._origin is None:
            self._origin = times[0]
        since: NDArray[np.float64] = times - self._origin
        return since / 1e9 if self._dates else since * self._unit_s

    def _numbers(self, cells: Sequence[Any]) -> NDArray[np.float64]:
        try:
            times = np.fromiter(map(float, cells), np.float64, len(cells))
        except (ValueError, OverflowError):
            raise Odd("is no time; write a number, or a date-time such as 2024-05-10 12:30:00.25") from None
        if not (times >= 0).all():
            raise Odd("is no time from the start; write a number of 0 or more")
        if not (times * self._unit_s <= MOST_SECONDS).all():
            raise Odd("is too large for seconds; name the unit with the column, as in timestamp:ms")
        return times


def _instants(cells: Sequence[Any]) -> NDArray[np.int64]:
    """Nanoseconds since 1970."""
    try:
        matches = [_INSTANT.fullmatch(cell) or _INSTANT.fullmatch(cell.strip()) for cell in cells]
        parts = [match.groups() for match in matches if match is not None]
        texts = [text for text, _ in parts]
        if len(parts) < len(cells) or min(texts)[:4] < _YEARS[0] or max(texts)[:4] > _YEARS[1]:
            raise ValueError
        found = np.array(texts, "datetime64[ns]").astype(np.int64)
    except (ValueError, AttributeError):
        raise Odd("is no date-time; write it like 2024-05-10 12:30:00.25, as in the first row") from None
    zones = [zone for _, zone in parts]
    if set(zones) <= _GREENWICH:
        return found
    ahead_s = np.fromiter(map(_ahead_s, zones), np.int64, len(zones))
    return found - ahead_s * 1_000_000_000


def _ahead_s(zone: str | None) -> int:
    """How far a place's clock is before that of Greenwich [s]."""
    if zone in _GREENWICH or zone is None:
        return 0
    minutes = 60 * int(zone[1:3]) + int(zone[-2:])
    return -60 * minutes if zone[0] == "-" else 60 * minutes


def _whole(cells: Sequence[Any], most: int, what: str) -> NDArray[np.int64]:
    count = len(cells)
    try:
        if isinstance(cells[0], str):
            try:
                found = np.fromiter(map(int, cells), np.int64, count)
            except ValueError:  # 374.0, as a table with gaps is written
                found = _integral(np.fromiter(map(float, cells), np.float64, count))
        else:
            found = _integral(np.fromiter(map(float, cells), np.float64, count))
    except ValueError:
        raise Odd(f"is no whole number; write the {what}") from None
    except OverflowError:
        raise Odd(f"is not in 0..{most}; write the {what}") from None
    if found.min() < 0 or found.max() > most:
        raise Odd(f"is not in 0..{most}; write the {what}")
    return found


def _integral(numbers: NDArray[np.float64]) -> NDArray[np.int64]:
    if not (np.isfinite(numbers) & (np.floor(numbers) == numbers) & (np.abs(numbers) < 2.0**62)).all():
        raise ValueError
    return numbers.astype(np.int64)


def _tokens(cells: Sequence[Any]) -> NDArray[np.int64]:
    return _whole(cells, MOST_TOKENS, "number of tokens, 0 where there was no answer")


def _priorities(cells: Sequence[Any]) -> NDArray[np.int64]:
    return _whole(cells, MOST_PRIORITY, "priority, 0 for the most urgent")
