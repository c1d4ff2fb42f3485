"""What a sweep has answered so far: in a file beside the output, so that an interrupt loses nothing."""

from __future__ import annotations

import array
import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from farthing import __version__
from farthing.errors import FarthingError, InvalidInput
from farthing.sweeps.answer import Row
from farthing.sweeps.grid import Grid

try:
    import fcntl
except ImportError:  # Windows lets nobody else write to an open file.
    fcntl = None  # type: ignore[assignment]

ENDING: Final = ".partial"
RESTART: Final = "start over with --restart (in Python restart=True)"
_OPEN: Final = -1


class Answers:
    """Rows in memory, by the place of their question."""

    whereabouts = ""

    def __init__(self, grid: Grid) -> None:
        self._rows: list[Row | None] = [None] * len(grid)
        self.done = 0

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *stopped: object) -> None:
        """Nothing is open."""

    @property
    def open(self) -> Iterator[int]:
        """Places of the questions that have no row."""
        return (place for place, row in enumerate(self._rows) if row is None)

    def add(self, rows: Iterable[Row]) -> None:
        """Keep rows."""
        for row in rows:
            self.done += self._rows[_place(row)] is None
            self._rows[_place(row)] = row

    def rows(self) -> Iterator[Row]:
        """All rows, in the grid's order."""
        return (row for row in self._rows if row is not None)

    def remove(self) -> None:
        """Nothing is left behind."""


class PartialFile:
    """Rows in a file: a line that says of which sweep, then a JSON list a line; in memory, where each begins.

    Parameters
    ----------
    path
        The file; what it holds already is kept.
    grid
        The questions.
    width
        Cells of a row.
    restart
        Drop what the file holds.

    Raises
    ------
    InvalidInput
        The file cannot be written, is of another sweep or version, is damaged, or another process writes it.
    """

    def __init__(self, path: Path, grid: Grid, width: int, *, restart: bool = False) -> None:
        self.path = path
        self.done = 0
        self._head_bytes = 0
        self._width = width
        self._restart = restart
        self._starts = array.array("q", [_OPEN]) * len(grid)
        head = {"farthing": __version__, "sweep": grid.fingerprint, "questions": len(grid)}
        try:
            self._file: BinaryIO = path.open("a+b")
            try:
                self._lock()
                if restart:
                    self._file.truncate(0)
                self._read(head)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise InvalidInput(f"cannot write {path}: {error.strerror}; name another output") from None

    def __enter__(self) -> PartialFile:
        return self

    def __exit__(self, *stopped: object) -> None:
        # A full disk has been told already, where rows are added.
        with contextlib.suppress(OSError):
            self._file.close()
            # By the file and not by the count: an interrupt may fall between writing rows and counting them.
            if self.path.stat().st_size <= self._head_bytes:
                self.remove()

    @property
    def whereabouts(self) -> str:
        """What to say to who asks for the rows of a sweep that did not finish."""
        return (
            f"; {self.done:,} of {len(self._starts):,} questions are answered and kept in {self.path}: "
            f"the same command{' without --restart' * self._restart} goes on from there"
        )

    @property
    def open(self) -> Iterator[int]:
        """Places of the questions that have no row."""
        return (place for place, start in enumerate(self._starts) if start == _OPEN)

    def add(self, rows: Iterable[Row]) -> None:
        """Append rows, so that the death of this process does not lose them."""
        start = self._file.seek(0, 2)
        lines = [(row, msgspec.json.encode(row) + b"\n") for row in rows]
        try:
            self._file.write(b"".join(line for _, line in lines))
            self._file.flush()
        except OSError as error:
            raise FarthingError(f"cannot write {self.path}: {error.strerror}; make room") from None
        for row, line in lines:
            self._keep(_place(row), start)
            start += len(line)

    def rows(self) -> Iterator[Row]:
        """All rows, in the grid's order."""
        for start in self._starts:
            if start != _OPEN:
                self._file.seek(start)
                yield msgspec.json.decode(self._file.readline())

    def remove(self) -> None:
        """Delete the file: its rows are elsewhere now."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def _lock(self) -> None:
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidInput(
                    f"another farthing sweep writes {self.path}; wait for it, or name another output"
                ) from None
            except OSError:
                # Some network file systems have no locks; what they hold can still be written.
                return

    def _read(self, head: dict[str, Any]) -> None:
        """Learn where the file's rows are; a line that was cut short in the writing is dropped."""
        self._file.seek(0)
        first = self._file.readline()
        end = len(first)
        if not first.endswith(b"\n"):
            self._check_cut(first)
            self._file.truncate(0)
            self._head_bytes = self._file.write(msgspec.json.encode(head) + b"\n")
            self._file.flush()
            return
        self._check_head(first, head)
        self._head_bytes = end
        for number, line in enumerate(self._file, start=2):
            if not line.endswith(b"\n"):
                break
            self._keep(self._checked(line, number), end)
            end += len(line)
        self._file.truncate(end)

    def _check_cut(self, first: bytes) -> None:
        if first and not first.startswith(b'{"farthing":'[: len(first)]):
            raise InvalidInput(
                f"{self.path} was not written by a sweep; move it away, or name another output"
            )

    def _check_head(self, first: bytes, head: dict[str, Any]) -> None:
        try:
            found = msgspec.json.decode(first, type=dict[str, Any])
        except msgspec.DecodeError:
            found = {}
        if set(found) != set(head):
            raise InvalidInput(
                f"{self.path} was not written by a sweep; move it away, or name another output"
            )
        if found["farthing"] != head["farthing"]:
            raise InvalidInput(
                f"{self.path} was begun by farthing {found['farthing']}, whose rows may differ from those of "
                f"this one, {head['farthing']}; {RESTART}, or go on with that version"
            )
        if found != head:
            raise InvalidInput(
                f"{self.path} answers other questions: the sweep, a file that it names, or constants or "
                f"prices of your own have changed since; {RESTART}, or name another output"
            )

    def _checked(self, line: bytes, number: int) -> int:
        """The place of a line's question."""
        try:
            row = msgspec.json.decode(line, type=list[Any])
            place = _place(row) if len(row) == self._width else _OPEN
            if not (isinstance(place, int) and 0 <= place < len(self._starts)):
                raise ValueError
        except (ValueError, TypeError):
            raise InvalidInput(f"{self.path} is damaged in line {number}; {RESTART}") from None
        return place

    def _keep(self, place: int, start: int) -> None:
        self.done += self._starts[place] == _OPEN
        self._starts[place] = start


def _place(row: Row) -> int:
    """Where the question of a row is in the grid: its first cell counts from 1."""
    place: int = row[0] - 1  # type: ignore[operator, assignment]
    return place
