"""Links, network cards, switches, hosts, engines and number formats, as a list or one in full."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.engine import Engine
from farthing.records.hardware import Host, Link, Nic, NumberFormat, Switch
from farthing.report import layout
from farthing.report.prices import mark
from farthing.units import format_bytes, format_quantity, format_seconds, format_usd, unit_of

Row = Link | Nic | Switch | Host | Engine | NumberFormat


def _gbit(bytes_per_s: float) -> str:
    return f"{bytes_per_s * 8 / 1e9:,.4g}"


def _known(value: float, text: str) -> str:
    return text if value else "-"


def _price(row: Any) -> str:
    return _known(row.price_usd, format_usd(row.price_usd) + mark(row.price_date))


_COLUMNS: Final[dict[str, tuple[tuple[str, ...], Callable[[Any], tuple[str, ...]]]]] = {
    "links": (
        ("id", "name", "GB/s", "latency", "reached"),
        lambda r: (
            r.id,
            r.name,
            f"{r.bytes_per_s / 1e9:,.4g}",
            format_seconds(r.latency_s),
            layout.percent(r.efficiency),
        ),
    ),
    "nics": (
        ("id", "name", "ports", "power", "price"),
        lambda r: (
            r.id,
            r.name,
            str(r.ports),
            _known(r.power_w, f"{r.power_w:g} W"),
            _price(r),
        ),
    ),
    "switches": (
        ("id", "name", "ports", "Gbit/s", "power", "price"),
        lambda r: (
            r.id,
            r.name,
            str(r.ports),
            _gbit(r.bytes_per_s),
            _known(r.power_w, f"{r.power_w:g} W"),
            _price(r),
        ),
    ),
    "hosts": (
        ("id", "name", "slots", "PCIe", "memory", "price"),
        lambda r: (
            r.id,
            r.name,
            str(r.slots),
            _known(r.pcie_generation, f"{r.pcie_generation}.0 x{r.pcie_lanes_per_slot}"),
            format_bytes(r.memory_bytes, binary=True),
            _price(r),
        ),
    ),
    "engines": (
        ("id", "name", "version", "kind", "splits"),
        lambda r: (
            r.id,
            r.name,
            r.version,
            r.kind,
            " ".join(
                short
                for short, able in (
                    ("tp", r.tensor_parallel),
                    ("pp", r.pipeline_parallel),
                    ("ep", r.expert_parallel),
                    ("dp", r.data_parallel),
                )
                if able
            )
            or "-",
        ),
    ),
    "formats": (
        ("id", "name", "bits", "computes in", "holds"),
        lambda r: (
            r.id,
            r.name,
            f"{r.bits:.5g}",
            r.compute,
            " ".join(
                what
                for what, able in (("weights", r.weights), ("KV", r.kv_cache), ("activations", r.activations))
                if able
            ),
        ),
    ),
}


def row_list(table: str, rows: Sequence[Row]) -> RenderableType:
    """One line for each row of a table.

    Parameters
    ----------
    table
        ``links nics switches hosts engines formats``.
    rows
        In the order in which they are shown.
    """
    header, cells = _COLUMNS[table]
    note = " One-way rates of one port." if table == "links" else ""
    return Group(
        layout.columns(header, map(cells, rows), left=2),
        Text(),
        Text(f"{len(rows)} {table}.{note} farthing catalog show {table} ID tells more.", style="dim"),
    )


_ENDINGS: Final = (("_bytes_per_s", " bandwidth"), ("_bytes", ""), ("_s", ""), ("_w", ""), ("_usd", ""))


def _label(field: str) -> str:
    if field == "bytes_per_s":
        return "rate of a port"
    for ending, kept in _ENDINGS:
        if field.endswith(ending):
            return field.removesuffix(ending).replace("_", " ") + kept
    return field.replace("_", " ")


def _facts(row: Row) -> Iterator[tuple[str, str]]:
    for field in dataclasses.fields(row):
        value, unit = getattr(row, field.name), unit_of(field.name)
        if field.name in ("id", "name", "notes", "source") or value in ("", 0, 0.0):
            continue
        if isinstance(value, bool):
            words = "yes" if value else "no"
        elif field.name == "price_date":
            words = f"{value}{mark(value)}"
        elif unit == "byte":
            words = format_bytes(value, binary=True)
        elif isinstance(value, float):
            words = format_quantity(value, unit) if unit else f"{value:g}"
        else:
            words = str(value)
        yield _label(field.name), words


def row_report(row: Row) -> RenderableType:
    """All facts of one row, with its source.

    Parameters
    ----------
    row
        A record of the catalogue.
    """
    parts: list[RenderableType] = [layout.heading(row.name, row.id), layout.facts(_facts(row))]
    for title, text in (("Notes", getattr(row, "notes", "")), ("Source", row.source)):
        if text:
            parts += [Text(), layout.heading(title), layout.indented(Text(text))]
    return Group(*parts)
