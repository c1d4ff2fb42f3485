"""Collectives over the cards of a parallel axis: inside hosts, between hosts, and as libraries make them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from farthing.predict.communication import (
    all_gather_time_s,
    direct_all_reduce_time_s,
    ring_all_reduce_time_s,
    tree_all_reduce_time_s,
)
from farthing.predict.trace import Number, formula, larger, named, rounded_up, select, smaller

RAMP_BYTES: Final = 8 * 2**20
"""Message at which half of the time is paid that a library's channels take to fill: two of its buffers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What a collective library and an engine's own kernels add to links that join cards directly.

    Attributes
    ----------
    bytes_per_s, step_s
        Rate that a library's rings reach, and time of one of their steps [byte/s], [s].
    start_s
        Fixed time of a library's kernel [s].
    ramp_s
        Time that filling the channels takes, in full for messages far above `RAMP_BYTES` [s].
    copied
        How often each card copies its own part of the message, at the links' rate.
    direct_s, direct_bytes_per_s
        Of kernels that read the peers' memory themselves, for messages up to ``direct_bytes``: fixed time
        [s], rate [byte/s].
    direct_bytes
        0 where there are none [byte].
    bulk
        The protocol that takes over where it is quicker, for long messages.
    """

    bytes_per_s: Number
    step_s: float = 0.0
    start_s: float = 0.0
    ramp_s: float = 0.0
    copied: float = 0.0
    direct_s: float = 0.0
    direct_bytes_per_s: float = 0.0
    direct_bytes: float = 0.0
    bulk: Library | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """The cards that one parallel dimension joins, and the ways between them.

    Attributes
    ----------
    ranks
        Cards in the group, scalar or column.
    inside
        How many of them share a host; divides ``ranks``.
    inside_bytes_per_s, inside_latency_s
        Between cards of one host: rate that is reached [byte/s], time of one step [s].
    across_bytes_per_s, across_latency_s
        The same between hosts, for one card's share of its host's ports.
    library
        Of collectives inside a host; None where links and steps alone count.
    """

    ranks: Number
    inside: Number
    inside_bytes_per_s: Number
    inside_latency_s: Number
    across_bytes_per_s: Number
    across_latency_s: Number
    library: Library | None = None

    @property
    def hosts(self) -> Number:
        """Hosts that the group spans."""
        return self.ranks / self.inside


@formula(reference="hockney-1994", name="filling the channels")
def ramp_time_s(message_bytes: Number, *, ramp_s: Number) -> Number:
    """Time that a library's channels take to fill: ``ramp × message / (message + 8 MiB)``.

    Parameters
    ----------
    message_bytes
        [byte], scalar or column.
    ramp_s
        For messages far longer than 8 MiB [s].

    Returns
    -------
    Number
        [s]

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> ramp_time_s(8 * 2**20, ramp_s=4e-5)
    2e-05
    """
    return ramp_s * (message_bytes / (message_bytes + RAMP_BYTES))


@formula(reference="hockney-1994")
def library_time_s(
    message_bytes: Number, ranks: Number, *, library: Library, steps: Number, passes: int = 1
) -> Number:
    """A library's collective inside a host: its kernel, steps of a ring, the message, filling of channels.

    Parameters
    ----------
    message_bytes
        [byte], scalar or column.
    ranks
        Cards.
    library
        Constants.
    steps
        Of the ring.
    passes
        2 for an all-reduce, which scatters and gathers; else 1.

    Returns
    -------
    Number
        [s]; 0 for one rank.

    References
    ----------
    hockney-1994

    Examples
    --------
    >>> round(library_time_s(1e9, 8, library=Library(bytes_per_s=100e9), steps=7), 5)
    0.00875
    """
    moved = (passes * (ranks - 1) + library.copied) / ranks * message_bytes
    time = library.start_s + steps * library.step_s + moved / library.bytes_per_s
    time = select(ranks > 1, 1.0, 0.0) * (time + ramp_time_s(message_bytes, ramp_s=library.ramp_s))
    if library.bulk is None:
        return time
    bulk = library_time_s(message_bytes, ranks, library=library.bulk, steps=steps, passes=passes)
    return smaller(time, named("protocol for long messages_s", bulk))


@formula(reference="hockney-1994")
def library_all_reduce_time_s(message_bytes: Number, ranks: Number, *, library: Library) -> Number:
    """All-reduce inside a host by the quicker way: a library's ring or an engine's own kernel.

    That kernel reads all the peers' messages at once, or a part from each and then the parts' sums.

    Parameters
    ----------
    message_bytes
        [byte], scalar or column.
    ranks
        Cards.
    library
        Constants.

    Returns
    -------
    Number
        [s]; 0 for one rank.

    References
    ----------
    hockney-1994, thakur-2005

    Examples
    --------
    >>> own = Library(bytes_per_s=3e11, step_s=1e-6, start_s=1e-5,
    ...               direct_s=4e-6, direct_bytes_per_s=2e11, direct_bytes=1e6)
    >>> short, long = (library_all_reduce_time_s(size, 8, library=own) for size in (1e3, 2e6))
    >>> round(short * 1e6, 2), round(long * 1e6, 2)
    (4.03, 35.67)
    """
    best = library_time_s(message_bytes, ranks, library=library, steps=2 * (ranks - 1), passes=2)
    if library.direct_bytes:
        at_once = (ranks - 1) * message_bytes / library.direct_bytes_per_s
        in_parts = 2 * at_once / ranks + 2 * library.step_s
        direct = library.direct_s + smaller(at_once, in_parts)
        best = select(message_bytes <= library.direct_bytes, smaller(best, direct), best)
    return best


def all_reduce_time_s(message_bytes: Number, axis: Axis) -> Number:
    """All-reduce over an axis, by host first: reduce inside, exchange between hosts, spread inside.

    Inside a host cards talk directly; between hosts the better of ring and tree counts, as in NCCL.

    Parameters
    ----------
    message_bytes
        [byte], scalar or column.
    axis
        The group.

    Returns
    -------
    Number
        [s]; 0 for one rank.

    References
    ----------
    patarasuk-2009, thakur-2005, sanders-2009

    Examples
    --------
    >>> axis = Axis(ranks=8, inside=8, inside_bytes_per_s=300e9, inside_latency_s=0,
    ...             across_bytes_per_s=25e9, across_latency_s=0)
    >>> round(all_reduce_time_s(300e9, axis), 4)
    1.75
    """
    way = {"bytes_per_s": axis.inside_bytes_per_s, "latency_s": axis.inside_latency_s}
    if axis.library is None:
        inside = direct_all_reduce_time_s(message_bytes, axis.inside, **way)
    else:
        # Engines' own kernels read their peers' memory, and end with the host; beyond it the library serves.
        alone = library_all_reduce_time_s(message_bytes, axis.inside, library=axis.library)
        steps = 2 * (axis.inside - 1)
        joined = library_time_s(message_bytes, axis.inside, library=axis.library, steps=steps, passes=2)
        inside = select(axis.hosts > 1, joined, alone)
    way = {"bytes_per_s": axis.across_bytes_per_s, "latency_s": axis.across_latency_s}
    part = message_bytes / axis.inside
    across = smaller(
        ring_all_reduce_time_s(part, axis.hosts, **way), tree_all_reduce_time_s(part, axis.hosts, **way)
    )
    return inside + across


def axis_all_gather_time_s(message_bytes: Number, axis: Axis) -> Number:
    """All-gather (or reduce-scatter) over an axis: between hosts first, then inside.

    Parameters
    ----------
    message_bytes
        The whole gathered message [byte], scalar or column.
    axis
        The group.

    Returns
    -------
    Number
        [s]; 0 for one rank.

    References
    ----------
    thakur-2005

    Examples
    --------
    >>> axis = Axis(ranks=4, inside=1, inside_bytes_per_s=300e9, inside_latency_s=0,
    ...             across_bytes_per_s=25e9, across_latency_s=0)
    >>> axis_all_gather_time_s(100e9, axis)
    3.0
    """
    way = {"bytes_per_s": axis.inside_bytes_per_s, "latency_s": axis.inside_latency_s}
    if axis.library is None:
        inside = all_gather_time_s(message_bytes, axis.inside, **way)
    else:
        steps = axis.inside - 1
        gathered = library_time_s(message_bytes, axis.inside, library=axis.library, steps=steps)
        inside = named("all-gather_s", gathered)
    # Between hosts the pieces double with each step.
    doublings = rounded_up(np.log2(larger(axis.hosts, 2)))
    across = all_gather_time_s(
        message_bytes / axis.inside,
        axis.hosts,
        bytes_per_s=axis.across_bytes_per_s,
        latency_s=axis.across_latency_s * doublings,
    )
    return inside + across


def axis_all_to_all_time_s(
    message_bytes: Number, axis: Axis, *, across_share: Number = 1.0, inside_share: Number = 1.0
) -> Number:
    """All-to-all over an axis: what stays in the host and what leaves it travel at the same time.

    Parameters
    ----------
    message_bytes
        What one card sends and keeps [byte], scalar or column.
    axis
        The group.
    across_share, inside_share
        Part of what is meant for other hosts that crosses to them, where a host passes on what several of its
        cards want; the same for the cards of its own host.

    Returns
    -------
    Number
        [s]; 0 for one rank.

    References
    ----------
    thakur-2005

    Examples
    --------
    >>> axis = Axis(ranks=16, inside=8, inside_bytes_per_s=450e9, inside_latency_s=0,
    ...             across_bytes_per_s=50e9, across_latency_s=0)
    >>> axis_all_to_all_time_s(100e9, axis)
    1.0
    """
    inside = (axis.inside - 1) / axis.ranks * message_bytes * inside_share
    across = (axis.ranks - axis.inside) / axis.ranks * message_bytes * across_share / axis.across_bytes_per_s
    start = axis.inside_latency_s
    if axis.library is None:
        inside = inside / axis.inside_bytes_per_s
    else:
        kept = axis.library.copied / axis.ranks * message_bytes * inside_share
        inside = (inside + kept) / axis.library.bytes_per_s
        start = axis.library.step_s + axis.library.start_s
        start = start + ramp_time_s(message_bytes, ramp_s=axis.library.ramp_s)
    latency = select(axis.inside > 1, start, 0.0) + select(axis.hosts > 1, axis.across_latency_s, 0.0)
    return larger(inside, across) + latency
