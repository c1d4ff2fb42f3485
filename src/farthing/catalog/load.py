"""Reads the data files into records: quoted unit to SI once, unknown or missing fields refused."""

from __future__ import annotations

import csv
import dataclasses
import functools
import math
from importlib import resources
from typing import Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from farthing import units
from farthing.errors import CatalogError, FarthingError

T = TypeVar("T")

_UNITS: Final[tuple[tuple[str, str, float], ...]] = (
    ("gbit_per_s", "bytes_per_s", units.BYTES_PER_GBIT),
    ("gb_per_s", "bytes_per_s", units.GIGA),
    ("mb_per_s", "bytes_per_s", units.MEGA),
    ("tflop_per_s", "flop_per_s", units.TERA),
    ("top_per_s", "op_per_s", units.TERA),
    ("per_gib", "per_byte", 1 / units.GIB),
    ("gib", "bytes", units.GIB),
    ("mib", "bytes", units.MIB),
    ("gb", "bytes", units.GIGA),
    ("ms", "s", units.MILLISECOND),
    ("us", "s", units.MICROSECOND),
    ("percent", "share", 0.01),
)
"""Ending of a column, ending of the field, factor. Longest first."""


def si_field(column: str) -> tuple[str, float]:
    """Name of the field that a column fills, and the factor to its SI unit.

    Examples
    --------
    >>> si_field("memory_gb_per_s"), si_field("gbit_per_s"), si_field("layers")
    (('memory_bytes_per_s', 1000000000.0), ('bytes_per_s', 125000000.0), ('layers', 1.0))
    """
    for ending, replacement, factor in _UNITS:
        if column == ending:
            return replacement, factor
        if column.endswith("_" + ending):
            return column[: -len(ending)] + replacement, factor
    return column, 1.0


def _convert(text: str, kind: Any, factor: float) -> Any:
    if kind is bool:
        if text not in ("yes", "no"):
            raise ValueError(f"{text!r} is neither yes nor no")
        return text == "yes"
    if kind is int:
        return int(text)
    if kind is float:
        value = float(text) * factor
        if not math.isfinite(value):
            raise ValueError(f"{text!r} is not a finite number")
        return value
    if get_origin(kind) is Literal and text not in get_args(kind):
        raise ValueError(f"{text!r} is none of {', '.join(get_args(kind))}")
    return msgspec.convert(text, kind)


def read_table(file: str, record: type[T], text: str | None = None) -> dict[str, T]:
    """All rows of a CSV file of ``catalog/data`` as records, by id.

    Columns are the record's fields, in the unit that the source quotes (``memory_gib`` fills
    ``memory_bytes``). An empty cell takes the field's default.

    Raises
    ------
    CatalogError
        An unknown or missing column, a value that does not parse, a repeated id, a row out of range.
    """
    content = (
        text if text is not None else (resources.files("farthing.catalog") / "data" / file).read_text("utf-8")
    )
    reader = csv.DictReader(content.splitlines())
    types = get_type_hints(record)
    fields = {field.name: field for field in dataclasses.fields(record)}  # type: ignore[arg-type]
    columns: dict[str, tuple[str, float]] = {}
    for column in reader.fieldnames or []:
        name, factor = si_field(column)
        if name not in fields:
            known = ", ".join(fields)
            raise CatalogError(file, "(header)", column, f"no such field; {record.__name__} has {known}")
        if name in (taken for taken, _ in columns.values()):
            raise CatalogError(file, "(header)", column, f"fills {name}, which another column fills too")
        columns[column] = (name, factor)
    filled = {name for name, _ in columns.values()}
    for name, field in fields.items():
        if field.default is dataclasses.MISSING and name not in filled:
            raise CatalogError(file, "(header)", name, "the column is missing")
    records: dict[str, T] = {}
    for number, row in enumerate(reader, start=2):
        key = row.get("id") or f"line {number}"
        if None in row or None in row.values():
            raise CatalogError(file, key, "(row)", f"line {number} has more or fewer cells than the header")
        values: dict[str, Any] = {}
        for column, (name, factor) in columns.items():
            cell = row[column].strip()
            if not cell:
                if fields[name].default is dataclasses.MISSING:
                    raise CatalogError(file, key, column, "is empty but required")
                continue
            try:
                values[name] = _convert(cell, types[name], factor)
            except (ValueError, msgspec.ValidationError) as error:
                raise CatalogError(file, key, column, str(error)) from None
        if key in records:
            raise CatalogError(file, key, "id", "is used twice")
        try:
            records[key] = record(**values)
        except FarthingError as error:
            raise CatalogError(file, key, "(row)", str(error)) from None
    return records


@functools.cache
def table(file: str, record: type[T]) -> dict[str, T]:
    """`read_table` of a shipped file, read once."""
    return read_table(file, record)
