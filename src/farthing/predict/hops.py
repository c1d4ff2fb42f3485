"""Messages between the stages of a served pipeline: what each takes, and how many of them a step sends."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.predict.communication import point_to_point_time_s
from farthing.predict.fabric import (
    across_bytes_per_s,
    across_latency_s,
    inside_bytes_per_s,
    inside_latency_s,
)
from farthing.predict.placement import Place
from farthing.predict.remote_graph import graph_tensors, mask_bytes
from farthing.predict.trace import Number, larger, select, untraced
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.wiring import PEERS, Wiring


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports:
    """What messages of one micro-batch take from hosts of one group [s].

    Attributes
    ----------
    inside, across
        Activations to the next stage, in the same host or in another one.
    answer
        The same activations back to the first machine, where an engine relays them.
    logits
        Of the last stage, to another host.
    latency
        Of an empty message to another host.
    """

    inside: Number
    across: Number
    answer: Number
    logits: Number
    latency: Number


def judged_tokens(sequences: Number, new_tokens: Number, *, decode: bool) -> Number:
    """Tokens whose logits are needed: the last one of a prompt, all of a drafted run.

    Parameters
    ----------
    sequences, new_tokens, decode
        Of the pass, as in `step_time`.

    Returns
    -------
    Number
        Tokens.

    References
    ----------
    pope-2022

    Examples
    --------
    >>> judged_tokens(4, 512, decode=False), judged_tokens(4, 3, decode=True)
    (4, 12)
    """
    return sequences * new_tokens if decode else sequences


def ports(
    model: Model,
    cluster: Cluster,
    place: Place,
    plan: InferencePlan,
    *,
    sequences: Number,
    new_tokens: Number,
    cached_tokens: Number,
    decode: bool,
    wiring: Wiring = PEERS,
) -> Ports:
    """What a micro-batch's messages take from the hosts of a place.

    Parameters
    ----------
    model, cluster, place, plan
        What runs where.
    sequences, new_tokens, cached_tokens, decode
        Of the micro-batch, as in `step_time`.
    wiring
        How the engine joins hosts.

    Returns
    -------
    Ports
        [s]

    References
    ----------
    borzunov-2023, gerganov-2023

    Examples
    --------
    16 KiB of activations over 25 Gbit Ethernet:

    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.predict.placement import places
    >>> from farthing.records.efficiency import IDEAL
    >>> cluster, plan = parse_cluster("2x1:rtx-4090@25gbe"), InferencePlan(pp=2)
    >>> card = device(cluster.groups[0].accelerator, "fp16")
    >>> place = places(model("llama-2-70b"), cluster, plan, [card], [IDEAL])[0]
    >>> found = ports(model("llama-2-70b"), cluster, place, plan, sequences=1, new_tokens=1, cached_tokens=0,
    ...               decode=True)
    >>> round((found.across - found.latency) * 1e6, 1)
    5.6
    """
    message = sequences * new_tokens * model.hidden * 2.0
    activations = message * wiring.hop_bits / 16 / plan.tp
    described: Number = 0.0
    if wiring.tensor_bytes:
        described = (
            sum(graph_tensors(model, kind) for kind in model.layer_kinds) * wiring.tensor_bytes / plan.pp
        )
    mask = mask_bytes(model, sequences * new_tokens, cached_tokens + new_tokens, rows=wiring.mask_rows)
    across = {
        "bytes_per_s": across_bytes_per_s(cluster, place.group, place.efficiency, senders=untraced(plan.tp)),
        "latency_s": across_latency_s(cluster, place.group, place.efficiency),
    }
    judged = judged_tokens(sequences, new_tokens, decode=decode)
    return Ports(
        inside=point_to_point_time_s(
            message / plan.tp,
            bytes_per_s=inside_bytes_per_s(place.group, place.efficiency),
            latency_s=inside_latency_s(place.group, place.efficiency),
        ),
        across=point_to_point_time_s(activations + (described + mask) / plan.tp, **across),
        answer=point_to_point_time_s(activations, **across),
        logits=point_to_point_time_s(judged * model.vocab * 4.0, **across),
        latency=across["latency_s"],
    )


def hop_time_s(sender: Ports, receiver: Ports) -> Number:
    """Activations from a stage to the next one on another host: the slower of both ports sets the pace.

    Parameters
    ----------
    sender, receiver
        Ports of their hosts.

    Returns
    -------
    Number
        [s]

    References
    ----------
    borzunov-2023

    Examples
    --------
    >>> slow, fast = (Ports(inside=0, across=s, answer=s, logits=s, latency=0) for s in (2e-3, 1e-3))
    >>> hop_time_s(fast, slow)
    0.002
    """
    return larger(sender.across, receiver.across)


def crossing_time_s(sender: Ports, receiver: Ports, first: Ports, *, wiring: Wiring) -> Number:
    """What one hop to another host adds to a step: itself, and what the engine sends along with it.

    Parameters
    ----------
    sender, receiver, first
        Ports of the hosts of two neighbouring stages, and of the first stage's.
    wiring
        How the engine joins hosts.

    Returns
    -------
    Number
        [s]

    References
    ----------
    borzunov-2023, gerganov-2023

    Examples
    --------
    A relay returns each answer to the first machine before it goes on.

    >>> port = Ports(inside=0.0, across=2e-3, answer=1e-3, logits=0.0, latency=1e-4)
    >>> [crossing_time_s(port, port, port, wiring=Wiring(id="", hops=hops)) for hops in ("direct", "relay")]
    [0.002, 0.003]
    """
    hop = hop_time_s(sender, receiver)
    if wiring.hops not in ("relay", "remote"):
        return hop
    hop = hop + sender.answer
    return hop + wiring.answered_calls * 2 * first.latency if wiring.answered_calls else hop


def ends_time_s(first: Ports, last: Ports, crossing: Number, *, wiring: Wiring) -> Number:
    """What a step sends beside its hops: the token back to the first stage, or to and from a client.

    Parameters
    ----------
    first, last
        Ports of the first and the last stage's hosts.
    crossing
        Hops to other hosts, scalar or column.
    wiring
        How the engine joins hosts.

    Returns
    -------
    Number
        [s]

    References
    ----------
    borzunov-2023, gerganov-2023

    Examples
    --------
    >>> port = Ports(inside=0.0, across=2e-3, answer=1e-3, logits=0.0, latency=1e-4)
    >>> [ends_time_s(port, port, 0, wiring=Wiring(id="", hops=hops)) for hops in ("direct", "client")]
    [0.0, 0.004]
    """
    if wiring.hops == "direct":
        return select(crossing > 0, larger(first.latency, last.latency), 0.0)
    if wiring.hops == "client":
        return first.across + last.across
    ends: Number = 0.0
    if wiring.hops == "remote":
        # The first machine has no stage: it sends to that of the first one, which answers.
        ends = crossing_time_s(first, first, first, wiring=wiring)
        crossing = crossing + 1
    if wiring.hops == "remote" or wiring.logits_return:
        # The last answer is the logits.
        ends = ends + select(crossing > 0, last.logits - last.answer, 0.0)
    return ends
