"""Accelerators as a list, one in full, or several side by side."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from farthing.records.card_comparison import CardPlan
from farthing.records.estimate import InferenceEstimate
from farthing.records.hardware import Accelerator, Price
from farthing.report import layout
from farthing.report.encoding import fields_of
from farthing.report.prices import STALE, dated, price_object
from farthing.units import (
    GIB,
    GIGA,
    TERA,
    format_bytes,
    format_bytes_per_s,
    format_flop_per_s,
    format_quantity,
    format_seconds,
    format_usd,
    format_watts,
)


def accelerator_list(cards: Iterable[Accelerator]) -> RenderableType:
    """One line for each card.

    Parameters
    ----------
    cards
        In the order in which they are shown.
    """
    rows = [
        (
            card.id,
            card.vendor,
            str(card.year),
            f"{card.memory_bytes / GIB:,.4g}",
            f"{card.memory_bytes_per_s / GIGA:,.0f}",
            _number(card.training_flop_per_s / TERA),
            _number(card.tdp_w),
        )
        for card in cards
    ]
    header = ("id", "vendor", "year", "GiB", "GB/s", "TFLOP/s", "W")
    note = Text(
        f"{len(rows)} accelerators. TFLOP/s: dense 16-bit products, with sums in fp32 where there are any.",
        style="dim",
    )
    return Group(layout.columns(header, rows, left=2), Text(), note)


def _number(value: float) -> str:
    if not value:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def facts(card: Accelerator) -> Iterator[tuple[str, str]]:
    """What is known of a card, in words."""
    yield "vendor", f"{card.vendor}, {card.architecture}, {card.year}"
    yield "kind", f"{card.kind}, {card.form}" if card.form else card.kind
    unified = ", shared with the processor" if card.unified_memory else ""
    yield "memory", f"{format_bytes(card.memory_bytes, binary=True)}{unified}"
    yield "memory bandwidth", format_bytes_per_s(card.memory_bytes_per_s)
    for name, rate, unit in (
        ("fp32", card.fp32_flop_per_s, "FLOP/s"),
        ("tf32", card.tf32_flop_per_s, "FLOP/s"),
        ("fp16, fastest sums", card.fp16_flop_per_s, "FLOP/s"),
        ("fp16, fp32 sums", card.fp16_fp32_accumulate_flop_per_s, "FLOP/s"),
        ("bf16", card.bf16_flop_per_s, "FLOP/s"),
        ("fp8", card.fp8_flop_per_s, "FLOP/s"),
        ("fp4", card.fp4_flop_per_s, "FLOP/s"),
        ("int8", card.int8_op_per_s, "op/s"),
    ):
        if rate:
            yield (
                name,
                format_flop_per_s(rate).replace("FLOP/s", unit)
                if unit == "op/s"
                else (format_flop_per_s(rate)),
            )
    if card.compute_units:
        yield "compute units", f"{card.compute_units:,}"
    if card.l2_bytes:
        yield "last-level cache", format_bytes(card.l2_bytes, binary=True)
    if card.link:
        yield "link to other cards", card.link
    if card.pcie_generation:
        lanes = f" x{card.pcie_lanes}" if card.pcie_lanes else ""
        yield "PCIe", f"{card.pcie_generation}.0{lanes}"
    yield "peer-to-peer", "yes" if card.peer_to_peer else "no: cards exchange data through host memory"
    if card.tdp_w:
        idle = f", {format_watts(card.idle_w)} idle" if card.idle_w else ""
        yield "power limit", format_watts(card.tdp_w) + idle
    if card.launch_price_usd:
        yield "launch price", format_usd(card.launch_price_usd)
    yield (
        "data centres",
        "allowed" if card.datacenter_licence else "forbidden by the driver's licence",
    )


def accelerator_report(card: Accelerator, prices: Sequence[Price]) -> RenderableType:
    """All facts of a card, its prices and sources.

    Parameters
    ----------
    card
        The accelerator.
    prices
        All that were collected, newest first.
    """
    rows: list[RenderableType] = [
        layout.heading(card.name, card.id),
        layout.facts(facts(card)),
        Text(),
        layout.heading("Prices", "" if prices else "none collected"),
    ]
    if prices:
        table = [
            (
                price.kind + (", spot" if price.spot else ""),
                format_usd(price.usd) + ("/h" if price.per == "accelerator-hour" else ""),
                dated(price),
                price.provider,
            )
            for price in prices
        ]
        rows.append(_aligned(("", "price", "date", "from"), table, right=(1,)))
    if card.notes:
        rows += [Text(), layout.heading("Notes"), layout.indented(Text(card.notes))]
    rows += [Text(), layout.heading("Source"), layout.indented(Text(card.source, style="dim"))]
    return Group(*rows)


def _aligned(
    header: Sequence[str], rows: Iterable[Sequence[str]], right: Sequence[int] = ()
) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    for number, name in enumerate(header):
        table.add_column(name, justify="right" if number in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return layout.indented(table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A card in a comparison: its prices, what one of it does with a model, and its best plans."""

    accelerator: Accelerator
    purchase: Price | None = None
    rental: Price | None = None
    estimate: InferenceEstimate | None = None
    plans: tuple[CardPlan, ...] = ()


def candidate_object(candidate: Candidate) -> dict[str, Any]:
    """A card in a comparison, as JSON tells it."""
    priced = {
        name: price and price_object(price)
        for name, price in (("purchase", candidate.purchase), ("rental", candidate.rental))
    }
    return fields_of(candidate) | priced


def comparison(candidates: Sequence[Candidate]) -> RenderableType:
    """Cards side by side: facts, prices, and throughput where a model was given."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("", overflow="fold")
    for candidate in candidates:
        table.add_column(candidate.accelerator.id, overflow="fold")
    known = [dict(facts(candidate.accelerator)) for candidate in candidates]
    for name in dict.fromkeys(name for column in known for name in column):
        table.add_row(name, *(column.get(name, "-").partition(":")[0] for column in known))
    table.add_row("buy", *(_price(candidate.purchase) for candidate in candidates))
    table.add_row("rent", *(_price(candidate.rental) for candidate in candidates))
    rows: list[RenderableType] = [table]
    estimates = [candidate.estimate for candidate in candidates]
    if any(estimates):
        shown = next(estimate for estimate in estimates if estimate)
        load = shown.workload
        table.add_section()
        table.add_row(Text(f"{shown.model}, one card", style="bold"))
        for name, values in _performance(candidates):
            table.add_row(name, *values)
        rows += [
            Text(),
            Text(
                f"{shown.plan.weight_format} weights, one stream, prompt of {load.prompt_tokens:,} tokens, "
                f"{load.decode_context_tokens:,.0f} tokens of context.",
                style="dim",
            ),
        ]
    return Group(*rows)


def _price(price: Price | None) -> str:
    if price is None:
        return "-"
    per = "/h" if price.per == "accelerator-hour" else ""
    return f"{format_usd(price.usd)}{per} ({price.kind}, {dated(price)})"


def _usd_per_million_tokens(way: str, estimate: InferenceEstimate) -> str:
    found = (cost for cost in estimate.costs if cost.way == way)
    return next((f"{cost.usd_per_million_tokens:,.2f}{STALE if cost.stale else ''}" for cost in found), "-")


def _performance(candidates: Sequence[Candidate]) -> Iterator[tuple[str, list[str]]]:
    estimates = [candidate.estimate for candidate in candidates]

    def each(value: Callable[[InferenceEstimate], str]) -> list[str]:
        return [value(estimate) if estimate and estimate.fits else "-" for estimate in estimates]

    yield (
        "fits",
        [
            "-" if not e else f"yes, {e.memory.free_bytes / GIB:,.2f} GiB free" if e.fits else "no"
            for e in estimates
        ],
    )
    yield "decode", each(lambda e: f"{format_quantity(e.tokens_per_s, 'token/s')}")
    yield "time a token", each(lambda e: format_seconds(e.tpot_s))
    yield "prefill", each(lambda e: format_quantity(e.workload.prompt_tokens / e.ttft_s, "token/s"))
    yield "first token", each(lambda e: format_seconds(e.ttft_s))
    for way in ("own", "rent"):
        yield (
            f"{way}, USD/M tokens",
            each(functools.partial(_usd_per_million_tokens, way)),
        )
