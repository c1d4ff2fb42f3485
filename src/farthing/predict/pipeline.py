"""Pipeline parallelism: bubbles, micro-batches in flight, and the time of a training step.

Four schedules. ``gpipe`` runs all forwards, then all backwards. ``1f1b`` alternates as soon as it can;
with ``interleave`` model chunks a stage it is called ``interleaved`` (the two names take the same
formulas). ``zero-bubble`` (ZB-H1) puts off the weight gradients to fill the tail.
A hop is the transfer between neighbouring stages; it overlaps with computing and delays only what waits
for it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from farthing.errors import UnknownName
from farthing.predict.trace import Number, formula, larger, smaller, untraced

SCHEDULES: Final = ("gpipe", "1f1b", "interleaved", "zero-bubble")


def _check(schedule: str) -> None:
    if schedule not in SCHEDULES:
        raise UnknownName("pipeline schedule", schedule, SCHEDULES, f"choose from {', '.join(SCHEDULES)}")


@formula(reference="narayanan-2021")
def bubble_time_s(
    forward_s: Number,
    backward_s: Number,
    pp: Number,
    num_micro_batches: Number,
    *,
    interleave: Number = 1,
    schedule: str = "1f1b",
    weight_gradient_s: Number = 0,
) -> Number:
    """Time that a stage stands idle in one training step.

    ``(pp - 1) × (forward + backward) / interleave``; GPipe and 1F1B do not differ. Zero-bubble fills it
    with weight gradients: ``(pp - 1) × (forward + backward - weight gradient) - (min(m, pp) - 1) ×
    weight gradient``.

    Parameters
    ----------
    forward_s, backward_s
        Time of one micro-batch in one stage, all its chunks [s], scalar or column. The backward holds
        both gradients.
    pp, num_micro_batches
        Stages and micro-batches, scalar or column.
    interleave
        Model chunks a stage, scalar or column; only 1f1b and interleaved use it.
    schedule
        One of `SCHEDULES`.
    weight_gradient_s
        Part of the backward that may be put off [s], scalar or column; only zero-bubble uses it, and 0
        makes it 1F1B.

    Returns
    -------
    Number
        Idle time of each stage [s], scalar or column.

    Raises
    ------
    UnknownName
        No such schedule.

    Notes
    -----
    Exact for like stages. Interleaving needs micro-batches in multiples of ``pp``; zero-bubble a weight
    gradient no longer than the forward and than the rest of the backward.

    References
    ----------
    huang-2019, narayanan-2019, narayanan-2021, qi-2023

    Examples
    --------
    >>> bubble_time_s(1, 2, 4, 16), bubble_time_s(1, 2, 4, 16, interleave=3)
    (9.0, 3.0)
    >>> float(bubble_time_s(1, 2, 4, 16, schedule="zero-bubble", weight_gradient_s=1))
    3.0
    """
    _check(schedule)
    if schedule == "gpipe":
        return (pp - 1) * (forward_s + backward_s)
    if schedule == "zero-bubble":
        critical = (pp - 1) * (forward_s + backward_s - weight_gradient_s)
        return larger(critical - (smaller(num_micro_batches, pp) - 1) * weight_gradient_s, 0)
    return (pp - 1) * (forward_s + backward_s) / interleave


@formula(reference="narayanan-2021")
def bubble_share(
    pp: Number,
    num_micro_batches: Number,
    *,
    interleave: Number = 1,
    schedule: str = "1f1b",
    forward_s: Number = 1,
    backward_s: Number = 2,
    weight_gradient_s: Number = 1,
) -> Number:
    """Idle time over the time of the work alone: ``(pp - 1) / (interleave × micro-batches)``.

    Parameters
    ----------
    pp, num_micro_batches, interleave, schedule
        As in `bubble_time_s`, scalar or column.
    forward_s, backward_s, weight_gradient_s
        As in `bubble_time_s` [s], scalar or column; only zero-bubble depends on them, and only on their
        ratios.

    Returns
    -------
    Number
        Share of the ideal time, 0 and up, scalar or column. Share of the step: ``x / (1 + x)``.

    Raises
    ------
    UnknownName
        No such schedule.

    Notes
    -----
    The same range as `bubble_time_s`.

    References
    ----------
    narayanan-2021, qi-2023

    Examples
    --------
    >>> bubble_share(8, 32), bubble_share(8, 32, interleave=7)
    (0.21875, 0.03125)
    >>> round(float(bubble_share(8, 32, schedule="zero-bubble")), 4)
    0.0729
    """
    _check(schedule)
    if schedule == "gpipe":
        return (pp - 1) / num_micro_batches
    if schedule == "zero-bubble":
        idle_s = bubble_time_s(
            forward_s,
            backward_s,
            pp,
            num_micro_batches,
            schedule=schedule,
            weight_gradient_s=weight_gradient_s,
        )
        return idle_s / (num_micro_batches * (forward_s + backward_s))
    return (pp - 1) / (interleave * num_micro_batches)


@formula(reference="korthikanti-2022")
def in_flight_micro_batches(
    pp: Number,
    stage: Number,
    num_micro_batches: Number,
    *,
    interleave: Number = 1,
    schedule: str = "1f1b",
) -> Number:
    """Micro-batches whose activations a stage keeps at its peak, in units of the whole stage's.

    GPipe keeps all ``m``; 1F1B ``min(m, pp - stage)``; interleaved ``2 (pp - stage - 1) + (v - 1) pp + 1``
    chunks of ``1/v`` stage each, at most ``m v``; zero-bubble ``min(m, pp)`` in every stage, as what the
    delayed weight gradients need stays too.

    Parameters
    ----------
    pp, num_micro_batches
        Stages and micro-batches, scalar or column.
    stage
        From 0, the first, scalar or column.
    interleave
        Model chunks a stage, scalar or column; only 1f1b and interleaved use it.
    schedule
        One of `SCHEDULES`.

    Returns
    -------
    Number
        Micro-batches, scalar or column; a fraction with interleaving.

    Raises
    ------
    UnknownName
        No such schedule.

    Notes
    -----
    Exact for 0 <= stage < pp. Zero-bubble is a slight upper bound in the later stages: between its two
    gradients a micro-batch keeps no more than all its activations.

    References
    ----------
    huang-2019, narayanan-2019, korthikanti-2022, qi-2023

    Examples
    --------
    >>> float(in_flight_micro_batches(8, 0, 32)), float(in_flight_micro_batches(8, 7, 32))
    (8.0, 1.0)
    >>> float(in_flight_micro_batches(8, 0, 32, interleave=2)), 8 * (1 + 7 / (8 * 2))
    (11.5, 11.5)
    """
    _check(schedule)
    if schedule == "gpipe":
        return num_micro_batches
    if schedule == "zero-bubble":
        return smaller(num_micro_batches, pp)
    chunks = smaller(interleave, 2) * (pp - stage - 1) + (interleave - 1) * pp + 1
    return smaller(chunks, num_micro_batches * interleave) / interleave


@formula(reference="li-2023-article")
def naive_in_flight(pp: Number) -> Number:
    """Micro-batches that the first stage keeps when a new one enters at every tick.

    ``2 pp - 1``: the way to the last stage and back. 1F1B keeps half; see `in_flight_micro_batches`.

    Parameters
    ----------
    pp
        Stages, scalar or column.

    Returns
    -------
    Number
        Micro-batches, scalar or column.

    Notes
    -----
    Range: forward and backward of a stage take one tick each.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> naive_in_flight(80)
    159
    """
    return 2 * pp - 1


@formula(reference="li-2023-article")
def grouped_in_flight(pp: Number, group_layers: Number) -> Number:
    """The same when only the first of each group of layers keeps its input and the rest recompute.

    ``ceil((2 pp - 1) / group layers)``.

    Parameters
    ----------
    pp
        Stages, one layer each, scalar or column.
    group_layers
        Layers a group, scalar or column.

    Returns
    -------
    Number
        Micro-batches' worth of activations a layer, scalar or column.

    Notes
    -----
    Range: 1 <= group_layers <= pp. Leaves out what a group holds while it recomputes.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> float(grouped_in_flight(80, 10))
    16.0
    """
    return np.ceil((2 * pp - 1) / group_layers)


@formula(reference="li-2023-article")
def full_recompute_layers(layers: Number) -> Number:
    """Layers computed again when every layer's backward starts from the model's input.

    ``layers × (layers + 1) / 2``: the last needs all of them, the first one.

    Parameters
    ----------
    layers
        Of the model, scalar or column.

    Returns
    -------
    Number
        Layer forwards, scalar or column; over ``layers`` it is the cost in forward passes.

    Notes
    -----
    Range: nothing but the model's input is kept.

    References
    ----------
    li-2023-article

    Examples
    --------
    >>> full_recompute_layers(80), full_recompute_layers(80) / 80
    (3240.0, 40.5)
    """
    return layers * (layers + 1) / 2


@formula(reference="narayanan-2021")
def exposed_hop_time_s(
    forward_s: Number,
    backward_s: Number,
    pp: Number,
    num_micro_batches: Number,
    *,
    hop_s: Number,
    interleave: Number = 1,
    schedule: str = "1f1b",
    weight_gradient_s: Number = 0,
) -> Number:
    """Time that hops add to one training step although they overlap with computing.

    The way there and back crosses ``2 (pp × interleave - 1)`` hops. GPipe adds no more. 1F1B holds only
    ``pp`` micro-batches, so the first stage waits for each round trip again: two more hops for each
    further micro-batch but one in ``pp``; zero-bubble has weight gradients to do in that time.

    Parameters
    ----------
    forward_s, backward_s, pp, num_micro_batches, interleave, schedule, weight_gradient_s
        As in `bubble_time_s`, scalar or column.
    hop_s
        Transfer of one micro-batch's activations to the next stage [s], scalar or column.

    Returns
    -------
    Number
        Added time [s], scalar or column.

    Raises
    ------
    UnknownName
        No such schedule.

    Notes
    -----
    Exact in the range of `bubble_time_s`, found as the longest path of the schedule and held against a
    simulation. With interleaving exact up to a hop of ``min(forward, backward) / interleave``;
    beyond, the step comes out within 15%. Engines that wait for each transfer add more.

    References
    ----------
    narayanan-2021, qi-2023

    Examples
    --------
    >>> float(exposed_hop_time_s(1, 2, 4, 16, hop_s=0.5, schedule="gpipe"))
    3.0
    >>> float(exposed_hop_time_s(1, 2, 4, 16, hop_s=0.5))
    14.0
    """
    _check(schedule)
    if schedule == "gpipe":
        return 2 * (pp - 1) * hop_s
    if schedule == "zero-bubble":
        first = smaller(num_micro_batches, pp + 1) - 1
        first_waits = first - np.ceil(first / pp)
        later_waits = num_micro_batches - 1 - np.ceil((num_micro_batches - 1) / pp) - first_waits
        later_s = later_waits * larger(2 * hop_s - weight_gradient_s, 0)
        return 2 * (pp - 1 + first_waits) * hop_s + later_s
    waits = num_micro_batches - 1 - np.ceil((num_micro_batches - 1) / pp)
    chunk_waits_s = larger(interleave * hop_s - smaller(forward_s, backward_s), 0)
    steady_s = np.where(interleave > 1, larger(num_micro_batches - pp, 0) * chunk_waits_s, 2 * waits * hop_s)
    return 2 * (pp * interleave - 1) * hop_s + steady_s


@formula(reference="narayanan-2021")
def pipeline_time_s(
    forward_s: Number,
    backward_s: Number,
    pp: Number,
    num_micro_batches: Number,
    *,
    interleave: Number = 1,
    schedule: str = "1f1b",
    hop_s: Number = 0,
    weight_gradient_s: Number = 0,
) -> Number:
    """Time of one training step through like stages: work, bubble and exposed hops.

    ``m × (forward + backward) + bubble + hops``.

    Parameters
    ----------
    forward_s, backward_s, pp, num_micro_batches, interleave, schedule, weight_gradient_s
        As in `bubble_time_s`, scalar or column.
    hop_s
        As in `exposed_hop_time_s` [s], scalar or column.

    Returns
    -------
    Number
        From the first forward to the last gradient [s], scalar or column.

    Raises
    ------
    UnknownName
        No such schedule.

    Notes
    -----
    The range of `bubble_time_s` and `exposed_hop_time_s`.

    References
    ----------
    narayanan-2021, qi-2023

    Examples
    --------
    >>> float(pipeline_time_s(1, 2, 4, 16)), float(pipeline_time_s(1, 2, 4, 16, interleave=3))
    (57.0, 51.0)
    """
    work_s = num_micro_batches * (forward_s + backward_s)
    split = {"interleave": interleave, "schedule": schedule, "weight_gradient_s": weight_gradient_s}
    bubble_s = bubble_time_s(forward_s, backward_s, pp, num_micro_batches, **split)
    hops_s = exposed_hop_time_s(forward_s, backward_s, pp, num_micro_batches, hop_s=hop_s, **split)
    return work_s + bubble_s + hops_s


@formula(reference="narayanan-2021")
def uneven_pipeline_time_s(
    stage_forward_s: Number,
    stage_backward_s: Number,
    num_micro_batches: Number,
    *,
    hop_s: Number = 0,
    schedule: str = "1f1b",
    interleave: Number = 1,
    stage_weight_gradient_s: Number = 0,
) -> Number:
    """Time of one training step through unlike stages: embedding, head, mixed cards.

    GPipe: all stages once and ``m - 1`` times the slowest forward and the slowest backward. 1F1B: the
    longest path that returns to one stage; with a fast tail this is ``m`` times the slowest stage and the
    way to it. Interleaved and zero-bubble: ``m`` times the slowest stage and the others' share of the
    bubble.

    Parameters
    ----------
    stage_forward_s, stage_backward_s
        Time of one micro-batch in each stage [s]; arrays with the stages on the last axis.
    num_micro_batches, hop_s, interleave
        As in `pipeline_time_s`, scalar or column; a column is as long as the stages' first axis.
    schedule
        One of `SCHEDULES`.
    stage_weight_gradient_s
        Part of each backward that may be put off [s]; scalar or array like the stages.

    Returns
    -------
    Number
        From the first forward to the last gradient [s], scalar or column.

    Raises
    ------
    UnknownName
        No such schedule.

    Notes
    -----
    GPipe is exact. 1F1B is never too long; without hops it was at most 4% short of a simulation of stages
    that differ fourfold, and exact where only the ends are slower; large hops made it up to 10% short.
    Interleaved and zero-bubble are within about 12% where the ends are up to twice as slow. All equal
    `pipeline_time_s` for like stages and no hops.

    References
    ----------
    huang-2019, narayanan-2021, qi-2023

    Examples
    --------
    >>> float(uneven_pipeline_time_s(np.array([1.0, 1, 1, 1.5]), np.array([2.0, 2, 2, 3]), 16))
    81.0
    """
    _check(schedule)
    forward = np.asarray(stage_forward_s, dtype=float)
    backward = np.asarray(stage_backward_s, dtype=float)
    count = np.asarray(untraced(num_micro_batches), dtype=float)[..., None]
    hop = np.asarray(untraced(hop_s), dtype=float)[..., None]
    chunks = np.asarray(untraced(interleave), dtype=float)[..., None]
    both = forward + backward
    total, slowest = both.sum(-1, keepdims=True), both.max(-1, keepdims=True)
    pp = both.shape[-1]
    if schedule == "gpipe":
        pace = forward.max(-1, keepdims=True) + backward.max(-1, keepdims=True)
        time = total + (count - 1) * pace + 2 * (pp - 1) * hop
    elif schedule == "zero-bubble":
        delayed = both * 0 + untraced(stage_weight_gradient_s)
        idle = (both - delayed).sum(-1, keepdims=True) - (both - delayed).max(-1, keepdims=True)
        filled = (smaller(count, pp) - 1) * delayed.max(-1, keepdims=True)
        time = count * slowest + larger(idle - filled, 0) + 4 * (pp - 1) * hop
    else:
        simple = _alternating_time_s(forward, backward, count, hop)
        interleaved = count * slowest + (total - slowest) / chunks + 2 * (pp * chunks - 1) * hop
        time = np.where(chunks > 1, interleaved, simple)
    return time[..., 0][()]


def _alternating_time_s(forward: Number, backward: Number, count: Number, hop: Number) -> Number:
    """Longest path of 1F1B that leaves and returns to one stage, over all stages; keeps the last axis."""
    both = forward + backward
    stage = np.arange(both.shape[-1])
    behind = both.shape[-1] - 1 - stage
    to_stage = np.cumsum(both, axis=-1)
    away = to_stage[..., -1:] - to_stage + 2 * behind * hop
    reach = to_stage - both + 2 * stage * hop
    # A round trip behind the stage replaces the work that the stage has for that time.
    ends = larger(away - behind * forward, 0) + larger(away - behind * backward, 0)
    trips = larger((count - 2 - behind) // (behind + 1), 0)
    long = ends + trips * larger(away - behind * both, 0)
    short = larger(away - (count - 1) * smaller(forward, backward), 0)
    idle = np.where(count > behind + 1, long, short)
    return (reach + count * both + idle).max(-1, keepdims=True)
