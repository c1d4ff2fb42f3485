"""A simulated service in tables and facts: what users felt, what became of requests, what the service did."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from farthing.records.serving import STATES, ServingResult, Spread
from farthing.report.serving_words import BREAKS, by_rate, counted, rate, share
from farthing.units import format_quantity, format_seconds, format_watts

SHORT: Final = 20
"""A load that lasts less than so many answers says little about one that goes on."""

_MISSED: Final = {"ttft": "to the first token", "tpot": "between tokens", "e2e": "to the whole answer"}
_ENDED: Final = {
    "finished": "answered",
    "cancelled": "abandoned by users",
    "timed-out": "given up after waiting",
    "rejected": "rejected, queue full",
    "too-long": "too long for the service",
}

Table = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""A header and rows of cells."""


def assumptions(result: ServingResult) -> Iterator[str]:
    """What a simulation takes for granted."""
    yield from result.assumptions
    if result.scheduler.fitted_on:
        fitted_on = result.scheduler.fitted_on
        yield f"{result.scheduler.id}: costs of requests and of reading are fitted on {fitted_on}"
    but = ", but for these fitted costs" if result.scheduler.fitted_on else ""
    yield (
        f"pass times are those of farthing infer{but}, which farthing validate compares with measurements; "
        "first tokens under load were compared too (docs/simulation.md)"
    )


def spreads(result: ServingResult) -> list[tuple[str, Spread]]:
    """What users waited for, and how long."""
    return [
        (name, spread)
        for name, spread in (
            ("to the first pass (queue)", result.queue_s),
            ("to the first token (TTFT)", result.ttft_s),
            ("between tokens, by request (TPOT)", result.tpot_s),
            ("between two tokens (ITL)", result.itl_s),
            ("to the whole answer", result.e2e_s),
        )
        if spread.count
    ]


SPREAD: Final = ("mean", "p50", "p90", "p99", "most")
"""What a table of latencies tells of each, by field."""

LATENCY: Final = ("", "mean", "p50", "p90", "p99", "longest")
"""The header over names and these."""


def latency_rows(result: ServingResult) -> list[tuple[str, ...]]:
    """Latencies: mean, percentiles, and the longest."""
    return [
        (name, *(format_seconds(getattr(spread, field)) for field in SPREAD))
        for name, spread in spreads(result)
    ]


def request_table(result: ServingResult) -> Table:
    """What became of the requests, and how many were good."""
    offered = result.offered
    rows = [
        (_ENDED[state], f"{count:,}", share(count / offered), rate(count / result.span_s))
        for state in STATES
        if (count := result.ended.get(state, 0))
    ]
    if result.objectives.any:
        good = result.good_share * offered
        goodput = rate(result.goodput_requests_per_s)
        rows.append(("good (goodput)", f"{good:,.0f}", share(result.good_share), goodput))
    return ("", "requests", "share", "rate"), [*rows]


def late_words(result: ServingResult) -> str:
    """How many requests were too late, and where; empty where none was."""
    late = [f"{count:,} {_MISSED[name]}" for name, count in result.missed.items() if count]
    return f"too late: {', '.join(late)}" if late else ""


def service_facts(result: ServingResult) -> Iterator[tuple[str, str]]:
    """What the service did: throughput, batches, the cache, power."""
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


def three(value: float) -> str:
    """To three digits, or to the whole number.

    Examples
    --------
    >>> three(1.2345), three(12345.6)
    ('1.23', '12,346')
    """
    return f"{value:,.3g}" if value < 999.5 else f"{value:,.0f}"


def _figure(requests: float) -> str:
    text = three(requests)
    return f"{text} request{'' if text == '1' else 's'}"


def _little(result: ServingResult) -> str:
    """Little's law: a check on the books."""
    seen, law = result.in_system, result.in_system_by_little
    same = abs(seen - law) <= 1e-6 * max(seen, law)
    words = f"{three(seen)} on average, waiting and in work"
    if same:
        return f"{words}; rate x time is the same (Little's law)"
    return f"{words}; rate x time is {three(law)}: by Little's law they should agree, please report it"


def search_table(result: ServingResult) -> Table:
    """What a search has played."""
    rates = by_rate(result.tries)
    rows = [
        (
            rate(one.requests_per_s) if rates else f"{one.replicas:,}",
            BREAKS[one.breaks] if one.breaks else "keeps the objectives",
            share(one.good_share) if one.good_share == one.good_share else "",
        )
        for one in result.tries
    ]
    return ("rate" if rates else "replicas", "verdict", "good requests"), [*rows]


def search_title(result: ServingResult) -> str:
    """What was sought."""
    return f"Search for the {'highest rate' if by_rate(result.tries) else 'fewest replicas'}"


def search_facts(result: ServingResult) -> Iterator[tuple[str, str]]:
    """What stands in the way of more, and how far the answer reaches."""
    rates = by_rate(result.tries)
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
