"""Writes rows as a file and reads them back: CSV with what Python has, Parquet with polars."""

from __future__ import annotations

import contextlib
import csv
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, Final

from farthing.errors import FarthingError, InvalidInput
from farthing.sweeps.answer import Row
from farthing.sweeps.columns import Cell
from farthing.sweeps.extras import extra

Kinds = Mapping[str, type]
"""The type of each column's cells, in the order of the columns."""

BATCH: Final = 10_000
"""Rows that are turned into columns at once."""


def write_table(path: Path, kinds: Kinds, rows: Iterable[Row]) -> None:
    """Write a table whole or not at all, as the ending of its name says.

    Raises
    ------
    FarthingError
        The disk does not take it.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        _writer(path)(part, kinds, rows)
        part.replace(path)
    except OSError as error:
        raise FarthingError(f"cannot write {path}: {error.strerror or error}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def check_table(path: Path, *, force: bool) -> None:
    """Refuse at once what could not be written in the end.

    Raises
    ------
    InvalidInput
        An unknown ending, no polars for Parquet, a file that is there already, a folder that is not.
    """
    _writer(path)
    if path.suffix.lower() == ".parquet":
        polars("writing Parquet", "name a .csv file")
    if path.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a folder; name a file")
    if path.exists() and not force:
        raise InvalidInput(f"{path} is there already; name another output, or use --force (force=True)")
    if not path.parent.is_dir():
        raise InvalidInput(f"cannot write {path}: there is no folder {path.parent}; name one that exists")


def _writer(path: Path) -> Callable[[Path, Kinds, Iterable[Row]], None]:
    writers = {".csv": _write_csv, ".parquet": _write_parquet}
    if path.suffix.lower() not in writers:
        raise InvalidInput(
            f"cannot tell the format of {path.name!r}; use a name that ends in .csv or .parquet"
        )
    return writers[path.suffix.lower()]


def polars(what: str, instead: str = "") -> Any:
    """Polars, or the command that installs it."""
    return extra("polars", "frames", what, instead)


def _write_csv(path: Path, kinds: Kinds, rows: Iterable[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(kinds)
        for row in rows:
            writer.writerow([str(cell).lower() if isinstance(cell, bool) else cell for cell in row])


def _write_parquet(path: Path, kinds: Kinds, rows: Iterable[Row]) -> None:
    polars_frame(kinds, rows, "writing Parquet").write_parquet(path, row_group_size=BATCH)


def polars_frame(kinds: Kinds, rows: Iterable[Row], what: str) -> Any:
    """Rows as a polars data frame."""
    pl = polars(what)
    types = {int: pl.Int64, float: pl.Float64, bool: pl.Boolean, str: pl.String}
    schema = {name: types[kind] for name, kind in kinds.items()}
    batches = [pl.DataFrame(batch, schema=schema, orient="row") for batch in _batches(rows)]
    return pl.concat(batches, rechunk=True) if batches else pl.DataFrame(schema=schema)


def pandas_frame(kinds: Kinds, rows: Iterable[Row], what: str) -> Any:
    """Rows as a pandas data frame; columns of types that know empty cells."""
    pd = extra("pandas", "", what)
    types = {int: "Int64", float: "Float64", bool: "boolean", str: "string"}
    filled = list(rows)
    cells = zip(*filled, strict=True) if filled else [()] * len(kinds)
    return pd.DataFrame(
        {
            name: pd.array(list(column), dtype=types[kind])
            for (name, kind), column in zip(kinds.items(), cells, strict=True)
        }
    )


def _batches(rows: Iterable[Row]) -> Iterator[list[Row]]:
    rest = iter(rows)
    while batch := list(islice(rest, BATCH)):
        yield batch


def read_table(path: Path, kinds: Kinds) -> Iterator[Row]:
    """The rows of a table that `write_table` wrote.

    Raises
    ------
    InvalidInput
        The file cannot be read, or has other columns.
    """
    try:
        header, found = (_read_parquet if path.suffix.lower() == ".parquet" else _read_csv)(path, kinds)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror or error}") from None
    if header != list(kinds):
        raise InvalidInput(f"{path} has other columns than the sweep wrote; run the sweep again")
    return found


def _read_csv(path: Path, kinds: Kinds) -> tuple[list[str], Iterator[Row]]:
    with path.open(encoding="utf-8", newline="") as file:
        header, *lines = [*csv.reader(file)] or [[]]
    return header, (list(map(_cell, line, kinds.values())) for line in lines)


def _read_parquet(path: Path, kinds: Kinds) -> tuple[list[str], Iterator[Row]]:
    frame = polars("reading Parquet").read_parquet(path)
    return frame.columns, map(list, frame.iter_rows())


def _cell(text: str, kind: type) -> Cell:
    if not text:
        return None
    if kind is bool:
        return text == "true"
    cell: Cell = kind(text)
    return cell
