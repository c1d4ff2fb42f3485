"""Training runs whose failures were published, by id."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final, TypeVar, get_type_hints

import msgspec

from farthing.catalog.references import references
from farthing.errors import CatalogError, FarthingError, UnknownName
from farthing.records.fault_preset import Assumption, FaultPreset, PublishedCause
from farthing.units import DAY, HOUR

T = TypeVar("T")

FILE: Final = "fault_presets.toml"

_UNITS: Final = (("_days", "_s", DAY), ("_hours", "_s", HOUR))


@functools.cache
def fault_presets() -> Mapping[str, FaultPreset]:
    """All presets by id.

    Examples
    --------
    >>> sorted(fault_presets())
    ['article-2048', 'llama-3-405b']
    >>> sum(cause.events for cause in fault_presets()["llama-3-405b"].causes)
    419.0
    """
    return read_fault_presets((resources.files("farthing.catalog") / "data" / FILE).read_text("utf-8"))


def fault_preset(name: str) -> FaultPreset:
    """The preset of that id; raises `UnknownName` with the nearest ids."""
    known = fault_presets()
    found = known.get(name.strip().lower())
    if found is None:
        raise UnknownName("preset", name, known, f"known are {', '.join(known)}")
    return found


def read_fault_presets(text: str, file: str = FILE) -> dict[str, FaultPreset]:
    """Presets of a TOML text: a table each, with arrays of ``causes`` and ``assumptions``.

    A name that ends in ``_days`` or ``_hours`` fills the field that ends in ``_s``.

    Raises
    ------
    CatalogError
        No TOML, an unknown or missing field, a value of another kind or out of range, an unknown source.
    """
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise CatalogError(file, "(file)", "(TOML)", str(error)) from None
    found = {}
    for id, table in tables.items():
        if not isinstance(table, dict):
            raise CatalogError(file, id, "(table)", "stands outside of any table; write [ID] above it")
        found[id] = _record(
            file,
            id,
            FaultPreset,
            {**table, "id": id},
            causes=_rows(file, id, "causes", table, PublishedCause),
            assumptions=_rows(file, id, "assumptions", table, Assumption),
        )
        if found[id].source not in references():
            raise CatalogError(file, id, "source", f"no entry {found[id].source!r} in references.bib")
    return found


def _rows(file: str, id: str, name: str, table: Mapping[str, Any], kind: type[T]) -> tuple[T, ...]:
    """Records of an array of tables."""
    rows = table.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise CatalogError(file, id, name, f"write each as a table [[{id}.{name}]]")
    return tuple(_record(file, id, kind, row) for row in rows)


def _record(file: str, id: str, kind: type[T], table: Mapping[str, Any], **made: Any) -> T:
    """A record of a table, whose fields are named in its unit or as they are."""
    types = get_type_hints(kind)
    known = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for column, value in table.items():
        if column in made:
            continue
        name, factor = column, 1.0
        for ending, si, times in _UNITS:
            if column.endswith(ending):
                name, factor = column.removesuffix(ending) + si, times
        if name not in known:
            raise CatalogError(file, id, column, f"no such field; {kind.__name__} has {', '.join(known)}")
        if name in values:
            raise CatalogError(file, id, column, f"fills {name}, which another field fills too")
        try:
            read = msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            raise CatalogError(file, id, column, str(error)) from None
        values[name] = read * factor if factor != 1.0 else read
    for name, field in known.items():
        if field.default is dataclasses.MISSING and name not in values and name not in made:
            raise CatalogError(file, id, name, "is missing")
    try:
        return kind(**values, **made)
    except FarthingError as error:
        raise CatalogError(file, id, "(table)", str(error)) from None
