"""What chips cost to make: a line each, side by side, or one derived."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from farthing.records.chip import ChipCost
from farthing.report import layout
from farthing.report.explanation import explanation
from farthing.report.prices import mark
from farthing.units import format_bytes, format_usd

_NOTE = (
    "Materials alone, in USD: development, masks, test, losses in assembly and transport are not counted. "
    "price: of a new one. margin: 1 - total / price. ~: a part has no known price."
)


def _usd(value: float) -> str:
    """Whole dollars as far as they tell anything."""
    return f"{value:,.0f}" if value >= 10 else f"{value:,.2f}" if value else "-"


def _percent(value: float) -> str:
    return f"{value:.0%}"


def chip_list(costs: Sequence[ChipCost]) -> RenderableType:
    """One line for each chip."""
    header = ("id", "yield", "dies", "memory", "package", "board", "total", "price", "margin")
    rows = [
        (
            cost.id,
            _percent(cost.yield_share) if cost.yield_share else "-",
            _usd(cost.die_usd * cost.dies + cost.side_dies_usd),
            _usd(cost.memory_usd),
            _usd(cost.package_usd),
            _usd(cost.board_usd),
            ("~" if cost.missing else "") + _usd(cost.total_usd),
            _usd(cost.price_usd),
            _percent(cost.margin_share) if cost.price_usd else "-",
        )
        for cost in costs
    ]
    return Group(layout.columns(header, rows, width=0), Text(), Text(_NOTE, style="dim"))


def facts(cost: ChipCost) -> Iterator[tuple[str, str]]:
    """What a chip's cost is made of, in words; what a published bill leaves out is left out."""
    if cost.process:
        yield "process", cost.process
    if cost.wafer_usd:
        yield "wafer", format_usd(cost.wafer_usd)
    if cost.process:
        yield "die area", f"{cost.die_area_mm2:,.4g} mm²"
        yield "defects", f"{cost.defects_per_cm2:g} /cm²"
    if cost.dies_per_wafer:
        yield "dies a wafer", f"{cost.dies_per_wafer:,.0f}"
        spare = ", some units off" if cost.harvest else ""
        yield "yield", f"{cost.yield_share:.1%} ({cost.yield_model}{spare})"
        yield "good dies", f"{cost.good_dies:,.1f}"
    yield "compute dies", f"{cost.dies} x {format_usd(cost.die_usd)}"
    if cost.side_dies_usd:
        yield "other dies", format_usd(cost.side_dies_usd)
    size = format_bytes(cost.memory_bytes, binary=True)
    yield "memory", f"{format_usd(cost.memory_usd)} ({size} {cost.memory_kind})"
    yield "package", "unknown" if "package" in cost.missing else format_usd(cost.package_usd)
    yield "board", "unknown" if "board" in cost.missing else format_usd(cost.board_usd)
    least = "at least " if cost.missing else ""
    yield "total", least + format_usd(cost.total_usd)
    if cost.low_total_usd != cost.high_total_usd:
        yield "range of sources", f"{format_usd(cost.low_total_usd)} to {format_usd(cost.high_total_usd)}"
    if cost.price_usd:
        seen = f"{cost.price_date or 'undated'}{mark(cost.price_date)}"
        yield "price", f"{format_usd(cost.price_usd)} ({cost.price_kind}, {seen})"
        yield "margin", f"{cost.margin_share:.1%}"


def chip_comparison(costs: Sequence[ChipCost]) -> RenderableType:
    """Chips side by side, every term of their costs."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("", overflow="fold", no_wrap=True)
    for cost in costs:
        table.add_column(cost.id, overflow="fold")
    known = [dict(facts(cost)) for cost in costs]
    order = max(known, key=len, default={})
    names = dict.fromkeys((*order, *(name for column in known for name in column)))
    for name in names:
        table.add_row(name, *(column.get(name, "-") for column in known))
    return Group(table, Text(), Text(_NOTE, style="dim"))


def chip_report(cost: ChipCost, *, citation: Callable[[str], str]) -> RenderableType:
    """One chip: every term, the derivation, and what it rests on.

    Parameters
    ----------
    cost
        With ``terms``.
    citation
        One line for the key of a paper.
    """
    rows: list[RenderableType] = [
        layout.heading("What it costs to make", cost.id),
        layout.facts(facts(cost)),
        explanation(cost.terms, depth=None, citation=citation, units="USD"),
        Text(),
        layout.heading("Assumptions"),
        layout.items(cost.assumptions),
    ]
    return Group(*rows)
