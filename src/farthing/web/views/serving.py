"""A service under load: what its users feel, and what it does meanwhile."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from farthing import api
from farthing.errors import InvalidInput
from farthing.planning import serving_load
from farthing.records.hardware import Cluster
from farthing.records.serving import ServingResult, Spread
from farthing.records.term import Term
from farthing.report import serving_tables, serving_words
from farthing.report.estimate import hardware
from farthing.report.serving_charts import serving_charts
from farthing.units import MEGA, format_quantity, format_seconds, format_usd
from farthing.web.asks import python_call
from farthing.web.subject import cluster_of, model_of, without
from farthing.web.view import Explanation, Given, Shown, View
from farthing.web.views.serving_asks import ASKS, MOST_REQUESTS, TITLES


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What happened, and on which hardware."""

    cluster: Cluster
    result: ServingResult


def _question(given: Given) -> dict[str, Any]:
    """What was given as the arguments of `farthing.simulate_serving`, but for model and cluster."""
    asked = without(given, "model", "cluster", "changes")
    try:
        found = serving_load(asked, given.get("seek", ""))
    except InvalidInput as error:
        # The page calls fields by their titles.
        words = re.sub(r"--[a-z0-9-]+", lambda match: TITLES.get(match[0], match[0]), str(error))
        raise InvalidInput(words) from None
    expected = found.get("requests_per_s", 0.0) * found.get("duration_s", 0.0)
    if "requests" not in found and expected > MOST_REQUESTS:
        raise InvalidInput(
            f"duration_s: about {expected:,.0f} requests would come, and a page plays at most "
            f"{MOST_REQUESTS:,}: shorten the duration, or use the command"
        )
    return found


def _ask(given: Given) -> _Answer:
    machines = cluster_of(given)
    return _Answer(
        cluster=machines, result=api.simulate_serving(model_of(given), machines, **_question(given))
    )


def _python(given: Given) -> str:
    asked = _question(given)
    if "arrivals" not in given and asked["arrivals"] == "poisson":
        del asked["arrivals"]
    return python_call("simulate_serving", ("model", "cluster"), asked | dict(given))


def _show(given: Given, answer: _Answer) -> Shown:
    result = answer.result
    return Shown(
        headline=f"{result.model} on {hardware(answer.cluster)}",
        verdict=serving_words.answer(result),
        good=not result.breaks if result.objectives.any else None,
        charts=serving_charts(result) if result.offered else (),
        more={
            "result": result,
            "played": tuple(serving_words.played(result, answer.cluster)),
            "header": serving_tables.LATENCY,
            "spreads": [
                (name, [getattr(spread, field) for field in serving_tables.SPREAD])
                for name, spread in serving_tables.spreads(result)
            ],
            "ended": serving_tables.request_table(result) if result.offered else None,
            "late": serving_tables.late_words(result),
            "service": tuple(serving_tables.service_facts(result)) if result.offered else (),
            "search": serving_tables.search_table(result) if result.tries else None,
            "search_title": serving_tables.search_title(result) if result.tries else "",
            "search_facts": tuple(serving_tables.search_facts(result)) if result.tries else (),
            "assumptions": tuple(serving_tables.assumptions(result)),
        },
    )


_SPREADS: Final = ("ttft_s", "tpot_s", "itl_s", "e2e_s", "queue_s")
_NUMBERS: Final = (
    ("requests_per_s", "request/s"),
    ("goodput_requests_per_s", "request/s"),
    ("good_share", ""),
    ("tokens_per_s", "token/s"),
    ("utilisation", ""),
    ("mean_sequences", ""),
    ("kv_share", ""),
    ("kv_peak_share", ""),
    ("prefix_hit_share", ""),
    ("preemptions", ""),
    ("offered", ""),
    ("replicas", ""),
    ("span_s", "s"),
    ("power_w", "W"),
)


def _rows(answer: _Answer) -> Sequence[Mapping[str, Any]]:
    result = answer.result

    def row(name: str, of: str, value: float, unit: str) -> Mapping[str, Any]:
        return {"name": name, "of": of, "value": value, "unit": unit}

    rows = [
        row(name, field, getattr(getattr(result, name), field), "s")
        for name in _SPREADS
        for field in serving_tables.SPREAD
    ]
    rows += [row(name, "", getattr(result, name), unit) for name, unit in _NUMBERS]
    rows += [row("ended", state, count, "") for state, count in result.ended.items()]
    rows += [
        row("usd_per_million_tokens", cost.way, cost.usd_per_million_tokens, "USD") for cost in result.costs
    ]
    return rows


_MEANINGS: Final = {
    "ttft_s": (
        "Time to the first token",
        "From the arrival of a request to its first token, its wait in the queue counted; half of the "
        "requests wait no longer than p50, and 99 of 100 no longer than p99.",
    ),
    "tpot_s": (
        "Time between tokens",
        "From a request's first token to its last, over the tokens after the first; half of the requests "
        "have no slower tokens than p50, and 99 of 100 no slower ones than p99.",
    ),
    "goodput_requests_per_s": ("Goodput", "Requests a second that kept all objectives."),
    "requests_per_s": ("Answered requests", "Requests a second that were answered to the end."),
    "tokens_per_s": ("Tokens a second", "Tokens written a second, by all replicas together."),
    "utilisation": (
        "Busy",
        "Share of the replicas' time in which a pass ran; the rest is waiting for requests.",
    ),
    "kv_share": (
        "KV cache in use",
        "Blocks of the cache that hold something in use, over all, on average over time.",
    ),
    "costs": (
        "A million tokens",
        "What a million written tokens cost at this load: all that the cards cost a second, over the tokens "
        "written a second. Idle time is paid for too.",
    ),
}
"""What a number is called, and what it is, by its name."""


def _spread_notes(spread: Spread) -> Iterator[str]:
    words = ", ".join(
        f"{name} {format_seconds(getattr(spread, field))}"
        for name, field in zip(serving_tables.LATENCY[1:], serving_tables.SPREAD, strict=True)
    )
    yield f"Over {spread.count:,} requests: {words}. Percentiles are within 0.3% of the exact ones."


def _notes(answer: _Answer, number: str) -> Iterator[str]:
    result = answer.result
    limit = {"ttft_s": result.objectives.ttft_s, "tpot_s": result.objectives.tpot_s}.get(number)
    if number in ("ttft_s", "tpot_s"):
        yield from _spread_notes(getattr(result, number))
        if limit:
            late = result.missed.get(number.removesuffix("_s"), 0)
            yield f"At most {format_seconds(limit)} is asked; {late:,} answered requests were slower."
    elif number == "goodput_requests_per_s":
        yield f"Asked: {serving_words.objectives(result.objectives)}."
        if late_words := serving_tables.late_words(result):
            yield f"{late_words}."
    elif number == "costs":
        for cost in result.costs:
            stale = "; a price in it is older than six months" if cost.stale else ""
            yield f"{cost.way}: {cost.basis}{stale}."
    else:
        yield from (f"{name}: {words}." for name, words in serving_tables.service_facts(result))
    scheduler = result.scheduler
    source = f", from {scheduler.source}" if scheduler.source else ""
    yield f"Passes are put together as {scheduler.id} does{source}."
    if number != "costs":
        yield from (f"{row}." for row in serving_tables.assumptions(result))


def _terms(result: ServingResult, number: str) -> Iterator[Term]:
    span = Term(name="simulated time", value=result.span_s, unit="s")
    if number == "goodput_requests_per_s":
        yield Term(
            name="goodput",
            value=result.goodput_requests_per_s,
            unit="request/s",
            formula="share of good requests × requests that came / simulated time",
            numbers=f"{result.good_share:.6g} × {result.offered:,} / {result.span_s:.6g}",
            terms=(span,),
        )
    elif number == "tokens_per_s":
        yield Term(
            name="tokens a second",
            value=result.tokens_per_s,
            unit="token/s",
            formula="tokens written / simulated time",
            numbers=f"{result.tokens_per_s * result.span_s:,.0f} / {result.span_s:.6g}",
            terms=(span,),
        )
    elif number == "costs":
        for cost in result.costs:
            # A search may have sized the service: the money is that of the cards that serve.
            usd_per_s = cost.usd_per_million_tokens / MEGA * result.tokens_per_s
            yield Term(
                name=f"a million tokens, {cost.way}",
                value=cost.usd_per_million_tokens,
                unit="USD",
                formula="cost a second / tokens a second × 10⁶",
                numbers=f"{usd_per_s:.4g} / {result.tokens_per_s:,.6g} × 10⁶",
                terms=(Term(name=f"cost a second, {cost.way}", value=usd_per_s, unit="USD/s"),),
            )


def _explain(given: Given, answer: _Answer, number: str) -> Explanation:
    if number not in _MEANINGS:
        raise InvalidInput(f"no such number; known: {', '.join(_MEANINGS)}")
    result = answer.result
    title, meaning = _MEANINGS[number]
    words = ""
    if number in ("ttft_s", "tpot_s"):
        spread = getattr(result, number)
        words = f"p50 {format_seconds(spread.p50)}, p99 {format_seconds(spread.p99)}"
    elif number == "costs":
        words = ", ".join(f"{cost.way} {format_usd(cost.usd_per_million_tokens)}" for cost in result.costs)
    elif number in ("utilisation", "kv_share"):
        words = serving_words.share(getattr(result, number))
    else:
        words = format_quantity(getattr(result, number), dict(_NUMBERS)[number])
    return Explanation(
        title=title,
        value=words,
        meaning=meaning,
        terms=tuple(_terms(result, number)),
        notes=tuple(_notes(answer, number)),
    )


VIEW: Final = View(
    name="serving",
    title="Simulate",
    lead="What users feel of a service under load: requests played against it, pass by pass. "
    f"Recorded traces, and more than {MOST_REQUESTS:,} requests, are for the command.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    record=lambda given, answer: answer.result,
    rows=_rows,
    explain=_explain,
    first={
        "model": "llama-3.1-8b",
        "cluster": "1x1:h100-sxm",
        "requests_per_s": 10,
        "ttft_s": "1s",
        "tpot_s": "50ms",
    },
    slow=True,
    command=("simulate", "serve"),
    function="simulate_serving",
    positional=("model", "cluster"),
    call=_python,
    needed=("model", "cluster"),
    schema=ServingResult,
)
