"""Sums over stretches of time, against sums over what was told, however often stretches were joined."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.simulate.serving.timeline import MOST, Timeline

times = st.floats(0.0, 500.0)


def overlap(start: float, end: float, one: float, other: float) -> float:
    return max(0.0, min(end, other) - max(start, one))


@given(
    waits=st.lists(st.tuples(times, times), max_size=20),
    passes=st.lists(st.tuples(times, times, st.integers(0, 9), st.integers(0, 9)), max_size=20),
    data=st.data(),
)
def test_levels_and_passes_are_split_by_time(
    waits: list[tuple[float, float]], passes: list[tuple[float, float, int, int]], data: st.DataObject
) -> None:
    waits = [(min(pair), max(pair)) for pair in waits]
    passes = [(min(one[:2]), max(one[:2]), *one[2:]) for one in passes]
    passes = [one for one in passes if one[1] > one[0]]
    line = Timeline(0.05)
    events = [(came, 1) for came, _ in waits] + [(went, -1) for _, went in waits]
    for time_s, by in data.draw(st.permutations(events)):
        line.lifted(time_s, by)
    for start, end, sequences, held in passes:
        line.passed(start, end, sequences, held, 10 * sequences)
    last = max([time for time, _ in events] + [one[1] for one in passes] + [1.0])
    moments = line.moments(last, 1, 9)
    assert len(moments) <= MOST
    assert (moments[0].start_s, moments[-1].end_s) == (0.0, pytest.approx(last, rel=1e-7))
    for moment in moments[:: max(1, len(moments) // 12)]:
        span = moment.start_s, moment.end_s
        width = moment.end_s - moment.start_s
        waiting = sum(overlap(*span, *wait) for wait in waits) / width
        assert moment.waiting == pytest.approx(waiting, rel=1e-6, abs=1e-6)
        busy = [overlap(*span, one[0], one[1]) / width for one in passes]
        assert moment.busy_share == pytest.approx(min(1.0, sum(busy)), rel=1e-6, abs=1e-6)
        held = sum(share * one[3] for share, one in zip(busy, passes, strict=True))
        assert moment.kv_share == pytest.approx(min(1.0, held / 9), rel=1e-6, abs=1e-6)
        assert moment.sequences == pytest.approx(
            sum(share * one[2] for share, one in zip(busy, passes, strict=True)), rel=1e-6, abs=1e-6
        )
    tokens = sum(moment.tokens_per_s * (moment.end_s - moment.start_s) for moment in moments)
    assert tokens == pytest.approx(sum(10 * one[2] for one in passes), rel=1e-6)


@pytest.mark.parametrize("count", [10, 480, 5000])
def test_arrivals_and_first_tokens_are_counted(count: int) -> None:
    line = Timeline(0.05)
    for number in range(count):
        line.arrived(0.1 * number)
        line.first_token(0.1 * number, 2.0)
        line.wrote(0.1 * number, 3)
    moments = line.moments(0.1 * count, 1, 1)
    widths = [moment.end_s - moment.start_s for moment in moments]
    assert len(moments) <= MOST
    pairs = list(zip(moments, widths, strict=True))
    assert sum(moment.requests_per_s * width for moment, width in pairs) == pytest.approx(count)
    assert sum(moment.tokens_per_s * width for moment, width in pairs) == pytest.approx(4 * count)
    assert {moment.ttft_s for moment in moments if moment.ttft_s is not None} == {2.0}


def test_where_no_first_token_came_is_no_ttft() -> None:
    line = Timeline(1.0)
    line.first_token(2.5, 0.25)
    assert [moment.ttft_s for moment in line.moments(3.0, 1, 1)][2] == 0.25
    assert all(moment.ttft_s is None for moment in line.moments(3.0, 1, 1)[:2])


def test_batches_of_a_replica_share_its_time() -> None:
    line = Timeline(1.0)
    for _ in range(4):
        line.passed(0.0, 0.5, 3, 8, 6, share=0.25)
    (moment,) = line.moments(1.0, 1, 10)
    assert (moment.busy_share, moment.sequences, moment.tokens_per_s) == (0.5, 6.0, 24.0)
    assert moment.kv_share == pytest.approx(0.4)


def test_a_last_shorter_stretch() -> None:
    line = Timeline(1.0)
    line.lifted(0.0, 2)
    line.lifted(1.25, -1)
    whole, part = line.moments(1.5, 1, 1)
    assert (whole.waiting, part.start_s, part.end_s) == (2.0, 1.0, 1.5)
    assert part.waiting == pytest.approx(1.5)
