"""One run of a service, and what it says."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Final, cast

from farthing.estimate.cost import CostBasis, costs, power_w
from farthing.predict.parameters import active_parameters
from farthing.records.hardware import Cluster
from farthing.records.plan import DisaggregatedPlan, InferencePlan
from farthing.records.serving import Front, Moment, Objectives, ServingResult, Traffic
from farthing.simulate.serving.deployed import Deployed
from farthing.simulate.serving.measures import Measures, Watcher
from farthing.simulate.serving.service import Outcome, Service
from farthing.simulate.serving.stream import stream
from farthing.simulate.serving.trace import Trace

LOST: Final = ("timed-out", "rejected", "too-long")
"""States of requests that the service failed."""
LEFT, LEFT_SHARE = 50, 0.05
"""Requests that may wait when the last one comes, and their share of all, before it counts as too much."""
GROWTH: Final = 1.25
"""By so much must a queue be longer in the last third of the load than in the second, to count as growing."""


def play(
    deployed: Deployed,
    traffic: Traffic,
    *,
    front: Front,
    objectives: Objectives,
    basis: CostBasis,
    trace: Trace | None = None,
    warm_up: int = 0,
    watchers: Sequence[Watcher] = (),
) -> ServingResult:
    """Requests played against a deployment.

    Parameters
    ----------
    deployed
        What serves.
    traffic, trace
        What comes.
    front, objectives
        What stands before the replicas, and what a good request keeps.
    basis
        How money is counted.
    warm_up
        Requests at the beginning that count in no latency.
    watchers
        Told of every pass and request.
    """
    measures = Measures(objectives, warm_up=warm_up, watchers=tuple(watchers))
    asks = stream(traffic, trace)
    service = Service(
        deployed.deployment(asks.prefix_block_tokens),
        front,
        measures,
        users=traffic.users if traffic.arrivals == "closed" else 0,
        think_s=traffic.think_s,
        until_s=traffic.duration_s or math.inf,
        seed=traffic.seed,
    )
    outcome = service.run(iter(asks))
    return _result(deployed, traffic, front, objectives, basis, trace, measures, outcome)


def _result(
    deployed: Deployed,
    traffic: Traffic,
    front: Front,
    objectives: Objectives,
    basis: CostBasis,
    trace: Trace | None,
    measures: Measures,
    outcome: Outcome,
) -> ServingResult:
    apart = deployed.plan if isinstance(deployed.plan, DisaggregatedPlan) else None
    # Of a load without requests all rates are 0.
    span = outcome.span_s or math.inf
    replicas = deployed.replicas + deployed.readers
    machine = deployed.decode.machine
    answered = outcome.ended.get("finished", 0)
    blocks = machine.kv_blocks
    series = measures.timeline.moments(outcome.span_s, replicas, blocks * deployed.replicas)
    left = outcome.left_waiting > max(LEFT, LEFT_SHARE * outcome.offered)
    growing = traffic.arrivals != "closed" and (left or is_growing(series))
    draw = _power_w(deployed, measures, span, basis)
    tokens_per_s = measures.tokens / span
    paid = _paid(deployed)
    share = deployed.cards / paid.count
    judged = measures.judged or math.inf
    return ServingResult(
        model=deployed.model.id,
        cluster=deployed.cluster.name,
        plan=apart.decode if apart else cast(InferencePlan, deployed.plan),
        disaggregated=apart,
        traffic=traffic,
        scheduler=deployed.decode.scheduler,
        front=front,
        objectives=objectives,
        replicas=replicas,
        prefill_replicas=deployed.readers,
        offered=outcome.offered,
        ended=outcome.ended,
        span_s=outcome.span_s,
        ttft_s=measures.ttft.spread(),
        tpot_s=measures.tpot.spread(),
        itl_s=measures.itl.spread(),
        e2e_s=measures.e2e.spread(),
        queue_s=measures.queue.spread(),
        requests_per_s=answered / span,
        tokens_per_s=tokens_per_s,
        goodput_requests_per_s=measures.good / judged * outcome.offered / span,
        good_share=measures.good / judged,
        missed=measures.missed,
        breaks=_breaks(objectives, measures, outcome, growing=growing),
        utilisation=min(measures.busy_s / (span * replicas), 1.0),
        mean_sequences=measures.sequences_s / measures.passing_s if measures.passing_s else 0.0,
        kv_share=measures.held_s / (span * deployed.replicas * blocks),
        kv_peak_share=measures.held_peak / blocks,
        kv_blocks=blocks,
        preemptions=outcome.preemptions,
        prefix_hit_share=1 - measures.read_tokens / measures.prompt_tokens if measures.prompt_tokens else 0.0,
        in_system=outcome.in_system,
        in_system_by_little=outcome.in_system_by_little,
        passes=measures.passes,
        steps=measures.steps,
        power_w=draw,
        costs=costs(paid, draw, tokens_per_s / share, basis) if measures.tokens else (),
        series=series,
        latencies=measures.latencies.moments(outcome.span_s),
        trace=trace.description if trace is not None else "",
        assumptions=deployed.notes,
        warnings=(*deployed.warnings, *_warnings(outcome, growing=growing)),
    )


def _paid(deployed: Deployed) -> Cluster:
    """The cards that serve, where a search took more or fewer than the cluster has."""
    cluster, cards = deployed.cluster, deployed.cards
    if deployed.replicas == deployed.decode.replicas or len(cluster.groups) > 1:
        return cluster
    group = cluster.groups[0]
    hosts, rest = divmod(cards, group.accelerators_per_host)
    own = (hosts, group.accelerators_per_host) if not rest else (1, cards)
    sized = dataclasses.replace(group, hosts=own[0], accelerators_per_host=own[1])
    factor = cards / cluster.count
    # Several hosts need some network; neither power nor money looks at which.
    return dataclasses.replace(
        cluster,
        groups=(sized,),
        network=cluster.network or group.network or group.intra_link,
        usd=cluster.usd * factor,
        usd_per_s=cluster.usd_per_s * factor,
    )


def _power_w(deployed: Deployed, measures: Measures, span_s: float, basis: CostBasis) -> float:
    """Of the whole cluster, by what the cards did on average of their peaks [W]."""
    run = deployed.decode.run
    cards, replicas = deployed.cards, deployed.replicas + deployed.readers
    flop = 2 * active_parameters(deployed.model) * (measures.read_tokens + measures.tokens)
    peak = min(card.matmul_flop_per_s for card in run.about.devices) * cards
    memory = run.memory(1, 1.0)
    # Each pass reads the weights of its card, and what the cache holds.
    room = float(memory.capacity_bytes) - float(memory.weight_bytes)
    held = room * measures.held_s / (measures.busy_s * deployed.decode.machine.kv_blocks or 1.0)
    moved = (float(memory.weight_bytes) + held) * measures.passes / replicas
    bandwidth = min(card.memory_bytes_per_s for card in run.about.devices)
    return float(
        power_w(
            _paid(deployed),
            compute_share=min(flop / (peak * span_s), 1.0) if span_s else 0.0,
            memory_share=min(moved / (bandwidth * span_s), 1.0) if span_s else 0.0,
            pue=basis.pue,
            used=cards,
        )
    )


def _breaks(objectives: Objectives, measures: Measures, outcome: Outcome, *, growing: bool) -> str:
    """What keeps the service from its objectives; empty where they are kept."""
    if not objectives.any:
        return ""
    if not measures.judged:
        return "load"
    if measures.good >= objectives.share * measures.judged:
        return "queue" if growing else ""
    lost: dict[str, int] = {state: outcome.ended[state] for state in LOST if state in outcome.ended}
    reasons = measures.missed | lost
    return max(reasons, key=lambda name: reasons[name])


def _warnings(outcome: Outcome, *, growing: bool) -> list[str]:
    found = []
    if not outcome.offered:
        found.append("no request came: the load ends before the first one")
    if lost := outcome.ended.get("too-long", 0):
        what = "request does" if lost == 1 else "requests do"
        found.append(f"{lost:,} {what} not fit: longer than a replica's cache, a slot or a pass")
    if growing:
        found.append(
            "queues were still growing when the load ended: it is more than the service can do, and waits "
            "depend on how long it lasts"
        )
    return found


def is_growing(series: Sequence[Moment]) -> bool:
    """Whether requests queue up more and more until no more come."""
    coming = [index for index, moment in enumerate(series) if moment.requests_per_s]
    if len(coming) < 9:
        return False
    load = series[: coming[-1]]
    third = len(load) // 3
    early, middle, late = (
        sum(moment.waiting for moment in part) / max(len(part), 1)
        for part in (load[:third], load[third : 2 * third], load[2 * third :])
    )
    # So far a queue may come by chance, where as many leave as come.
    chance = math.sqrt(sum(moment.requests_per_s * (moment.end_s - moment.start_s) for moment in load) / 3)
    return late > GROWTH * middle > GROWTH * GROWTH * early and late - middle > chance
