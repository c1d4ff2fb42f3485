"""Prefill and decode of a served model: time of a step through all stages, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from farthing.predict.collectives import (
    Axis,
    all_reduce_time_s,
    axis_all_gather_time_s,
    axis_all_to_all_time_s,
)
from farthing.predict.communication import exposed_time_s
from farthing.predict.compute import matmul_time_s, ranks_reached
from farthing.predict.fabric import (
    parallel_axis,
)
from farthing.predict.hops import (
    Ports,
    crossing_time_s,
    ends_time_s,
    hop_time_s,
    judged_tokens,
    ports,
)
from farthing.predict.inference_layer import forward_time
from farthing.predict.layer import LayerTime, Shards
from farthing.predict.placement import Place
from farthing.predict.rooted import client_head_time_s, mesh_time_s, rooted_elements, rooted_time_s
from farthing.predict.stages import layer_kinds
from farthing.predict.trace import Number, formula, larger, named, select, untraced
from farthing.records.engine_efficiency import NO_OVERHEAD, EngineEfficiency
from farthing.records.hardware import Cluster
from farthing.records.model import LayerKind, Model
from farthing.records.plan import InferencePlan
from farthing.records.wiring import PEERS, Wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTime:
    """One forward pass through all stages, by part [s]; scalar or column.

    ``slowest_s`` is the stage that limits throughput when all stages are busy, its hop included.
    """

    matmul_s: Number
    attention_s: Number
    elementwise_s: Number
    communication_s: Number
    hop_s: Number
    overhead_s: Number
    total_s: Number
    slowest_s: Number


def step_time(
    model: Model,
    cluster: Cluster,
    placed: Sequence[Place],
    plan: InferencePlan,
    *,
    sequences: Number,
    new_tokens: Number,
    cached_tokens: Number,
    decode: bool,
    weight_bytes: float = 2.0,
    expert_bytes: float = 0.0,
    narrow: frozenset[str] = frozenset(),
    head_bytes: float = 2.0,
    kv_bytes: float = 2.0,
    routing_spread: float = 0.0,
    engine: EngineEfficiency = NO_OVERHEAD,
    wiring: Wiring = PEERS,
) -> StepTime:
    """One forward pass of one micro-batch through all stages of a replica.

    Each layer ends in two all-reduces over the tensor-parallel cards (one where attention and feed-forward
    run side by side); one more follows the embedding, and the logits are gathered. Stages hand activations
    on; the sampled token returns to the first.

    Parameters
    ----------
    model, cluster, placed, plan
        What runs where.
    sequences, new_tokens, cached_tokens
        Of the micro-batch; scalar or column.
    decode
        One new token a sequence (or a few drafted ones), the rest cached.
    weight_bytes, expert_bytes, head_bytes, kv_bytes
        Of one element of the layers' weights, of the routed experts' (0: as the others), of embedding and
        head, of the cache [byte].
    routing_spread
        Unevenness of the experts' popularity; see `experts_touched`.
    narrow
        Titles of products that are stored like the routed experts.
    engine
        Host times of the engine; its factors on rates are in the places' devices already.
    wiring
        How it joins cards and hosts.

    Returns
    -------
    StepTime
        [s]

    References
    ----------
    pope-2022, shoeybi-2019, li-2023-article

    Examples
    --------
    The article's eight RTX 4090 in tensor parallel: 17.5 ms of weights, and 160 exchanges.

    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.predict.placement import places
    >>> from farthing.records.efficiency import IDEAL
    >>> cluster = parse_cluster("1x8:rtx-4090")
    >>> plan = InferencePlan(tp=8)
    >>> card = device(cluster.groups[0].accelerator, "fp16")
    >>> placed = places(model("llama-2-70b"), cluster, plan, [card], [IDEAL])
    >>> step = step_time(model("llama-2-70b"), cluster, placed, plan, sequences=1, new_tokens=1,
    ...                  cached_tokens=128, decode=True)
    >>> round(step.matmul_s * 1e3, 1)
    17.0
    """
    expert_tp = larger(plan.tp // plan.ep, 1)
    shards = Shards(
        tp=plan.tp,
        expert_groups=plan.ep,
        expert_tp=expert_tp,
        replicas=larger(plan.ep / plan.tp, 1.0),
        weight_bytes=weight_bytes,
        expert_bytes=expert_bytes,
        narrow=narrow,
        kv_bytes=kv_bytes,
        window_spare_tokens=window_spare_tokens(plan, engine),
    )
    times: dict[int, _GroupTimes] = {}
    matmul: Number = 0.0
    attention: Number = 0.0
    elementwise: Number = 0.0
    communication: Number = 0.0
    hops: Number = 0.0
    overhead: Number = 0.0
    slowest: Number = 0.0
    launch_s = engine.decode_launch_s if decode else engine.prefill_launch_s
    host_s = engine.step_s + engine.sequence_s * sequences
    for place in placed:
        if id(place.group) not in times:
            times[id(place.group)] = _group_times(
                model,
                cluster,
                place,
                plan,
                shards,
                sequences,
                new_tokens,
                cached_tokens,
                decode,
                head_bytes,
                routing_spread,
                engine,
                wiring,
            )
    first, last = times[id(placed[0].group)], times[id(placed[-1].group)]
    for number, place in enumerate(placed):
        here = times[id(place.group)]
        there = times[id(placed[min(number + 1, len(placed) - 1)].group)]
        stage, copies = place.stage, place.stage.copies
        products: Number = stage.last * here.head
        attending: Number = 0.0
        moving: Number = 0.0
        talking: Number = stage.first * here.exchange + stage.last * here.gather
        kernels: Number = stage.last * 2 + stage.first
        for layer, exchanged, count in zip(here.layers, here.layer_traffic, stage.counts, strict=True):
            products = products + count * layer.matmul_s
            attending = attending + count * layer.attention_s
            moving = moving + count * layer.elementwise_s
            talking = talking + count * exchanged
            kernels = kernels + count * layer.kernels
        busy = products + attending + moving
        exposed = exposed_time_s(talking, busy, overlap=plan.overlap_communication)
        longest_hop = select(
            place.hops_across > 0,
            hop_time_s(here.ports, there.ports),
            select(place.hops_inside > 0, here.ports.inside, 0.0),
        )
        matmul = matmul + copies * products
        attention = attention + copies * attending
        elementwise = elementwise + copies * moving
        communication = communication + copies * exposed
        crossing = crossing_time_s(here.ports, there.ports, first.ports, wiring=wiring)
        hops = hops + place.hops_inside * here.ports.inside + place.hops_across * crossing
        # The device waits where the host cannot issue kernels as fast as it runs them.
        waiting = larger(kernels * launch_s - busy - exposed, 0.0) + host_s
        if engine.ungraphed_kernel_s:
            several = sequences * new_tokens > 1
            waiting = waiting + select(several, kernels * engine.ungraphed_kernel_s, 0.0)
        overhead = overhead + copies * waiting
        slowest = larger(slowest, busy + exposed + longest_hop + waiting)
    crossings = sum(place.hops_across for place in placed)
    hops = hops + ends_time_s(first.ports, last.ports, crossings, wiring=wiring)
    hops = named("stage hops_s", hops, reference="borzunov-2023")
    overhead = named("host time of the engine_s", overhead)
    matmul = named("matrix products_s", matmul)
    attention = named("attention_s", attention)
    elementwise = named("norms and activations_s", elementwise)
    communication = named("tensor-parallel traffic_s", communication)
    return StepTime(
        matmul_s=matmul,
        attention_s=attention,
        elementwise_s=elementwise,
        communication_s=communication,
        hop_s=hops,
        overhead_s=overhead,
        total_s=matmul + attention + elementwise + communication + hops + overhead,
        slowest_s=slowest,
    )


def window_spare_tokens(plan: InferencePlan, engine: EngineEfficiency) -> Number:
    """Entries that the cache of a window layer has beyond the window: room for the tokens of one pass.

    Parameters
    ----------
    plan
        Whose chunks may be larger than the engine's own.
    engine
        The engine's constants.

    Returns
    -------
    Number
        Tokens; 0 where engines give up the oldest token for each new one.

    References
    ----------
    kwon-2023

    Examples
    --------
    >>> from dataclasses import replace
    >>> ring = replace(NO_OVERHEAD, window_spare_tokens=512.0)
    >>> [window_spare_tokens(InferencePlan(chunk_tokens=chunk), ring) for chunk in (0, 2048)]
    [512.0, 2048.0]
    """
    return engine.window_spare_tokens and larger(engine.window_spare_tokens, plan.chunk_tokens * 1.0)


def _expert_axis(cluster: Cluster, place: Place, plan: InferencePlan) -> Axis:
    """Experts go over the tensor-parallel cards, then over replicas, which lie a whole pipeline apart."""
    cards = parallel_axis(cluster, place.group, plan.tp, efficiency=place.efficiency)
    replicas = parallel_axis(
        cluster,
        place.group,
        larger(plan.ep // plan.tp, 1),
        stride=plan.tp * plan.pp,
        efficiency=place.efficiency,
    )
    return replace(cards, ranks=cards.ranks * replicas.ranks, inside=cards.inside * replicas.inside)


@dataclass(frozen=True, slots=True)
class _GroupTimes:
    """One micro-batch on the hosts of one group: each kind of layer, head, exchanges and messages [s]."""

    layers: tuple[LayerTime, ...]
    layer_traffic: tuple[Number, ...]
    exchange: Number
    head: Number
    gather: Number
    ports: Ports


def _group_times(
    model: Model,
    cluster: Cluster,
    place: Place,
    plan: InferencePlan,
    shards: Shards,
    sequences: Number,
    new_tokens: Number,
    cached_tokens: Number,
    decode: bool,
    head_bytes: float,
    routing_spread: float,
    engine: EngineEfficiency,
    wiring: Wiring,
) -> _GroupTimes:
    message = sequences * new_tokens * model.hidden * 2.0
    axis = parallel_axis(cluster, place.group, plan.tp, efficiency=place.efficiency)
    started = engine.exchange_s * _starts(plan.tp, wiring)
    rooted = wiring.exchange in ("root", "slices")
    exchange = 0.0 if rooted else _exchange_s(message, axis, wiring) + started
    exchange = named("all-reduce_s", exchange, reference="thakur-2005")
    layers, traffic = [], []
    told: dict[tuple[str, ...], Number] = {}
    for kind in layer_kinds(model):
        layer = forward_time(
            model,
            kind,
            place.device,
            shards,
            sequences=sequences,
            new_tokens=new_tokens,
            cached_tokens=cached_tokens,
            decode=decode,
            routing_spread=routing_spread,
            told=told,
        )
        layers.append(
            LayerTime(
                matmul_s=named("layer matrix products_s", layer.matmul_s),
                attention_s=named("layer attention_s", layer.attention_s),
                elementwise_s=named("layer norms and activations_s", layer.elementwise_s),
                kernels=layer.kernels,
            )
        )
        exchanges = 1 if model.parallel_attention or "none" in (kind.mixer, kind.feed_forward) else 2
        exchanged = exchanges * exchange
        if rooted:
            exchanged = _rooted_s(model, kind, sequences * new_tokens, axis, wiring)
            # Slices take four gathers and four broadcasts a layer, sums two of each.
            exchanged = exchanged + (2 if wiring.exchange == "slices" else 1) * exchanges * started
        if kind.feed_forward == "moe":
            # Replicas that share experts send each token once to every card that holds some of its experts,
            # and back.
            width = (model.moe_hidden or model.hidden) / model.hidden
            apart = plan.ep > plan.tp
            if isinstance(apart, np.ndarray) or apart:
                copies = ranks_reached(model.experts_per_token, plan.ep)
                sent = select(apart, message * width / plan.tp * copies, 0.0)
                # Each way the counts go ahead of the tokens.
                dispatch = 2 * (
                    axis_all_to_all_time_s(sent, _expert_axis(cluster, place, plan)) + 2 * engine.exchange_s
                )
                exchanged = exchanged + select(apart, dispatch, 0.0)
        traffic.append(exchanged)
    judged = judged_tokens(sequences, new_tokens, decode=decode)
    head: Number
    if wiring.hops == "client":
        head = client_head_time_s(model.vocab, model.hidden)
    else:
        head = matmul_time_s(
            judged,
            model.vocab / (1 if wiring.whole_head else plan.tp),
            model.hidden,
            device=place.device,
            weight_bytes_per_element=head_bytes,
        )
        if wiring.whole_head:
            head = head * engine.head_factor
    gather = axis_all_gather_time_s(judged * model.vocab * 2.0, axis)
    return _GroupTimes(
        layers=tuple(layers),
        layer_traffic=tuple(traffic),
        exchange=exchange,
        head=named("LM head_s", head),
        gather=0.0 if wiring.whole_head else gather,
        ports=ports(
            model,
            cluster,
            place,
            plan,
            sequences=sequences,
            new_tokens=new_tokens,
            cached_tokens=cached_tokens,
            decode=decode,
            wiring=wiring,
        ),
    )


def _starts(tp: Number, wiring: Wiring) -> Number:
    """How often an engine pays its own time for an exchange."""
    if wiring.exchange == "peers":
        # Each doubling of the cards is one more to wait for.
        return np.log2(untraced(tp))
    # A mesh hears of all parts at once; a sum that goes to a root comes back from it.
    return select(tp > 1, 0.5 if wiring.exchange == "mesh" else 1.0, 0.0)


def _exchange_s(message_bytes: Number, axis: Axis, wiring: Wiring) -> Number:
    """One all-reduce of a message in 16 bits, as the engine does it."""
    if wiring.exchange == "peers":
        return all_reduce_time_s(message_bytes, axis)
    rate, latency = _one_link(axis)
    return mesh_time_s(
        message_bytes * wiring.exchange_bits / 16, axis.ranks, bytes_per_s=rate, latency_s=latency
    )


def _rooted_s(model: Model, kind: LayerKind, tokens: Number, axis: Axis, wiring: Wiring) -> Number:
    """What a layer sends through the root [s]."""
    slices = wiring.exchange == "slices"
    elements = tokens * rooted_elements(model, kind, axis.ranks - 1, slices=slices)
    rate, latency = _one_link(axis)
    return rooted_time_s(
        elements * wiring.exchange_bits / 8,
        axis.ranks - 1,
        bytes_per_s=rate,
        latency_s=latency,
        steps=8 if slices else 4,
    )


def _one_link(axis: Axis) -> tuple[Number, Number]:
    """Rate and latency of the slowest link of an axis."""
    across = axis.hosts > 1
    return (
        select(across, axis.across_bytes_per_s, axis.inside_bytes_per_s),
        select(across, axis.across_latency_s, axis.inside_latency_s),
    )


@formula(reference="pope-2022")
def pipelined_step_time_s(total_s: Number, slowest_s: Number, *, micro_batches: Number) -> Number:
    """Time between two tokens of a sequence when micro-batches take turns on the stages.

    A micro-batch goes through all stages; it comes round again when it has, and when the slowest stage has
    served all the others.

    Parameters
    ----------
    total_s
        One micro-batch through all stages [s], scalar or column.
    slowest_s
        On the slowest stage [s].
    micro_batches
        In flight.

    Returns
    -------
    Number
        [s]

    References
    ----------
    pope-2022

    Examples
    --------
    >>> [pipelined_step_time_s(0.14, slowest, micro_batches=8) for slowest in (0.0175, 0.05)]
    [0.14, 0.4]
    """
    return larger(total_s, micro_batches * slowest_s)


@formula(reference="leviathan-2023", unit="token")
def speculated_tokens(draft_tokens: Number, acceptance_rate: Number) -> Number:
    """Tokens that a step of speculative decoding yields on average.

    ``(1 - a^(k+1)) / (1 - a)``: the accepted run, and one token of the target model.

    Parameters
    ----------
    draft_tokens, acceptance_rate
        k and a; scalar or column.

    Returns
    -------
    Number
        1 to ``k + 1``.

    References
    ----------
    leviathan-2023

    Examples
    --------
    >>> speculated_tokens(0, 0.7), round(speculated_tokens(4, 0.8), 3), speculated_tokens(3, 1.0)
    (1.0, 3.362, 4.0)
    """
    sure = acceptance_rate >= 1
    rate = select(sure, 0.5, acceptance_rate)
    return select(sure, draft_tokens + 1.0, (1 - rate ** (draft_tokens + 1)) / (1 - rate))


@formula(reference="kwon-2023", unit="sequence")
def sequences_that_fit(free_bytes: Number, sequence_bytes: Number) -> Number:
    """Sequences whose cache fits in what the weights leave.

    Parameters
    ----------
    free_bytes, sequence_bytes
        On one card [byte], scalar or column.

    Returns
    -------
    Number
        Whole sequences, at least 0.

    References
    ----------
    kwon-2023

    Examples
    --------
    >>> sequences_that_fit(10e9, 1.34e9)
    7.0
    """
    return np.floor(larger(free_bytes, 0.0) / larger(sequence_bytes, 1e-9))
