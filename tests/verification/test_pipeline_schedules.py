"""The closed forms of pipelines against schedules played out operation by operation."""

import random

import numpy as np
import pytest

from farthing.predict import pipeline

F, B, W = "forward", "backward", "weight gradient"


def _alternating(pp, stage, count, delayed):
    """1F1B in one stage; ``delayed`` puts each weight gradient ``stage`` micro-batches off (ZB-H1)."""
    warm_up = min(count, pp - 1 - stage)
    forwards = iter(range(count))
    order = [(F, next(forwards), 0) for _ in range(warm_up)]
    gradients = 0
    for backward in range(count):
        order += [(F, j, 0) for j in [next(forwards, None)] if j is not None]
        order.append((B, backward, 0))
        if delayed and backward >= stage:
            order.append((W, gradients, 0))
            gradients += 1
    if delayed:
        order += [(W, j, 0) for j in range(gradients, count)]
    return order


def _interleaved(pp, stage, count, chunks):
    """Megatron's interleaved order: pp micro-batches through a chunk, then the next chunk."""
    places = [divmod(k, pp * chunks) for k in range(count * chunks)]
    forward = [(F, group * pp + rest % pp, rest // pp) for group, rest in places]
    backward = [(B, group * pp + rest % pp, chunks - 1 - rest // pp) for group, rest in places]
    warm_up = min(count * chunks, 2 * (pp - 1 - stage) + (chunks - 1) * pp)
    order = forward[:warm_up]
    for k, step in enumerate(backward):
        order += [*forward[warm_up + k : warm_up + k + 1], step]
    return order


def _order(schedule, pp, stage, count, chunks=1):
    if schedule == "gpipe":
        return [(kind, j, 0) for kind in (F, B) for j in range(count)]
    if schedule == "interleaved":
        return _interleaved(pp, stage, count, chunks)
    return _alternating(pp, stage, count, schedule == "zero-bubble")


def _played_time(schedule, forward, backward, count, *, chunks=1, hop=0.0, weight=None):
    """Time of the schedule: each stage keeps its order and starts an operation once its input is there."""
    pp = len(forward)
    weight = weight if schedule == "zero-bubble" else [0.0] * pp
    duration = {
        F: [x / chunks for x in forward],
        B: [(x - w) / chunks for x, w in zip(backward, weight, strict=True)],
        W: weight,
    }
    orders = [_order(schedule, pp, stage, count, chunks) for stage in range(pp)]
    end, at, clock = {}, [0] * pp, [0.0] * pp

    def needs(kind, j, chunk, stage):
        if kind == W:
            return (B, j, chunk, stage)
        step, first, last = (-1, 0, 0) if kind == F else (1, pp - 1, chunks - 1)
        if stage != first:
            return (kind, j, chunk, stage + step)
        if chunk != last:
            return (kind, j, chunk + step, pp - 1 - first)
        return (F, j, chunk, stage) if kind == B else None

    while any(at[stage] < len(orders[stage]) for stage in range(pp)):
        before = sum(at)
        for stage in range(pp):
            while at[stage] < len(orders[stage]):
                kind, j, chunk = orders[stage][at[stage]]
                source = needs(kind, j, chunk, stage)
                if source is not None and source not in end:
                    break
                ready = 0.0 if source is None else end[source] + (hop if source[3] != stage else 0)
                clock[stage] = max(clock[stage], ready) + duration[kind][stage]
                end[kind, j, chunk, stage] = clock[stage]
                at[stage] += 1
        assert sum(at) > before, "the order of the schedule waits for itself"
    return max(clock)


def _like(schedule, f, b, pp, count, **more):
    weight = more.pop("weight", 0.0)
    return _played_time(schedule, [f] * pp, [b] * pp, count, weight=[weight] * pp, **more)


def _draws(count, seed):
    draw = random.Random(seed)
    for _ in range(count):
        yield draw


@pytest.mark.parametrize("schedule", ["gpipe", "1f1b"])
def test_like_stages_with_hops_are_exact(schedule):
    for draw in _draws(300, 1):
        pp, count = draw.randint(1, 8), draw.randint(1, 30)
        f, b, hop = draw.uniform(0.2, 3), draw.uniform(0.2, 3), draw.choice([0, draw.uniform(0, 4)])
        played = _like(schedule, f, b, pp, count, hop=hop)
        assert pipeline.pipeline_time_s(f, b, pp, count, hop_s=hop, schedule=schedule) == pytest.approx(
            played
        )


def test_interleaving_is_exact_up_to_hops_of_a_chunk():
    for draw in _draws(200, 2):
        pp, chunks = draw.randint(2, 6), draw.randint(2, 4)
        count = pp * draw.randint(1, 5)
        f, b = draw.uniform(0.2, 3), draw.uniform(0.2, 3)
        hop = draw.uniform(0, 1) * min(f, b) / chunks
        played = _like("interleaved", f, b, pp, count, chunks=chunks, hop=hop)
        predicted = pipeline.pipeline_time_s(
            f, b, pp, count, interleave=chunks, hop_s=hop, schedule="interleaved"
        )
        assert predicted == pytest.approx(played)


def test_interleaving_with_long_hops_is_estimated():
    for draw in _draws(150, 3):
        pp, chunks = draw.randint(2, 8), draw.randint(2, 4)
        count = pp * draw.randint(1, 6)
        f, b = 1.0, draw.uniform(1, 2)
        hop = draw.uniform(1, 4) * f / chunks
        played = _like("interleaved", f, b, pp, count, chunks=chunks, hop=hop)
        predicted = pipeline.pipeline_time_s(f, b, pp, count, interleave=chunks, hop_s=hop)
        assert predicted == pytest.approx(played, rel=0.15)


def test_zero_bubble_is_exact_where_weight_gradients_are_shortest():
    for draw in _draws(300, 4):
        pp, count = draw.randint(1, 8), draw.randint(1, 30)
        f, inputs = draw.uniform(0.5, 2), draw.uniform(0.5, 2)
        weight = draw.uniform(0.1, 1) * min(f, inputs)
        more = {"hop": draw.choice([0, draw.uniform(0, 2)])}
        played = _like("zero-bubble", f, inputs + weight, pp, count, weight=weight, **more)
        predicted = pipeline.pipeline_time_s(
            f, inputs + weight, pp, count, schedule="zero-bubble", weight_gradient_s=weight, hop_s=more["hop"]
        )
        assert predicted == pytest.approx(played, rel=0.005)


def test_zero_bubble_leaves_a_third_of_the_bubble():
    played = _like("zero-bubble", 1.0, 2.0, 8, 32, weight=1.0)
    plain = _like("1f1b", 1.0, 2.0, 8, 32)
    assert played - 96 == pytest.approx((plain - 96) / 3)
    assert pipeline.bubble_share(8, 32, schedule="zero-bubble") == pytest.approx((played - 96) / 96)


@pytest.mark.parametrize(
    ("schedule", "chunks"),
    [("gpipe", 1), ("1f1b", 1), ("interleaved", 2), ("interleaved", 5), ("zero-bubble", 1)],
)
@pytest.mark.parametrize(("pp", "count"), [(1, 4), (4, 4), (4, 12), (6, 24), (5, 40)])
def test_micro_batches_in_flight(schedule, chunks, pp, count):
    for stage in range(pp):
        kept = peak = 0
        last = W if schedule == "zero-bubble" else B
        for kind, _, _ in _order(schedule, pp, stage, count, chunks):
            kept += (kind == F) - (kind == last)
            peak = max(peak, kept)
        predicted = pipeline.in_flight_micro_batches(pp, stage, count, interleave=chunks, schedule=schedule)
        assert predicted == pytest.approx(peak / chunks)


def _unlike_stages(draw, proportional):
    pp = draw.randint(1, 8)
    forward = [draw.uniform(0.5, 2) for _ in range(pp)]
    backward = [2 * f for f in forward] if proportional else [draw.uniform(1, 4) for _ in range(pp)]
    return forward, backward


def _slow_ends(draw):
    """A body of like stages between an embedding and a head."""
    forward = [1.0] * draw.randint(2, 8)
    forward[0] += draw.uniform(0, 0.5)
    forward[-1] += draw.uniform(0, 1)
    return forward, [2 * f for f in forward]


def _uneven(forward, backward, count, **more):
    return pipeline.uneven_pipeline_time_s(np.array(forward), np.array(backward), count, **more)


@pytest.mark.parametrize("proportional", [True, False])
def test_uneven_gpipe_is_exact(proportional):
    for draw in _draws(200, 5):
        forward, backward = _unlike_stages(draw, proportional)
        count, hop = draw.randint(1, 30), draw.uniform(0, 2)
        played = _played_time("gpipe", forward, backward, count, hop=hop)
        assert _uneven(forward, backward, count, hop_s=hop, schedule="gpipe") == pytest.approx(played)


@pytest.mark.parametrize("proportional", [True, False])
@pytest.mark.parametrize(("longest_hop", "short"), [(0.0, 0.04), (1.0, 0.12)])
def test_uneven_1f1b_is_a_close_lower_bound(proportional, longest_hop, short):
    exact = 0
    for draw in _draws(400, 6):
        forward, backward = _unlike_stages(draw, proportional)
        count, hop = draw.randint(1, 40), draw.uniform(0, longest_hop)
        played = _played_time("1f1b", forward, backward, count, hop=hop)
        predicted = _uneven(forward, backward, count, hop_s=hop)
        assert played * (1 - short) <= predicted <= played * (1 + 1e-9)
        # No schedule can beat the slowest stage, or one micro-batch's way through all of them.
        slowest = max(f + b for f, b in zip(forward, backward, strict=True))
        assert predicted >= max(count * slowest, sum(forward) + sum(backward)) * (1 - 1e-9)
        exact += predicted == pytest.approx(played)
    assert exact > 200


def test_uneven_1f1b_is_exact_between_slow_ends():
    for draw in _draws(300, 7):
        forward, backward = _slow_ends(draw)
        count = draw.randint(1, 40)
        played = _played_time("1f1b", forward, backward, count)
        assert _uneven(forward, backward, count) == pytest.approx(played)


def test_uneven_interleaved_and_zero_bubble_are_close_between_slow_ends():
    for draw in _draws(200, 8):
        forward, backward = _slow_ends(draw)
        chunks, count = draw.randint(2, 4), len(forward) * draw.randint(1, 6)
        played = _played_time("interleaved", forward, backward, count, chunks=chunks)
        predicted = _uneven(forward, backward, count, interleave=chunks, schedule="interleaved")
        assert predicted == pytest.approx(played, rel=0.13)
        played = _played_time("zero-bubble", forward, backward, count, weight=forward)
        predicted = _uneven(
            forward,
            backward,
            count,
            schedule="zero-bubble",
            stage_weight_gradient_s=np.array(forward),
        )
        assert predicted == pytest.approx(played, rel=0.13)
