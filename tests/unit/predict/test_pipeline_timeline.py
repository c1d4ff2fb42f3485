"""Schedules played out: as long as the closed forms say, in an order that inputs allow, nothing twice."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InvalidInput, UnknownName
from farthing.predict.pipeline import in_flight_micro_batches, pipeline_time_s
from farthing.predict.pipeline_timeline import StageTimes, pipeline_timeline, stage_order
from farthing.records.step_timeline import TimelineBox

TIMES = st.floats(0.1, 5.0)


def length(boxes: tuple[TimelineBox, ...]) -> float:
    return max(box.end_s for box in boxes)


@given(st.sampled_from(["gpipe", "1f1b"]), TIMES, TIMES, st.integers(1, 9), st.integers(1, 40))
def test_the_bubble_of_even_stages(
    schedule: str, forward: float, backward: float, pp: int, batches: int
) -> None:
    found = pipeline_timeline(
        [StageTimes(forward_s=forward, backward_s=backward)] * pp, batches, schedule=schedule
    )
    work = batches * (forward + backward)
    assert length(found) / work - 1 == pytest.approx((pp - 1) / batches, abs=1e-9)


@given(TIMES, TIMES, st.integers(1, 6), st.integers(1, 5), st.integers(2, 5))
def test_the_bubble_of_interleaved_stages(
    forward: float, backward: float, pp: int, rounds: int, chunks: int
) -> None:
    batches = pp * rounds
    found = pipeline_timeline(
        [StageTimes(forward_s=forward, backward_s=backward)] * pp,
        batches,
        schedule="interleaved",
        interleave=chunks,
    )
    work = batches * (forward + backward)
    assert length(found) / work - 1 == pytest.approx((pp - 1) / (chunks * batches), abs=1e-9)


@given(TIMES, TIMES, st.floats(0.1, 1.0), st.integers(1, 8), st.integers(1, 30))
def test_the_bubble_of_zero_bubble(
    forward: float, inputs: float, share: float, pp: int, batches: int
) -> None:
    weight = share * min(forward, inputs)
    times = StageTimes(forward_s=forward, backward_s=inputs + weight, weight_gradient_s=weight)
    found = pipeline_timeline([times] * pp, batches, schedule="zero-bubble")
    expected = pipeline_time_s(
        forward, inputs + weight, pp, batches, schedule="zero-bubble", weight_gradient_s=weight
    )
    assert length(found) == pytest.approx(float(expected), rel=0.005)


@given(st.sampled_from(["gpipe", "1f1b"]), TIMES, TIMES, st.integers(1, 8), st.integers(1, 30), TIMES)
def test_hops_delay_as_the_closed_form_says(
    schedule: str, forward: float, backward: float, pp: int, batches: int, hop: float
) -> None:
    found = pipeline_timeline(
        [StageTimes(forward_s=forward, backward_s=backward)] * pp, batches, schedule=schedule, hop_s=hop
    )
    expected = pipeline_time_s(forward, backward, pp, batches, hop_s=hop, schedule=schedule)
    assert length(found) == pytest.approx(float(expected))


@st.composite
def pipelines(draw: Any) -> tuple[list[StageTimes], int, dict[str, Any]]:
    schedule = draw(st.sampled_from(["gpipe", "1f1b", "interleaved", "zero-bubble"]))
    pp = draw(st.integers(1, 6))
    chunks = draw(st.integers(1, 4)) if schedule == "interleaved" else 1
    batches = pp * draw(st.integers(1, 4)) if chunks > 1 else draw(st.integers(1, 20))
    stages = []
    for _ in range(pp):
        inputs, weights = draw(TIMES), draw(TIMES)
        stages.append(
            StageTimes(forward_s=draw(TIMES), backward_s=inputs + weights, weight_gradient_s=weights)
        )
    return stages, batches, {"schedule": schedule, "interleave": chunks, "hop_s": draw(st.floats(0, 2))}


@given(pipelines())
def test_stages_do_one_thing_at_a_time_and_each_pass_once(
    question: tuple[list[StageTimes], int, dict[str, Any]],
) -> None:
    stages, batches, more = question
    found = pipeline_timeline(stages, batches, **more)
    kinds = 3 if more["schedule"] == "zero-bubble" else 2
    counts = Counter((box.stage, box.kind, box.micro_batch, box.virtual_stage) for box in found)
    assert set(counts.values()) == {1}
    assert len(counts) == kinds * batches * len(stages) * more["interleave"]
    for number, times in enumerate(stages):
        own = [box for box in found if box.stage == number]
        assert all(one.end_s <= after.start_s for one, after in itertools.pairwise(own))
        busy = sum(box.end_s - box.start_s for box in own)
        assert busy == pytest.approx(batches * (times.forward_s + times.backward_s))


@given(pipelines())
def test_passes_wait_for_their_inputs(question: tuple[list[StageTimes], int, dict[str, Any]]) -> None:
    stages, batches, more = question
    last = (len(stages) - 1, more["interleave"] - 1)
    boxes = {
        (box.kind, box.micro_batch, box.virtual_stage, box.stage): box
        for box in pipeline_timeline(stages, batches, **more)
    }
    for (kind, batch, chunk, stage), box in boxes.items():
        place = chunk * len(stages) + stage
        if kind == "gradients of weights":
            assert box.start_s >= boxes["gradients of inputs", batch, chunk, stage].end_s
        elif kind != "forward" and (stage, chunk) == last:
            assert box.start_s >= boxes["forward", batch, chunk, stage].end_s
        else:
            before = place - 1 if kind == "forward" else place + 1
            if before >= 0:
                source = boxes[kind, batch, before // len(stages), before % len(stages)]
                hop = more["hop_s"] if source.stage != stage else 0.0
                assert box.start_s >= source.end_s + hop - 1e-9


@given(st.integers(1, 8), st.integers(1, 30), st.sampled_from(["gpipe", "1f1b", "zero-bubble"]))
def test_as_many_micro_batches_are_kept_as_the_memory_counts(pp: int, batches: int, schedule: str) -> None:
    last = "gradients of weights" if schedule == "zero-bubble" else "backward"
    for stage in range(pp):
        steps = stage_order(schedule, pp, stage, batches)
        kept = list(itertools.accumulate((s.kind == "forward") - (s.kind == last) for s in steps))
        assert max(kept) == in_flight_micro_batches(pp, stage, batches, schedule=schedule)


def test_what_is_no_schedule() -> None:
    with pytest.raises(UnknownName, match="1f1b"):
        stage_order("2f2b", 4, 0, 8)
    with pytest.raises(InvalidInput, match="multiple of pp=4"):
        stage_order("interleaved", 4, 0, 6, interleave=2)
