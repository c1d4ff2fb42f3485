"""The report of a simulated service: the answer, what users felt, what the service did, what was tried."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.hardware import Cluster
from farthing.records.serving import STATES, Moment, ServingResult, Spread
from farthing.report import layout
from farthing.report.estimate import hardware
from farthing.report.prices import STALE_COST
from farthing.report.serving_words import BREAKS, answer, by_rate, counted, played, rate, share
from farthing.report.sparkline import Sparkline, means
from farthing.units import HOUR, format_count, format_quantity, format_seconds, format_usd, format_watts

SHORT: Final = 20
"""A load that lasts less than so many answers says little about one that goes on."""
COLUMNS: Final = 40
"""Of a line over time."""

_MISSED: Final = {"ttft": "to the first token", "tpot": "between tokens", "e2e": "to the whole answer"}
_ENDED: Final = {
    "finished": "answered",
    "cancelled": "abandoned by users",
    "timed-out": "given up after waiting",
    "rejected": "rejected, queue full",
    "too-long": "too long for the service",
}


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
    yield layout.items(_assumptions(result))


def _assumptions(result: ServingResult) -> Iterator[str]:
    yield from result.assumptions
    if result.scheduler.fitted_on:
        fitted_on = result.scheduler.fitted_on
        yield f"{result.scheduler.id}: costs of requests and of reading are fitted on {fitted_on}"
    but = ", but for these fitted costs" if result.scheduler.fitted_on else ""
    yield (
        f"pass times are those of farthing infer{but}, which farthing validate compares with measurements; "
        "first tokens under load were compared too (docs/simulation.md)"
    )


# What users felt ------------------------------------------------------------------------------------------


def _latency(result: ServingResult) -> Iterator[RenderableType]:
    rows = [
        (name, *_spread(spread))
        for name, spread in (
            ("to the first pass (queue)", result.queue_s),
            ("to the first token (TTFT)", result.ttft_s),
            ("between tokens, by request (TPOT)", result.tpot_s),
            ("between two tokens (ITL)", result.itl_s),
            ("to the whole answer", result.e2e_s),
        )
        if spread.count
    ]
    if not rows:
        return
    yield layout.heading("Latency", "50% and 90% wait no longer than p50 and p90")
    yield layout.columns(("", "mean", "p50", "p90", "p99", "longest"), rows)
    yield Text()


def _spread(spread: Spread) -> tuple[str, ...]:
    return tuple(
        format_seconds(value) for value in (spread.mean, spread.p50, spread.p90, spread.p99, spread.most)
    )


def _requests(result: ServingResult) -> Iterator[RenderableType]:
    offered = result.offered
    yield layout.heading("Requests", f"{offered:,} over {format_seconds(result.span_s)} of simulated time")
    rows = [
        (_ENDED[state], f"{count:,}", share(count / offered), rate(count / result.span_s))
        for state in STATES
        if (count := result.ended.get(state, 0))
    ]
    if result.objectives.any:
        good = result.good_share * offered
        goodput = rate(result.goodput_requests_per_s)
        rows.append(("good (goodput)", f"{good:,.0f}", share(result.good_share), goodput))
    yield layout.columns(("", "requests", "share", "rate"), rows)
    late = [f"{count:,} {_MISSED[name]}" for name, count in result.missed.items() if count]
    if late:
        yield layout.indented(Text(f"too late: {', '.join(late)}", style="dim"))
    yield Text()


# What the service did -------------------------------------------------------------------------------------


def _service(result: ServingResult) -> Iterator[RenderableType]:
    yield layout.heading("Service")
    yield layout.facts(_facts(result))
    yield Text()


def _facts(result: ServingResult) -> Iterator[tuple[str, str]]:
    tokens = format_quantity(result.tokens_per_s, "token/s").replace("token/s", "tokens/s")
    yield "tokens written", tokens
    of_each = "of the time" if result.replicas == 1 else "of the replicas' time"
    yield "busy", f"{share(result.utilisation)} {of_each} in passes"
    yield (
        "batch",
        f"{_figure(result.mean_sequences)} in a pass on average; {counted(result.passes, 'pass', 'passes')}",
    )
    size = result.scheduler.block_tokens
    room = f"{counted(result.kv_blocks, 'block')} of {counted(size, 'token')} on a replica"
    yield (
        "KV cache",
        f"{share(result.kv_share)} in use on average, {share(result.kv_peak_share)} at most; {room}",
    )
    if result.preemptions:
        what = "read again" if result.scheduler.preemption == "recompute" else "moved out and back"
        yield "stepped back", f"{counted(result.preemptions, 'time')} for lack of memory, the cache {what}"
    else:
        yield "stepped back", "never: memory sufficed for all in work"
    if result.prefix_hit_share:
        yield "prefix cache", f"{share(result.prefix_hit_share)} of the prompts' tokens were found in it"
    yield "requests inside", _little(result)
    if result.power_w:
        # A search for replicas may take more or fewer cards than the cluster has.
        sized = len({one.replicas for one in result.tries}) > 1
        whose = "cards that serve" if sized else "whole cluster"
        yield "power", f"{format_watts(result.power_w)} at the meter, {whose}"


def _three(value: float) -> str:
    """To three digits, or to the whole number."""
    return f"{value:,.3g}" if value < 999.5 else f"{value:,.0f}"


def _figure(requests: float) -> str:
    text = _three(requests)
    return f"{text} request{'' if text == '1' else 's'}"


def _little(result: ServingResult) -> str:
    """Little's law: a check on the books."""
    seen, law = result.in_system, result.in_system_by_little
    same = abs(seen - law) <= 1e-6 * max(seen, law)
    words = f"{_three(seen)} on average, waiting and in work"
    if same:
        return f"{words}; rate x time is the same (Little's law)"
    return f"{words}; rate x time is {_three(law)}: by Little's law they should agree, please report it"


def _over_time(series: Sequence[Moment]) -> Iterator[RenderableType]:
    if len(series) < 3:
        return
    rows: tuple[tuple[str, Callable[[Moment], float], Callable[[float], str], float], ...] = (
        ("requests coming", lambda one: one.requests_per_s, lambda top: f"{_three(top)}/s", 0.0),
        ("waiting", lambda one: one.waiting, _three, 0.0),
        ("in work", lambda one: one.sequences, _three, 0.0),
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
    rates = by_rate(result.tries)
    what = "rate" if rates else "replicas"
    yield layout.heading(
        f"Search for the {'highest rate' if rates else 'fewest replicas'}", "as they were played"
    )
    yield layout.columns(
        (what, "verdict", "good requests"),
        [
            (
                rate(one.requests_per_s) if rates else f"{one.replicas:,}",
                BREAKS[one.breaks] if one.breaks else "keeps the objectives",
                share(one.good_share) if one.good_share == one.good_share else "",
            )
            for one in result.tries
        ],
        left=2,
    )
    yield layout.facts(_limits(result, rates=rates))
    yield Text()


def _limits(result: ServingResult, *, rates: bool) -> Iterator[tuple[str, str]]:
    """What stands in the way of more, and how far the answer reaches."""
    failed = [one for one in result.tries if one.breaks]
    if failed and rates:
        nearest = min(failed, key=lambda one: one.requests_per_s)
        yield "limited by", f"{BREAKS[nearest.breaks]} at {rate(nearest.requests_per_s)}"
    elif failed:
        nearest = max(failed, key=lambda one: one.replicas)
        yield "fewer do not do", f"with {counted(nearest.replicas, 'replica')} {BREAKS[nearest.breaks]}"
    elif rates:
        yield (
            "limited by",
            "nothing at any rate: all requests at once keep the objectives; play more (--requests)",
        )
    if not result.e2e_s.count:
        return
    lasts = max((moment.end_s for moment in result.series if moment.requests_per_s), default=0.0)
    if failed and lasts < SHORT * result.e2e_s.mean:
        yield (
            "a short load",
            f"it comes within {format_seconds(lasts)}, and an answer takes "
            f"{format_seconds(result.e2e_s.mean)}: for a load that goes on, play more (--requests)",
        )


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
