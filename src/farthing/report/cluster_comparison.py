"""Clusters side by side: a table of what each does with a model, and charts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.chart import Axis, Chart, Point, Series
from farthing.records.cluster_comparison import ClusterPlan
from farthing.records.estimate import Cost, InferenceEstimate
from farthing.report import layout
from farthing.report.estimate import split
from farthing.units import (
    HOUR,
    MILLISECOND,
    format_bytes,
    format_quantity,
    format_seconds,
    format_usd,
    format_watts,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """What one cluster has of a quantity.

    Attributes
    ----------
    words
        As people read it; empty where it is unknown.
    value
        In SI units; None of words, and where it is unknown.
    ratio
        Over the first cluster's; None where there is none.
    best
        Whether no cluster does better.
    """

    words: str
    value: float | None = None
    ratio: float | None = None
    best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One quantity of all clusters."""

    name: str
    title: str
    cells: tuple[Cell, ...]


_Value = Callable[[InferenceEstimate], float | None]


def _cost(way: str, field: str) -> _Value:
    def value(estimate: InferenceEstimate) -> float | None:
        found: Cost | None = next((cost for cost in estimate.costs if cost.way == way), None)
        return None if found is None else float(getattr(found, field))

    return value


def _of(field: str) -> _Value:
    return lambda estimate: float(getattr(estimate, field))


def _tokens(value: float) -> str:
    return format_quantity(value, "token/s").replace("token/s", "tokens/s")


def _joules(value: float) -> str:
    return format_quantity(value, "J")


_NUMBERS: Final[tuple[tuple[str, str, _Value, Callable[[float], str], int], ...]] = (
    ("tokens_per_s", "tokens a second, all streams", _of("tokens_per_s"), _tokens, 1),
    ("tokens_per_s_per_sequence", "tokens a second, each", _of("tokens_per_s_per_sequence"), _tokens, 1),
    ("tpot_s", "time a token", _of("tpot_s"), format_seconds, -1),
    ("ttft_s", "first token after", _of("ttft_s"), format_seconds, -1),
    ("served_tokens_per_s", "put out with prompts between", _of("served_tokens_per_s"), _tokens, 1),
    ("largest_batch_size", "largest batch", _of("largest_batch_size"), lambda value: f"{value:,.0f}", 1),
    (
        "memory",
        "memory of the fullest card",
        lambda estimate: estimate.memory.total_bytes,
        lambda value: format_bytes(value, binary=True),
        0,
    ),
    ("power_w", "power at the meter", _of("power_w"), format_watts, -1),
    ("energy_per_token_j", "energy a token", _of("energy_per_token_j"), _joules, -1),
    (
        "own_usd_per_s",
        "owned, an hour",
        _cost("own", "usd_per_s"),
        lambda value: format_usd(value * HOUR),
        -1,
    ),
    (
        "own_usd_per_million_tokens",
        "owned, a million tokens",
        _cost("own", "usd_per_million_tokens"),
        format_usd,
        -1,
    ),
    (
        "rent_usd_per_s",
        "rented, an hour",
        _cost("rent", "usd_per_s"),
        lambda value: format_usd(value * HOUR),
        -1,
    ),
    (
        "rent_usd_per_million_tokens",
        "rented, a million tokens",
        _cost("rent", "usd_per_million_tokens"),
        format_usd,
        -1,
    ),
)
"""Name, title, value, form, and which way is better: 1 more, -1 less, 0 neither."""


def comparison_rows(plans: Sequence[ClusterPlan]) -> list[Row]:
    """The plan of each cluster, then its figures, with the best of each row.

    Examples
    --------
    >>> rows = comparison_rows([ClusterPlan(cluster="pi", breaks="needs 100 GiB more a card")])
    >>> rows[0].title, rows[0].cells[0].words
    ('best plan', 'does not fit: needs 100 GiB more a card')
    """
    rows = [Row(name="plan", title="best plan", cells=tuple(Cell(words=_plan_words(one)) for one in plans))]
    for name, title, of, form, better in _NUMBERS:
        values = [of(one.estimate) if one.estimate is not None and one.does else None for one in plans]
        if not any(values):
            continue
        known = [value * better for value in values if value and better]
        best = max(known) if len(known) > 1 else None
        cells = tuple(
            Cell(
                words=form(value) if value else "",
                value=value or None,
                ratio=one.relative.get(name),
                best=bool(value) and best is not None and (value or 0.0) * better == best,
            )
            for one, value in zip(plans, values, strict=True)
        )
        rows.append(Row(name=name, title=title, cells=cells))
    return rows


def _plan_words(one: ClusterPlan) -> str:
    if one.estimate is None:
        return f"does not fit: {one.breaks}"
    if one.breaks:
        return f"{split(one.estimate.plan)}, but {one.breaks}"
    words = [split(one.estimate.plan), f"batch {one.estimate.workload.batch_size:,}"]
    return ", ".join([*words, one.estimate.plan.weight_format])


def comparison_charts(plans: Sequence[ClusterPlan]) -> list[Chart]:
    """Throughput against latency of all, and what a million tokens costs.

    Examples
    --------
    >>> comparison_charts([ClusterPlan(cluster="pi", breaks="needs more")])
    []
    """
    return [chart for chart in _charts(plans) if any(one.points for one in chart.series)]


def _charts(plans: Sequence[ClusterPlan]) -> Iterator[Chart]:
    names = dict(zip(map(id, plans), _distinct([one.cluster for one in plans]), strict=True))
    yield Chart(
        title="Throughput against latency over the batch",
        kind="line",
        x=Axis(title="time per output token", unit="ms"),
        y=Axis(title="throughput of the cluster", unit="token/s", scale="log"),
        series=tuple(
            Series(
                name=names[id(one)],
                style="line",
                points=tuple(
                    Point(
                        x=point.tpot_s / MILLISECOND,
                        y=point.tokens_per_s,
                        detail=f"batch {point.batch_size:,}, first token {format_seconds(point.ttft_s)}",
                    )
                    for point in one.curve
                    if point.fits and point.tpot_s
                ),
            )
            for one in plans
            if one.curve
        ),
        note="Each by its best plan, from its smallest batch to the largest that fits.",
    )
    yield Chart(
        title="What a million tokens costs",
        kind="bar",
        x=Axis(title="always busy", unit="USD"),
        y=Axis(title="cluster"),
        series=tuple(
            Series(
                name=words,
                points=tuple(
                    Point(x=cost.usd_per_million_tokens, label=names[id(one)])
                    for one in plans
                    if one.estimate is not None and one.does
                    for cost in one.estimate.costs
                    if cost.way == way
                ),
            )
            for way, words in (("own", "owned"), ("rent", "rented"))
        ),
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """Names that may be told apart."""
    return [
        name if names.count(name) == 1 else f"{name} ({place})" for place, name in enumerate(names, start=1)
    ]


def comparison_report(plans: Sequence[ClusterPlan]) -> RenderableType:
    """The table in the terminal: a column for each cluster, ``*`` at the best."""
    header = ("", *(one.cluster for one in plans))
    first, *others = comparison_rows(plans)
    rows = [(row.title, *map(_words, row.cells)) for row in others]
    facts = [(one.cluster, cell.words) for one, cell in zip(plans, first.cells, strict=True)]
    warnings = dict.fromkeys(
        warning for one in plans if one.estimate is not None for warning in one.estimate.warnings
    )
    parts: list[RenderableType] = [
        layout.heading("Best plans", "for the same load"),
        layout.facts(facts),
        Text(),
    ]
    if rows:
        parts += [
            layout.heading("Side by side", f"* the best; in brackets: times that of {plans[0].cluster}"),
            layout.columns(header, rows),
            Text(),
        ]
    if warnings:
        parts += [layout.heading("Warnings"), layout.items(warnings, "yellow")]
    return Group(*parts)


def _words(cell: Cell) -> str:
    if not cell.words:
        return "unknown"
    ratio = f" ({cell.ratio:.2f})" if cell.ratio is not None else ""
    return f"{cell.words}{ratio}{' *' if cell.best else ''}"
