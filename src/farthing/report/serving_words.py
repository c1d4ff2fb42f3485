"""A simulated service in words: what was played, on what, and what became of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Final

from farthing.records.hardware import Cluster
from farthing.records.plan import InferencePlan
from farthing.records.serving import Lengths, Objectives, ServingResult, Traffic, Try
from farthing.report.estimate import split
from farthing.units import format_quantity, format_seconds, format_usd

BREAKS: Final = {
    "ttft": "the first token comes too late",
    "tpot": "tokens come too slowly",
    "e2e": "whole answers take too long",
    "timed-out": "requests time out",
    "rejected": "requests are rejected",
    "too-long": "requests do not fit",
    "queue": "queues grow without end",
    "load": "no request came",
}
"""What keeps a service from its objectives."""


def counted(number: float, one: str, many: str = "") -> str:
    """A number of things.

    Examples
    --------
    >>> counted(1, "replica"), counted(1200, "pass", "passes")
    ('1 replica', '1,200 passes')
    """
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def rate(per_s: float) -> str:
    """Requests a second.

    Examples
    --------
    >>> rate(4.5), rate(0.0025)
    ('4.50 requests/s', '0.00250 requests/s')
    """
    return format_quantity(per_s, "request/s").replace("request/s", "requests/s")


def share(value: float) -> str:
    """A share in percent; what is not quite all or nothing is not rounded to it.

    Examples
    --------
    >>> share(1.0), share(0.9996), share(0.99), share(0.0), share(0.0004), share(0.0123)
    ('100%', '>99.9%', '99%', '0%', '<0.1%', '1.2%')
    """
    if 0 < value < 0.001:
        return "<0.1%"
    if 0.999 < value < 1 - 1e-9:
        return ">99.9%"
    return f"{100 * value:.1f}".removesuffix(".0") + "%"


def answer(result: ServingResult) -> str:
    """What a hurried reader wants to know, in a sentence or two."""
    load = result.traffic
    by = machines(result)
    if not result.offered:
        return f"No request came to {by}."
    if load.arrivals == "closed":
        at = f"with {counted(load.users, 'user')} on {by}"
    elif not load.requests_per_s:
        at = f"as they were recorded on {by}"
    else:
        at = f"at {rate(load.requests_per_s)} on {by}"
    if result.objectives.any:
        good = (
            f"{share(result.good_share)} of the requests are good, {share(result.objectives.share)} are asked"
        )
        if result.breaks:
            first = f"Misses the objectives {at}: {BREAKS[result.breaks]}; {good}"
        elif by_rate(result.tries):
            first = f"Keeps the objectives up to {rate(load.requests_per_s)} on {by}: {good}"
        elif result.tries:
            load_words = at.removesuffix(f" on {by}")
            first = f"Needs {by} to keep the objectives {load_words}: {good}"
        else:
            first = f"Keeps the objectives {at}: {good}"
    else:
        done = result.ended.get("finished", 0) / result.offered
        first = f"{'Answers all requests' if done == 1 else f'Answers {share(done)} of the requests'} {at}"
        if result.ttft_s.count:
            first += f": first token after {format_seconds(result.ttft_s.p50)}"
        if result.tpot_s.count:
            first += f", then {format_seconds(result.tpot_s.p50)} a token"
        if result.ttft_s.count:
            first += " (medians)" if result.tpot_s.count else " (median)"
    return f"{first}.{_prices(result)}"


def by_rate(tries: Sequence[Try]) -> bool:
    """Whether a search was for a rate, and not for a number of replicas."""
    return len({one.replicas for one in tries}) == 1 and len({one.requests_per_s for one in tries}) > 1


def _prices(result: ServingResult) -> str:
    words = {"own": "owned", "rent": "rented"}
    prices = [
        f"{format_usd(cost.usd_per_million_tokens)} {words.get(cost.way, cost.way)}" for cost in result.costs
    ]
    return f" A million tokens cost {', '.join(prices)}." if prices else ""


def machines(result: ServingResult) -> str:
    """How many replicas, of which kinds."""
    if result.prefill_replicas:
        readers = result.prefill_replicas
        reads = f"{counted(readers, 'worker')} that {_verb(readers, 'read')} prompts"
        writers = result.replicas - readers
        return f"{reads} and {writers:,} that {_verb(writers, 'write')} answers"
    return counted(result.replicas, "replica")


def _verb(number: int, verb: str) -> str:
    return verb + ("s" if number == 1 else "")


def played(result: ServingResult, cluster: Cluster) -> Iterator[tuple[str, str]]:
    """What ran, and what came."""
    plan, apart = result.plan, result.disaggregated
    if apart is not None:
        for name, own, pool in (
            ("prompts on", apart.prefill, apart.prefill_pool),
            ("answers on", apart.decode, apart.decode_pool),
        ):
            yield name, f"{_plan(own)}; {pool.hosts} x {pool.accelerators_per_host} cards"
    else:
        yield "plan", _plan(_as_played(plan, result))
        cards = result.replicas * plan.tp * plan.pp * (plan.dp if plan.ep > plan.tp else 1)
        if result.tries and cards != cluster.count:
            than = "more" if cards > cluster.count else "fewer"
            yield "cards", f"{cards:,}, {than} than the {cluster.count:,} of {cluster.name}"
    yield "scheduler", _scheduler(result)
    load = result.traffic
    yield "arrivals", _arrivals(result)
    if load.arrivals != "trace":
        yield "prompts", _lengths(load.prompt)
        yield "answers", _lengths(load.output)
    if extras := list(_extras(load)):
        yield "besides", "; ".join(extras)
    if (
        result.replicas > 1
        or result.front.queue_limit
        or result.front.timeout_s
        or result.front.queue_timeout_s
    ):
        yield "front", _front(result)
    if result.objectives.any:
        yield "objectives", objectives(result.objectives)


def _as_played(plan: InferencePlan, result: ServingResult) -> InferencePlan:
    """With the replicas that a search found."""
    return plan if plan.ep > plan.tp else dataclasses.replace(plan, dp=result.replicas)


def _plan(plan: InferencePlan) -> str:
    words = [split(plan)]
    if plan.micro_batches:
        words.append(counted(plan.micro_batches, "batch", "batches") + " in flight")
    words += [f"{plan.weight_format} weights", f"{plan.kv_format} KV cache"]
    if plan.engine:
        words.append(plan.engine)
    return ", ".join(words)


def _scheduler(result: ServingResult) -> str:
    own = result.scheduler
    words = [own.id]
    ranks = result.plan.ep > result.plan.tp and result.plan.dp > 1
    where = "each of a replica's ranks" if ranks else "a replica"
    most = f"at most {counted(own.max_sequences, 'request')} in work on {where}"
    if own.holds_batch:
        words.append(f"static batches, {most}")
        return "; ".join(words)
    words.append(f"{counted(own.token_budget, 'token')} a pass, {most}")
    if not own.mixes:
        words.append("prompts before answers")
    if not own.chunks:
        words.append("prompts whole")
    if own.slots:
        words.append("memory in equal slots")
    if own.poll_steps > 1:
        words.append(f"looks at its queue every {own.poll_steps:,} passes")
    return "; ".join(words)


def _arrivals(result: ServingResult) -> str:
    load = result.traffic
    if load.arrivals == "closed":
        pause = f" and then pause {format_seconds(load.think_s)}" if load.think_s else ""
        wait = "waits for the answer" if load.users == 1 else "wait for their answers"
        pause = pause.replace("pause", "pauses") if load.users == 1 else pause
        words = f"{counted(load.users, 'user')} who {wait}{pause}"
    elif load.arrivals == "trace":
        words = result.trace
        if load.requests_per_s:
            words += f"; played at {rate(load.requests_per_s)}"
    else:
        words = {
            "poisson": "independent of each other (Poisson)",
            "gamma": f"in bursts (gaps vary by {load.burstiness:g} times their mean)",
            "diurnal": f"in tides of {share(load.swing)} over {format_seconds(load.day_s)}",
        }[load.arrivals]
        words += f", {rate(load.requests_per_s)} on average"
    ends = []
    if load.requests:
        ends.append(
            f"the first {load.requests:,}" if load.arrivals == "trace" else counted(load.requests, "request")
        )
    if load.duration_s:
        ends.append(f"for {format_seconds(load.duration_s)}")
    return ", ".join([words, *ends])


def _lengths(lengths: Lengths) -> str:
    mean = f"{lengths.tokens:,.10g}"
    most = f", none above {lengths.most:,}" if lengths.most else ""
    if lengths.kind == "uniform":
        low, high = lengths.tokens * (1 - lengths.spread), lengths.tokens * (1 + lengths.spread)
        return f"{max(low, 1):,.6g} to {high:,.6g} tokens, all as likely{most}"
    if lengths.kind == "lognormal":
        wide = f"standard deviation {100 * lengths.spread:.4g}% of that"
        return f"{mean} tokens on average, lognormal, {wide}{most}"
    return f"{mean} token{'' if lengths.tokens == 1 else 's'}{most}"


def _extras(load: Traffic) -> Iterator[str]:
    if len(load.priorities) > 1:
        whole = sum(load.priorities)
        shares = ", ".join(share(part / whole) for part in load.priorities)
        yield f"priorities {shares}, the most urgent first"
    if load.prefix_groups:
        yield (
            f"prompts begin in {counted(load.prefix_groups, 'way')}, alike over "
            f"{share(load.prefix_share)} of a mean prompt"
        )
    if load.cancel_share:
        yield f"{share(load.cancel_share)} of the users give up while the answer is written"


def _front(result: ServingResult) -> str:
    front = result.front
    words = (
        [
            {
                "round-robin": "each replica in turn",
                "least-outstanding": "the replica with the fewest unanswered requests",
                "prefix-aware": "the replica that knows most of the prompt's beginning",
                "power-of-two": "the less busy of two replicas drawn by lot",
            }[front.routing]
            + " gets a request"
        ]
        if result.replicas > 1
        else []
    )
    if front.queue_limit:
        words.append(f"at most {front.queue_limit:,} wait at a replica")
    if front.queue_timeout_s:
        words.append(f"given up when not begun within {format_seconds(front.queue_timeout_s)}")
    if front.timeout_s:
        words.append(f"given up when not answered within {format_seconds(front.timeout_s)}")
    return "; ".join(words)


def objectives(asked: Objectives) -> str:
    """What a good request keeps, in words."""
    words = []
    if asked.ttft_s:
        words.append(f"first token within {format_seconds(asked.ttft_s)}")
    if asked.tpot_s:
        words.append(f"{format_seconds(asked.tpot_s)} between tokens on average")
    if asked.e2e_s:
        words.append(f"the whole answer within {format_seconds(asked.e2e_s)}")
    return f"{', '.join(words)}; for {share(asked.share)} of the requests"
