"""The report of a simulated service: the answer, what users felt, what the service did, what was tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.hardware import Cluster
from farthing.records.serving import Moment, ServingResult
from farthing.report import layout
from farthing.report import serving_tables as tables
from farthing.report.estimate import hardware
from farthing.report.prices import STALE_COST
from farthing.report.serving_words import answer, played, share
from farthing.report.sparkline import Sparkline, means
from farthing.units import HOUR, format_count, format_seconds, format_usd

COLUMNS: Final = 40
"""Of a line over time."""


def serving_report(result: ServingResult, cluster: Cluster) -> RenderableType:
    """All that a person wants to read of a run.

    Parameters
    ----------
    result
        Of a run, or of the one that a search found.
    cluster
        The hardware it is for.

    Examples
    --------
    >>> from rich.console import Console
    >>> from farthing import api
    >>> from farthing.catalog.cluster import parse_cluster
    >>> cluster = parse_cluster("1x1:h100-sxm")
    >>> found = api.simulate_serving("llama-3.1-8b", cluster, requests_per_s=4.0, requests=200, ttft_s=1.0)
    >>> console = Console(width=100)
    >>> with console.capture() as capture:
    ...     console.print(serving_report(found, cluster))
    >>> capture.get().splitlines()[0][:62]
    'Keeps the objectives at 4.00 requests/s on 1 replica: 100% of '
    """
    return Group(*_report(result, cluster))


def _report(result: ServingResult, cluster: Cluster) -> Iterator[RenderableType]:
    style = "bold" if not result.objectives.any else "bold red" if result.breaks else "bold green"
    yield Text(answer(result), style=style)
    yield Text()
    yield layout.heading(f"{result.model} on {hardware(cluster)}")
    yield layout.facts(played(result, cluster))
    yield Text()
    if result.offered:
        yield from _latency(result)
        yield from _requests(result)
        yield from _service(result)
        yield from _over_time(result.series)
    yield from _search(result)
    yield from _money(result)
    if result.warnings:
        yield layout.heading("Warnings")
        yield layout.items(result.warnings, "yellow")
        yield Text()
    yield layout.heading("Assumptions")
    yield layout.items(tables.assumptions(result))


# What users felt ------------------------------------------------------------------------------------------


def _latency(result: ServingResult) -> Iterator[RenderableType]:
    rows = tables.latency_rows(result)
    if not rows:
        return
    yield layout.heading("Latency", "50% and 90% wait no longer than p50 and p90")
    yield layout.columns(tables.LATENCY, rows)
    yield Text()


def _requests(result: ServingResult) -> Iterator[RenderableType]:
    yield layout.heading(
        "Requests", f"{result.offered:,} over {format_seconds(result.span_s)} of simulated time"
    )
    yield layout.columns(*tables.request_table(result))
    if late := tables.late_words(result):
        yield layout.indented(Text(late, style="dim"))
    yield Text()


# What the service did -------------------------------------------------------------------------------------


def _service(result: ServingResult) -> Iterator[RenderableType]:
    yield layout.heading("Service")
    yield layout.facts(tables.service_facts(result))
    yield Text()


def _over_time(series: Sequence[Moment]) -> Iterator[RenderableType]:
    if len(series) < 3:
        return
    rows: tuple[tuple[str, Callable[[Moment], float], Callable[[float], str], float], ...] = (
        ("requests coming", lambda one: one.requests_per_s, lambda top: f"{tables.three(top)}/s", 0.0),
        ("waiting", lambda one: one.waiting, tables.three, 0.0),
        ("in work", lambda one: one.sequences, tables.three, 0.0),
        ("KV cache", lambda one: one.kv_share, share, 0.0),
        ("busy", lambda one: one.busy_share, share, 1.0),
    )
    each = -(-len(series) // COLUMNS) * (series[0].end_s - series[0].start_s)
    end = format_seconds(series[-1].end_s)
    note = f"0 to {end}, {format_seconds(each)} a column; the number is that of the highest"
    yield layout.heading("Over time", note)
    table = layout.grid("left", "right", "fill", expand=True)
    for name, of, shown, top in rows:
        values = means([of(one) for one in series], COLUMNS)
        table.add_row(name, shown(max(values)), Sparkline(values, top))
    yield layout.indented(table)
    yield Text()


# Searches -------------------------------------------------------------------------------------------------


def _search(result: ServingResult) -> Iterator[RenderableType]:
    if not result.tries:
        return
    yield layout.heading(tables.search_title(result), "as they were played")
    yield layout.columns(*tables.search_table(result), left=2)
    yield layout.facts(tables.search_facts(result))
    yield Text()


# Money ----------------------------------------------------------------------------------------------------


def _money(result: ServingResult) -> Iterator[RenderableType]:
    if not result.offered:
        return
    yield layout.heading("Money", "of the cards that serve, at this load; tokens are those written")
    if not result.tokens_per_s:
        yield layout.indented(Text("no token was written that could cost anything", style="dim"))
    elif not result.costs:
        yield layout.indented(
            Text("cost unknown: no price of these cards; state --usd-per-accelerator or -hour", style="dim")
        )
    else:
        rows = [
            (
                cost.way,
                f"{cost.usd_per_million_tokens / 1e6 * result.tokens_per_s * HOUR:,.2f}",
                format_usd(cost.usd_per_million_tokens).removeprefix("$"),
                format_count(cost.tokens_per_usd),
            )
            for cost in result.costs
        ]
        yield layout.columns(("", "USD/hour", "USD/million tokens", "tokens/USD"), rows, width=8)
        for cost in result.costs:
            words = Text(f"{cost.way}: {cost.basis}", style="dim")
            if cost.stale:
                words.append(f"; {STALE_COST}", style="yellow")
            yield layout.indented(words)
    yield Text()
