"""Messages between the stages of a served pipeline: what each takes, and how many of them a step sends."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.predict.trace import Number, larger, select
from farthing.records.wiring import Wiring


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
        return select(crossing > 0, max(first.latency, last.latency), 0.0)
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
