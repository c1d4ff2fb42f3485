"""Streams of requests: where they end, that a seed is a load, and that a change stays where it is made."""

from __future__ import annotations

import itertools
import math
import tracemalloc
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from farthing.errors import InvalidInput
from farthing.records.serving import Lengths, Traffic
from farthing.simulate.serving.stream import DEFAULT_REQUESTS, Ask, Stream, stream
from farthing.simulate.serving.trace import Trace, read_trace

RICH: dict[str, Any] = {
    "requests_per_s": 3.0,
    "requests": 2000,
    "prompt": Lengths(kind="lognormal", tokens=300, spread=1.0),
    "output": Lengths(kind="uniform", tokens=80, spread=0.9),
    "priorities": (0.2, 0.5, 0.3),
    "prefix_groups": 9,
    "prefix_share": 0.4,
    "cancel_share": 0.25,
    "seed": 11,
}
"""Something of everything."""


def asks(**changes: Any) -> list[Ask]:
    return list(stream(Traffic(**{**RICH, **changes})))


def columns(found: list[Ask]) -> dict[str, tuple[Any, ...]]:
    return dict(zip(Ask._fields, zip(*found, strict=True), strict=True))


def changed(**changes: Any) -> set[str]:
    """Columns that are others than those of the rich load."""
    usual, other = columns(asks()), columns(asks(**changes))
    return {name for name in Ask._fields if usual[name] != other[name]}


def recorded(tmp_path: Path, count: int = 100, extra: str = "") -> Trace:
    """Requests a second apart."""
    file = tmp_path / "trace.csv"
    header = f"at,in,out{',' if extra else ''}{extra}\n"
    rows = (f"{at},{100 + at},{10 + at}{f',{at % 3}' if extra else ''}\n" for at in range(count))
    file.write_text(header + "".join(rows))
    named = {"arrival": "at", "prompt": "in", "output": "out"}
    return read_trace(file, columns=named | ({"priority": extra} if extra else {}))


def test_asks_are_plain() -> None:
    found = asks(requests=1)[0]
    assert isinstance(found, Ask)
    assert [type(value) for value in found] == [float, int, int, int, int, tuple]
    assert found == Ask(*found)
    assert Ask._fields == ("arrival_s", "prompt", "output", "written", "priority", "prefix")


@pytest.mark.parametrize("arrivals", ["poisson", "gamma", "diurnal", "closed"])
@pytest.mark.parametrize("chunk", [1, 7, 999, 10_000])
def test_chunks_change_nothing(arrivals: Any, chunk: int) -> None:
    traffic = Traffic(**{**RICH, "arrivals": arrivals, "users": 4, "burstiness": 2.0, "day_s": 50.0})
    assert list(Stream(traffic, chunk=chunk)) == list(stream(traffic))


def test_a_seed_is_a_load() -> None:
    assert asks() == asks()
    again = stream(Traffic(**RICH))
    assert list(again) == list(again), "each walk starts anew"
    assert changed(seed=12) == set(Ask._fields)


@pytest.mark.parametrize(
    ("changes", "columns"),
    [
        ({"requests_per_s": 4.0}, {"arrival_s"}),
        ({"arrivals": "gamma", "burstiness": 3.0}, {"arrival_s"}),
        ({"arrivals": "diurnal"}, {"arrival_s"}),
        ({"arrivals": "closed", "users": 8}, {"arrival_s"}),
        ({"output": Lengths(tokens=90)}, {"output", "written"}),
        ({"priorities": (0.5, 0.5)}, {"priority"}),
        ({"cancel_share": 0.5}, {"written"}),
        ({"prefix_groups": 5}, {"prefix"}),
        ({"prefix_share": 0.2}, {"prefix"}),
        ({"prompt": Lengths(kind="lognormal", tokens=310, spread=1.0)}, {"prompt", "prefix"}),
    ],
)
def test_a_change_stays_where_it_is_made(changes: dict[str, Any], columns: set[str]) -> None:
    assert changed(**changes) == columns


def test_another_rate_scales_the_gaps() -> None:
    slow, fast = columns(asks())["arrival_s"], columns(asks(requests_per_s=30.0))["arrival_s"]
    assert slow == pytest.approx([10 * time for time in fast])


def test_ends() -> None:
    assert len(asks(requests=0)) == DEFAULT_REQUESTS
    assert len(asks(requests=4096)) == 4096
    assert len(asks(requests=4097)) == 4097
    timed = asks(requests=0, duration_s=1000.0)
    assert timed[-1].arrival_s < 1000.0
    assert abs(len(timed) - 3000) < 4 * math.sqrt(3000)
    assert timed == asks(requests=5000)[: len(timed)]
    assert asks(requests=5000)[len(timed)].arrival_s >= 1000.0
    assert asks(requests=50, duration_s=1000.0) == timed[:50], "whichever comes first"
    assert asks(requests=5000, duration_s=1000.0) == timed
    assert asks(requests=0, duration_s=1e-9) == []


def test_a_closed_loop_ends_by_its_requests_alone() -> None:
    assert len(asks(arrivals="closed", users=3, requests=0)) == DEFAULT_REQUESTS
    endless = stream(Traffic(arrivals="closed", users=3, duration_s=10.0))
    taken = list(itertools.islice(endless, 3 * DEFAULT_REQUESTS))
    assert len(taken) == 3 * DEFAULT_REQUESTS, "the service looks at the time"
    assert {ask.arrival_s for ask in taken} == {0.0}


def test_priorities_have_their_shares() -> None:
    counts = np.bincount(columns(asks(requests=50_000))["priority"])
    expected = 50_000 * np.array(RICH["priorities"])
    assert (np.abs(counts - expected) < 4 * np.sqrt(expected)).all()
    assert set(columns(asks(priorities=(0, 7, 0)))["priority"]) == {1}
    assert (
        set(columns(asks(priorities=(3,)))["priority"])
        == set(columns(asks(priorities=()))["priority"])
        == {0}
    )


def test_users_give_up_anywhere_before_the_end() -> None:
    found = asks(requests=50_000, output=Lengths(tokens=5))
    quit_at = [ask.written for ask in found if ask.written < ask.output]
    assert abs(len(quit_at) - 12_500) < 4 * math.sqrt(12_500)
    counts = np.bincount(quit_at, minlength=5)[1:]
    assert counts.size == 4
    assert (np.abs(counts - len(quit_at) / 4) < 4 * math.sqrt(len(quit_at) / 4)).all()
    assert all(ask.written == ask.output for ask in asks(cancel_share=0.0))
    assert all(1 <= ask.written < ask.output or ask.output == 1 for ask in asks(cancel_share=1.0))


def test_those_who_give_up_stay_where_more_do() -> None:
    few, many = asks(cancel_share=0.1), asks(cancel_share=0.3)
    assert all(b.written == a.written for a, b in zip(few, many, strict=True) if a.written < a.output)
    assert sum(a.written < a.output for a in few) < sum(a.written < a.output for a in many)


def test_beginnings_are_as_long_as_asked() -> None:
    found = asks(prompt=Lengths(tokens=1000), prefix_groups=3)
    assert {len(ask.prefix) for ask in found} == {400 // 16}
    assert len({ask.prefix for ask in found}) == 3
    assert all(len(ask.prefix) <= ask.prompt // 16 for ask in asks())
    assert {ask.prefix for ask in asks(prefix_groups=0)} == {()}
    assert stream(Traffic(**RICH)).prefix_block_tokens == 16


def test_a_trace_is_played_as_recorded(tmp_path: Path) -> None:
    found = list(stream(Traffic(arrivals="trace"), recorded(tmp_path)))
    assert found == [Ask(float(at), 100 + at, 10 + at, 10 + at, 0, ()) for at in range(100)]


def test_a_trace_ends_where_it_ends(tmp_path: Path) -> None:
    trace = recorded(tmp_path)
    assert len(list(stream(Traffic(arrivals="trace", requests=500), trace))) == 100
    assert len(list(stream(Traffic(arrivals="trace", requests=30), trace))) == 30
    assert len(list(stream(Traffic(arrivals="trace", duration_s=30.0), trace))) == 30
    assert len(list(stream(Traffic(arrivals="trace", duration_s=1e9), trace))) == 100


def test_a_trace_is_stretched_to_a_rate(tmp_path: Path) -> None:
    trace = recorded(tmp_path)
    found = list(stream(Traffic(arrivals="trace", requests_per_s=4.0), trace))
    assert [ask.arrival_s for ask in found] == pytest.approx([at / 4 for at in range(100)])
    short = stream(Traffic(arrivals="trace", requests_per_s=4.0, duration_s=5.0), trace)
    assert len(list(short)) == 20, "the time is that of the load"


def test_what_a_trace_does_not_tell_is_drawn(tmp_path: Path) -> None:
    changes = {"priorities": (1, 1), "prefix_groups": 2, "prefix_share": 0.5, "cancel_share": 0.5}
    found = list(stream(Traffic(arrivals="trace", **changes), recorded(tmp_path, 3000)))  # type: ignore[arg-type]
    assert {ask.priority for ask in found} == {0, 1}
    mean = 100 + 2999 / 2
    assert {len(ask.prefix) for ask in found if ask.prompt > mean} == {int(mean / 2 / 16)}
    assert 0.4 < np.mean([ask.written < ask.output for ask in found]) < 0.6
    assert [ask.prompt for ask in found] == list(range(100, 3100))


def test_what_a_trace_tells_stays(tmp_path: Path) -> None:
    trace = recorded(tmp_path, extra="class")
    found = list(stream(Traffic(arrivals="trace", priorities=(0, 0, 0, 0, 1)), trace))
    assert [ask.priority for ask in found] == [at % 3 for at in range(100)]


def test_a_trace_and_its_traffic_belong_together(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="need a trace"):
        stream(Traffic(arrivals="trace"))
    with pytest.raises(InvalidInput, match="take no trace"):
        stream(Traffic(requests_per_s=1.0), recorded(tmp_path))


def test_requests_at_one_moment_have_no_rate(tmp_path: Path) -> None:
    trace = recorded(tmp_path, 1)
    assert len(list(stream(Traffic(arrivals="trace"), trace))) == 1
    with pytest.raises(InvalidInput, match="all at once"):
        stream(Traffic(arrivals="trace", requests_per_s=1.0), trace)


def test_memory_is_flat() -> None:
    """Two hundred thousand requests take no more than twenty thousand."""

    def peak_bytes(requests: int) -> int:
        made = stream(Traffic(**{**RICH, "requests": requests}))
        tracemalloc.start()
        try:
            deque(made, maxlen=0)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_bytes(200_000) < 1.3 * peak_bytes(20_000)
