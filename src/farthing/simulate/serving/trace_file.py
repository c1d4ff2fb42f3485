"""The file of a trace: CSV or JSON lines, plain or gzip, read in pieces; what is odd is told by its line."""

from __future__ import annotations

import csv
import gzip
import io
import operator
import stat
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple, cast

import msgspec

from farthing.errors import InvalidInput
from farthing.simulate.serving.trace_layout import EXAMPLE, Layout, listed

ROWS: Final = 8192
"""Of CSV that are read at a time."""
PIECE_BYTES: Final = 2**20
"""Of JSON lines that are read at a time, and the longest first line."""
AGAIN: Final = "delete it, or get the file again"

_TYPES: Final[dict[str, Any]] = {
    "arrival": int | float | str,
    "prompt": int | float,
    "output": int | float,
    "priority": int | float,
    "prefix": tuple[int, ...],
}
_WORDS: Final = {"arrival": "a number or a date-time", "prefix": "a list of whole numbers"}


class Cells(NamedTuple):
    """Some requests as they stand in the file: cells by field, and the number of each one's row."""

    columns: dict[str, Sequence[Any]]
    rows: Sequence[int]


class TraceFile:
    """A file with one request a line, under names.

    Parameters
    ----------
    path
        Of a regular file: it is read more than once.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.version = self._version()
        with self._told(), self._opened() as file:
            head = file.read(PIECE_BYTES)
        self._refuse_odd(head)
        text = head.decode("utf-8-sig", "replace")
        self.is_json = text.lstrip().startswith("{")
        if text.lstrip().startswith("["):
            raise InvalidInput(f"{path} is a JSON array; write its requests one a line, without the brackets")
        if len(head) == PIECE_BYTES and "\n" not in text and "\r" not in text:
            raise InvalidInput(f"{path}: its first line does not end; give a trace with one request a line")
        header = text.lstrip().partition("\n")[0]
        self._delimiter = max(",;\t", key=header.count)
        with self._told():
            self.names = self._keys() if self.is_json else self._header()

    def _version(self) -> tuple[int, int]:
        """Size and time of change."""
        try:
            found = self.path.stat()
        except OSError as error:
            raise InvalidInput(f"cannot read {self.path}: {error.strerror}; name an existing file") from None
        if stat.S_ISDIR(found.st_mode):
            raise InvalidInput(f"{self.path} is a folder; name a file in it")
        if not stat.S_ISREG(found.st_mode):
            raise InvalidInput(f"{self.path} is no regular file; a trace is read twice, so save it to a file")
        return found.st_size, found.st_mtime_ns

    def _opened(self) -> BinaryIO:
        with self.path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        return cast(BinaryIO, gzip.open(self.path)) if packed else self.path.open("rb")

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say what went wrong with reading, and where."""
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise InvalidInput(f"{self.path} is no whole gzip file ({error}); get it again") from None
        except UnicodeDecodeError:
            raise InvalidInput(
                f"{self.path}, line {self._undecodable()} is not text in UTF-8; save it in that encoding"
            ) from None
        except csv.Error as error:
            line = self._broken_line()
            raise InvalidInput(f"{self.path}, line {line} is no CSV ({error}); correct it") from None
        except OSError as error:
            raise InvalidInput(f"cannot read {self.path}: {error.strerror or error}") from None

    def _refuse_odd(self, head: bytes) -> None:
        if not head.strip():
            raise InvalidInput(f"{self.path} is empty; give a trace with a request on each line")
        if b"\0" in head:
            raise InvalidInput(
                f"{self.path} is a binary file; give CSV or JSON lines in UTF-8, or gzip of them"
            )

    def _undecodable(self) -> int:
        with self._opened() as file:
            for number, line in enumerate(file, 1):
                try:
                    line.decode()
                except UnicodeDecodeError:
                    return number
        return 1

    @contextmanager
    def _table(self) -> Iterator[Any]:
        """A reader of CSV, which knows its line."""
        with self._opened() as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            yield csv.reader(text, delimiter=self._delimiter, skipinitialspace=True, strict=True)

    def _broken_line(self) -> int:
        with self._table() as reader:
            try:
                for _ in reader:
                    pass
            except csv.Error:
                return int(reader.line_num)
        return 1

    def _header(self) -> list[str]:
        with self._table() as reader:
            names: list[str] = next(filter(None, reader), [])
        if any(_is_number(name) for name in names):
            raise InvalidInput(
                f"{self.path}: its first line, {self._delimiter.join(names)!r}, names no columns; "
                f"add a line of names, such as time,input,output, and {EXAMPLE}"
            )
        return [name.strip() for name in names]

    def _keys(self) -> list[str]:
        with self._opened() as file:
            line = next(line for line in file if line.strip())
        return list(self._object(line, 1))

    def line(self, row: int) -> int:
        """Line of the file that a row ends on, counted from one; rows of CSV are counted from its header."""
        if self.is_json:
            return row + 1
        with self._table() as reader:
            for _ in islice(reader, row + 1):
                pass
            return int(reader.line_num)

    def cells(self, layout: Layout) -> Iterator[Cells]:
        """The requests, some thousand at a time.

        Parameters
        ----------
        layout
            Whose columns are among the file's names.
        """
        if self._version() != self.version:
            raise InvalidInput(f"{self.path} has changed since it was first read; read the trace again")
        columns = layout.columns
        for name in columns.values():
            if self.names.count(name) > 1:
                raise InvalidInput(f"{self.path} has two columns {name!r}; rename or delete one")
        pieces = self._json_cells(columns) if self.is_json else self._csv_cells(columns)
        while True:
            with self._told():
                piece = next(pieces, None)
            if piece is None:
                return
            if piece.rows:
                yield piece

    def _csv_cells(self, columns: dict[str, str]) -> Iterator[Cells]:
        wanted = [(field, self.names.index(name)) for field, name in columns.items()]
        width, start = len(self.names), 0
        with self._table() as reader:
            for header in reader:
                start += 1
                if header:
                    break
            while piece := list(islice(reader, ROWS)):
                rows: Sequence[int] = range(start, start + len(piece))
                start += len(piece)
                if set(map(len, piece)) != {width}:
                    rows = [row for row, cells in zip(rows, piece, strict=True) if cells]
                    piece = [cells for cells in piece if cells]
                    for row, cells in zip(rows, piece, strict=True):
                        if len(cells) != width:
                            self._refuse_width(row, cells)
                found = list(zip(*piece, strict=True)) if piece else [()] * width
                yield Cells({field: found[place] for field, place in wanted}, rows)

    def _refuse_width(self, row: int, cells: list[str]) -> None:
        with self._table() as reader:
            is_last = next(islice(reader, row + 1, None), None) is None
        cut = is_last and len(cells) < len(self.names)
        raise InvalidInput(
            f"{self.path}, line {self.line(row)} has {len(cells)} columns, the first line {len(self.names)} "
            f"({listed(self.names)}); {f'it is cut short: {AGAIN}' if cut else 'correct it'}"
        )

    def _json_cells(self, columns: dict[str, str]) -> Iterator[Cells]:
        kinds = [(field, _TYPES[field]) for field in columns]
        decode = msgspec.json.Decoder(msgspec.defstruct("Row", kinds, rename=columns, gc=False)).decode
        fields = operator.attrgetter(*columns)
        start = 0
        with self._opened() as file:
            while lines := file.readlines(PIECE_BYTES):
                rows: Sequence[int] = range(start, start + len(lines))
                start += len(lines)
                try:
                    found = [fields(decode(line)) for line in lines]
                except (msgspec.DecodeError, UnicodeDecodeError):
                    rows = [row for row, line in zip(rows, lines, strict=True) if line.strip()]
                    lines = [line for line in lines if line.strip()]
                    for row, line in zip(rows, lines, strict=True):
                        self._check(row, line, columns)
                    found = [fields(decode(_bare(line))) for line in lines]
                cells = zip(*found, strict=True) if found else [()] * len(columns)
                yield Cells(dict(zip(columns, cells, strict=True)), rows)

    def _check(self, row: int, line: bytes, columns: dict[str, str]) -> None:
        """Raise for a line that does not hold the wanted keys and kinds of values."""
        found = self._object(line, row + 1)
        for field, name in columns.items():
            where = f"{self.path}, line {row + 1}"
            if name not in found:
                raise InvalidInput(f"{where} lacks the key {name!r}; its keys are {listed(list(found))}")
            try:
                msgspec.convert(found[name], _TYPES[field])
            except msgspec.ValidationError:
                word = _WORDS.get(field, "a number")
                value = msgspec.json.encode(found[name]).decode()
                said = value if len(value) < 40 else f"{value[:40]}..."
                raise InvalidInput(f"{where}, column {name!r}: {said} is not {word}; correct it") from None

    def _object(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            found = msgspec.json.decode(_bare(line))
        except msgspec.DecodeError as error:
            cut = not line.endswith(b"\n")
            advice = f"it is cut short: {AGAIN}" if cut else "write one whole request a line"
            raise InvalidInput(f"{self.path}, line {number} is no JSON ({error}); {advice}") from None
        if not isinstance(found, dict):
            raise InvalidInput(f"{self.path}, line {number} is no JSON object; write one request a line")
        return found


def _bare(line: bytes) -> bytes:
    """A line without the mark of UTF-8 that some editors put first."""
    return line.removeprefix(b"\xef\xbb\xbf")


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
