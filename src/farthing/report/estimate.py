"""What the reports of serving and of training share: hardware, memory, money, sensitivity, caveats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import RenderableType
from rich.text import Text

from farthing.records.error_bar import ErrorBar
from farthing.records.estimate import Cost, InferenceEstimate, MemoryUse, Part, TrainingEstimate
from farthing.records.hardware import Cluster
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.report import layout
from farthing.report.prices import STALE_COST
from farthing.units import (
    GIB,
    HOUR,
    MILLISECOND,
    format_bytes,
    format_count,
    format_quantity,
    format_seconds,
    format_usd,
)

Estimate = InferenceEstimate | TrainingEstimate
MAX_NAME_WIDTH = 41


def hardware(cluster: Cluster) -> str:
    """The cards and what joins their hosts, in words.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> hardware(parse_cluster("2x4:rtx-4090@25gbe")).partition(" over ")[0]
    '8 x GeForce RTX 4090 in 2 hosts'
    """
    cards = " + ".join(f"{group.count:,} x {group.accelerator.name}" for group in cluster.groups)
    if cluster.hosts == 1:
        return cards
    network = f" over {cluster.network.name}" if cluster.network else ""
    return f"{cards} in {cluster.hosts:,} hosts{network}"


def split(plan: InferencePlan | TrainingPlan) -> str:
    """The parallel sizes that are not 1, in words.

    Examples
    --------
    >>> split(InferencePlan(tp=8)), split(TrainingPlan(tp=8, pp=4, dp=2)), split(InferencePlan())
    ('tp 8', 'tp 8, pp 4, dp 2', 'one card')
    """
    sizes = [(axis, getattr(plan, axis, 1)) for axis in ("tp", "pp", "dp", "cp", "ep")]
    return ", ".join(f"{axis} {size}" for axis, size in sizes if size > 1) or "one card"


def headline(estimate: Estimate, cluster: Cluster, answer: str) -> Iterator[RenderableType]:
    """Who on what, whether it fits, and the answer in words."""
    yield Text(f"{estimate.model} on {hardware(cluster)}", style="bold")
    line = Text(f"{split(estimate.plan)}: ")
    line.append(*(("fits", "bold green") if estimate.fits else ("does not fit", "bold red")))
    line.append(f"; {answer}" if estimate.fits else f"; {estimate.misfit}")
    yield line


def name_width(*tables: Sequence[Part]) -> int:
    """Width of the first column that lines the tables up."""
    longest = max((len(part.name) for table in tables for part in table), default=0)
    return min(max(longest, layout.NAME_WIDTH), MAX_NAME_WIDTH)


def memory_table(use: MemoryUse, width: int, notes: dict[str, str]) -> Iterator[RenderableType]:
    """What the fullest card holds, against what it has; ``notes`` say how a part is stored."""
    whole = max(use.capacity_bytes, use.total_bytes)
    rows = [
        (
            f"{part.name}, {notes[part.name]}" if notes.get(part.name) else part.name,
            f"{part.value / GIB:,.2f} GiB",
            part.value / whole,
            "cyan",
        )
        for part in use.parts
        if part.value > 0
    ]
    name, style = ("free", "green") if use.free_bytes >= 0 else ("missing", "red")
    rows.append((name, f"{abs(use.free_bytes) / GIB:,.2f} GiB", abs(use.free_bytes) / whole, style))
    yield layout.heading("Memory of the fullest card", f"{use.capacity_bytes / GIB:,.4g} GiB")
    yield layout.bars(rows, width)


def time_table(title: str, parts: Sequence[Part], whole_s: float, width: int) -> Iterator[RenderableType]:
    """What a time goes to, largest first."""
    factor, unit = (1.0, "s") if whole_s >= 1 else (MILLISECOND, "ms")
    rows = [
        (part.name, f"{part.value / factor:,.{_decimals(whole_s / factor)}f} {unit}", part.share, "cyan")
        for part in sorted(parts, key=lambda part: part.value, reverse=True)
    ]
    yield layout.heading(title, format_seconds(whole_s))
    yield layout.bars(rows, width)


def _decimals(whole: float) -> int:
    """So many that the whole has four digits."""
    return 3 if whole < 10 else 2 if whole < 100 else 1


def money_table(costs: Sequence[Cost], run_usd: dict[str, float] | None = None) -> Iterator[RenderableType]:
    """Owned and rented: rates, and what is counted."""
    if not costs:
        yield layout.indented(
            Text("cost unknown: no price of these cards; state --usd-per-accelerator or -hour", style="dim")
        )
        return
    header = ["", "USD/hour", "USD/million tokens", "tokens/USD"]
    if run_usd:
        header.append("USD/run")
    rows = []
    for cost in costs:
        row = [
            cost.way,
            f"{cost.usd_per_s * HOUR:,.2f}",
            format_usd(cost.usd_per_million_tokens).removeprefix("$"),
            format_count(cost.tokens_per_usd),
        ]
        if run_usd:
            row.append(format_usd(run_usd[cost.way]).removeprefix("$"))
        rows.append(row)
    yield layout.columns(header, rows, width=8)
    for cost in costs:
        words = Text(f"{cost.way}: {cost.basis}", style="dim")
        if cost.stale:
            words.append(f"; {STALE_COST}", style="yellow")
        yield layout.indented(words)


def sensitivity_cells(estimate: Estimate, unit: str) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows of what a 10% better part gives, best first; no rows where that was not asked."""
    rows = [
        (row.part, *map(layout.change, (row.throughput_factor, row.time_factor, row.usd_factor)))
        for row in sorted(estimate.sensitivity, key=lambda row: row.throughput_factor, reverse=True)
    ]
    money = f"USD a token, {estimate.costs[0].way}" if estimate.costs else "USD a token"
    return ("", "tokens/s", unit, money), rows


def sensitivity_table(estimate: Estimate, unit: str) -> Iterator[RenderableType]:
    """What a 10% better part gives, best first."""
    header, rows = sensitivity_cells(estimate, unit)
    if not rows:
        return
    yield layout.heading("What a 10% better part gives")
    yield layout.columns(header, rows)
    yield Text()


def caveats(estimate: Estimate) -> Iterator[RenderableType]:
    """Warnings, assumptions, and how far the estimate was held against measurements."""
    if estimate.warnings:
        yield layout.heading("Warnings")
        yield layout.items(estimate.warnings, "yellow")
        yield Text()
    if estimate.assumptions:
        yield layout.heading("Assumptions")
        yield layout.items(estimate.assumptions)
        yield Text()
    yield layout.heading("Accuracy", "80% of like measurements lie within")
    yield layout.facts((_TITLES[bar.name], _interval(bar)) for bar in estimate.intervals)


_TITLES: Final = {
    "ttft_s": "time to first token",
    "tpot_s": "time a token",
    "tokens_per_s": "tokens a second",
    "step_s": "time a step",
    "total_bytes": "memory of a card",
}


def _interval(bar: ErrorBar) -> str:
    if bar.low is None or bar.high is None:
        return bar.basis
    if bar.name == "total_bytes":
        ends = f"{format_bytes(bar.low, binary=True)} to {format_bytes(bar.high, binary=True)}"
    elif bar.name == "tokens_per_s":
        low, high = (
            format_quantity(value, "token/s").replace("token", "tokens") for value in (bar.low, bar.high)
        )
        ends = f"{low} to {high}"
    else:
        ends = f"{format_seconds(bar.low)} to {format_seconds(bar.high)}"
    return f"{ends} ({bar.basis})"
