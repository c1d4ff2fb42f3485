"""Tables of the catalogue, as a list or one row in full."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.api_price import ApiPrice
from farthing.records.catalogue import CatalogEntry
from farthing.records.country import Country
from farthing.records.engine import Engine
from farthing.records.hardware import Host, Link, Nic, NumberFormat, Price, Switch
from farthing.records.hosting import Facility, Hosting
from farthing.records.parts import HostPart, Part
from farthing.records.resale import Resale
from farthing.report import layout
from farthing.report.prices import mark
from farthing.units import format_bytes, format_seconds, format_usd

Row = (
    Link
    | Nic
    | Switch
    | Host
    | HostPart
    | Part
    | Country
    | Hosting
    | Facility
    | Resale
    | ApiPrice
    | Engine
    | NumberFormat
)


def _gbit(bytes_per_s: float) -> str:
    return f"{bytes_per_s * 8 / 1e9:,.4g}"


def _known(value: float, text: str) -> str:
    return text if value else "-"


def _price(row: Any, prices: Mapping[str, Price]) -> str:
    price = prices.get(row.id)
    if price is not None:
        return format_usd(price.usd) + mark(price.date)
    usd = getattr(row, "price_usd", 0.0)
    return _known(usd, format_usd(usd) + mark(row.price_date) if usd else "")


_PRICED: Final = ("nics", "switches", "hosts", "parts")
"""Tables whose last column is a price."""

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
        ),
    ),
    "host-parts": (("host", "part", "count"), lambda r: (r.host, r.part, str(r.quantity))),
    "parts": (("id", "name", "kind", "price"), lambda r: (r.id, r.name, r.kind)),
    "countries": (
        ("id", "name", "USD/kWh at home", "in business", "socket", "date"),
        lambda r: (
            r.id,
            r.name,
            f"{r.usd_per_kwh_household:.3f}",
            _known(r.usd_per_kwh_business, f"{r.usd_per_kwh_business:.3f}"),
            f"{r.volts:g} V {r.circuit_amperes:g} A",
            r.date,
        ),
    ),
    "hosting": (
        ("id", "name", "USD/kW/month", "with power", "date"),
        lambda r: (r.id, r.name, f"{r.usd_per_kw_month:,.2f}", "yes" if r.includes_power else "no", r.date),
    ),
    "facilities": (("id", "name", "PUE", "date"), lambda r: (r.id, r.name, f"{r.pue:g}", r.date)),
    "resale": (
        ("accelerator", "age", "of its launch price", "date"),
        lambda r: (r.item, f"{r.age_years:.1f} years", layout.percent(r.share), r.date),
    ),
    "api-prices": (
        ("model", "provider", "weights", "read", "written", "date"),
        lambda r: (
            r.model,
            r.provider,
            r.weight_format or "-",
            f"{r.usd_per_million_input:.4g}",
            f"{r.usd_per_million_output:.4g}",
            r.date,
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


def row_list(table: str, rows: Sequence[Row], prices: Mapping[str, Price] | None = None) -> RenderableType:
    """One line for each row of a table.

    Parameters
    ----------
    table
        Its name, as `farthing.api.table` knows it.
    rows
        In the order in which they are shown.
    prices
        What rows cost, by id; by default what they say themselves.
    """
    header, cells = _COLUMNS[table]
    lines = [(*cells(row), *((_price(row, prices or {}),) if table in _PRICED else ())) for row in rows]
    note = _NOTES.get(table, "")
    if not rows or hasattr(rows[0], "id"):
        note += f" farthing catalog show {table} ID tells more."
    return Group(
        layout.columns(header, lines, left=2),
        Text(),
        Text(f"{len(rows)} {'rows' if table not in _PLURAL else table}.{note}", style="dim"),
    )


_NOTES: Final = {
    "links": " One-way rates of one port.",
    "api-prices": " USD for a million tokens of prompts, and of answers.",
}

_PLURAL: Final = (
    "links",
    "nics",
    "switches",
    "hosts",
    "parts",
    "countries",
    "facilities",
    "engines",
    "formats",
)
"""Tables that are called what their rows are."""


def row_report(entry: CatalogEntry) -> RenderableType:
    """All facts of one row, with its sources."""
    facts = [
        (fact.label, fact.words + (mark(fact.words) if fact.name == "price_date" else ""))
        for fact in entry.facts
    ]
    parts: list[RenderableType] = [layout.heading(entry.name, entry.id), layout.facts(facts)]
    for title, text in (("Notes", entry.notes), ("Source", entry.source), *_other_sources(entry)):
        if text:
            parts += [Text(), layout.heading(title), layout.indented(Text(text))]
    return Group(*parts)


def _other_sources(entry: CatalogEntry) -> Iterator[tuple[str, str]]:
    """Where facts come from that the row's own source does not tell of."""
    labels: dict[str, list[str]] = {}
    for fact in entry.facts:
        if fact.source not in entry.source and fact.name != "price_date":
            labels.setdefault(fact.source, []).append(fact.label)
    for source, mine in labels.items():
        yield f"Source of the {' and '.join(mine)}", source
