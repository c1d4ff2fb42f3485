"""The trace for a viewer: valid at all times, true to the run, and bounded."""

from __future__ import annotations

import gzip
import itertools
import json
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from farthing.errors import FarthingError, InvalidInput
from farthing.records.serving import Front, Objectives, Scheduler
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.passes import fixed_times
from farthing.simulate.serving.perfetto import FRONT, MOST_SLICES, Perfetto
from farthing.simulate.serving.service import Deployment, Service
from farthing.simulate.serving.stream import Ask

ASKS = tuple(Ask(0.05 * number, 300 + 7 * number, 40 + number % 9, 40, 0, ()) for number in range(60))


def play(
    trace: Perfetto,
    *,
    asks: tuple[Ask, ...] = ASKS,
    front: Front | None = None,
    step_s: float = 0.01,
    slope_s: float = 1e-7,
    blocks: int = 4000,
    lanes: int = 1,
    lockstep: bool = False,
    replicas: int = 1,
    readers: int = 0,
    **scheduler: Any,
) -> tuple[Measures, Any]:
    """A run that is watched; the trace is not closed."""
    passes = fixed_times(step_s, slope_s=slope_s)
    machine = Machine(passes=passes, kv_blocks=blocks, lanes=lanes, lockstep=lockstep)
    reader = Machine(passes=fixed_times(step_s), kv_blocks=blocks, reads_only=True) if readers else None
    measures = Measures(Objectives(), watchers=(trace,))
    made = Deployment(
        machine=machine,
        replicas=replicas,
        scheduler=Scheduler(**{"token_budget": 512, "max_sequences": 16} | scheduler),
        reader=reader,
        readers=readers,
        transfer_s=lambda tokens: 1e-5 * tokens,
    )
    return measures, Service(made, front or Front(), measures).run(iter(asks))


def read(path: Path) -> list[dict[str, Any]]:
    data = path.read_bytes()
    events: list[dict[str, Any]] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return events


def of(events: list[dict[str, Any]], phase: str) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == phase]


def ns(event: dict[str, Any], field: str = "ts") -> int:
    return round(event[field] * 1000)


def whole(tmp_path: Path, **given: Any) -> tuple[list[dict[str, Any]], Measures, Any]:
    trace = Perfetto(tmp_path / "trace.json", window_s=1e9)
    measures, outcome = play(trace, **given)
    trace.close()
    assert (trace.passes, trace.requests) == (measures.passes, outcome.offered)
    return read(trace.path), measures, outcome


CASES: dict[str, dict[str, Any]] = {
    "one batch": {},
    "three batches in flight": {"lanes": 3},
    "ranks that share experts": {"lanes": 3, "lockstep": True},
    "several replicas": {"replicas": 3},
    "two kinds of workers": {"replicas": 1, "readers": 2},
    "prompts first": {"mixes": False},
    "short of memory": {"blocks": 90},
    "static": {"holds_batch": True, "chunks": False},
    "rare looks": {"poll_steps": 10},
}


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_events_are_what_the_format_asks(tmp_path: Path, given: dict[str, Any]) -> None:
    events, _, _ = whole(tmp_path, **given)
    assert {event["ph"] for event in events} == {"M", "X", "C", "b", "e"}
    named: set[tuple[str, int, int]] = set()
    processes: dict[int, set[int]] = defaultdict(set)
    for event in events:
        assert isinstance(event["name"], str)
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        processes[event["tid"]].add(event["pid"])
        if event["ph"] == "M":
            named.add((event["name"], event["pid"], event["tid"]))
            assert set(event["args"]) == {"sort_index" if "sort" in event["name"] else "name"}
        else:
            assert event["ts"] >= 0
            # What comes of a process comes after its name.
            assert any(kind == "process_name" and pid == event["pid"] for kind, pid, _ in named)
        if event["ph"] == "X":
            assert event["dur"] >= 0
            assert ("thread_name", event["pid"], event["tid"]) in named
        if event["ph"] == "C":
            assert all(isinstance(value, int) and value >= 0 for value in event["args"].values())
        if event["ph"] in "be":
            assert event["cat"] == "request"
            assert isinstance(event["id"], str)
    assert all(len(pids) == 1 for pids in processes.values())


@pytest.mark.parametrize("given", CASES.values(), ids=CASES)
def test_slices_do_not_overlap_and_add_up(tmp_path: Path, given: dict[str, Any]) -> None:
    events, measures, outcome = whole(tmp_path, **given)
    threads = defaultdict(list)
    for event in of(events, "X"):
        threads[event["pid"], event["tid"]].append((ns(event), ns(event) + ns(event, "dur")))
    for slices in threads.values():
        assert slices == sorted(slices)
        assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(slices))
    slices = of(events, "X")
    lanes = given.get("lanes", 1)
    busy = sum(ns(event, "dur") for event in slices) / 1e9 / lanes
    assert busy == pytest.approx(measures.busy_s, rel=1e-6)
    assert len(slices) == measures.passes
    steps = sum(event["args"].get("sequences", 0) + event["args"].get("prompts", 0) for event in slices)
    assert steps == measures.steps
    written = sum(event["args"].get("tokens written", 0) for event in slices)
    assert measures.tokens == sum(ask.written for ask in ASKS)
    # Reading a prompt gives a token, also to who stepped back; what is handed over gets its first later.
    assert measures.tokens - written == (0 if "readers" in given else len(ASKS) + outcome.preemptions)
    assert bool(outcome.preemptions) == ("blocks" in given)
    held = [event["args"]["blocks"] for event in of(events, "C") if event["name"] == "KV blocks"]
    if lanes == 1 and "readers" not in given and "replicas" not in given:
        assert max(held) == measures.held_peak
    assert max(event["args"]["KV cache in use [%]"] for event in slices) <= 100


def test_passes_of_a_stretch_get_longer(tmp_path: Path) -> None:
    events, _, _ = whole(tmp_path, asks=(Ask(0.0, 100, 500, 500, 0, ()),), slope_s=1e-4)
    lengths = [ns(event, "dur") for event in of(events, "X") if event["name"] == "write"]
    assert len(lengths) == 499
    assert lengths[0] == 20_000_000
    grown = [after - before for before, after in itertools.pairwise(lengths)]
    assert set(grown) <= {99_999, 100_000, 100_001}


def test_requests_have_their_parts_in_order(tmp_path: Path) -> None:
    events, measures, _ = whole(tmp_path)
    waits, firsts = 0, 0
    by_id = defaultdict(list)
    for event in events:
        if event["ph"] in "be":
            by_id[event["id"]].append(event)
    assert sorted(by_id, key=int) == [str(number) for number in range(len(ASKS))]
    for number, (key, own) in enumerate(sorted(by_id.items(), key=lambda item: int(item[0]))):
        names = [(event["ph"], event["name"]) for event in own]
        assert names == [
            ("b", "request"),
            *((phase, part) for part in ("queued", "reading", "writing") for phase in "be"),
            ("e", "request"),
        ], key
        times = [ns(event) for event in own]
        assert times == sorted(times)
        assert times[0] == round(ASKS[number].arrival_s * 1e9)
        assert own[0]["args"]["prompt tokens"] == ASKS[number].prompt
        assert own[0]["args"]["state"] in ("finished", "cancelled")
        waits += times[2] - times[1]
        firsts += times[4] - times[1]
    assert waits / 1e9 == pytest.approx(measures.queue.total, rel=1e-6)
    assert firsts / 1e9 == pytest.approx(measures.ttft.total, rel=1e-6)


def test_levels_end_at_nothing(tmp_path: Path) -> None:
    for given in CASES.values():
        events, _, _ = whole(tmp_path, **given)
        last: dict[tuple[int, str], dict[str, int]] = {}
        for event in of(events, "C"):
            last[event["pid"], event["name"]] = event["args"]
        if not given.get("holds_batch"):
            left = {name for (_, name), value in last.items() if set(value.values()) != {0}}
            # Prompts that are handed over leave their reader without a word.
            assert left <= ({"running", "KV blocks"} if "readers" in given else set()), given


def test_a_window_bounds_the_trace(tmp_path: Path) -> None:
    everything, _, _ = whole(tmp_path)
    trace = Perfetto(tmp_path / "part.json", start_s=1.0, window_s=0.5)
    play(trace)
    trace.close()
    part = of(read(trace.path), "X")
    expected = [
        event
        for event in of(everything, "X")
        if ns(event) < 1_500_000_000 and ns(event) + ns(event, "dur") > 1_000_000_000
    ]
    assert 20 < len(expected) < 100
    assert part == expected
    assert trace.passes == len(part)


def test_what_no_replica_got_is_at_the_front(tmp_path: Path) -> None:
    events, _, outcome = whole(tmp_path, front=Front(queue_limit=2), max_sequences=2)
    rejected = [event for event in of(events, "b") if event["pid"] == FRONT and event["name"] == "request"]
    assert len(rejected) == outcome.ended["rejected"] > 5
    assert {event["args"]["state"] for event in rejected} == {"rejected"}
    (name,) = (e for e in of(events, "M") if e["name"] == "process_name" and e["pid"] == FRONT)
    assert name["args"] == {"name": "front"}


def test_very_long_stretches_are_merged(tmp_path: Path) -> None:
    # So long a context stays in its octave, and all passes are one stretch.
    asks = (Ask(0.0, 40_000, 9001, 9001, 0, ()),)
    events, measures, _ = whole(tmp_path, asks=asks, blocks=4000, slope_s=0.0)
    slices = [event for event in of(events, "X") if event["name"] == "write"]
    assert len(slices) <= MOST_SLICES
    assert sum(event["args"]["passes"] for event in slices) == 9000
    assert sum(event["args"]["tokens written"] for event in slices) == 9000
    assert sum(ns(event, "dur") for event in slices) / 1e9 == pytest.approx(90.0)
    assert measures.passes == 9000 + -(-40_000 // 512)


def test_a_full_trace_ends_and_says_where(tmp_path: Path) -> None:
    trace = Perfetto(tmp_path / "full.json", window_s=1e9, most_events=300)
    play(trace)
    trace.close()
    events = read(trace.path)
    assert 300 <= len(events) < 400
    assert 0 < trace.until_s < 2.0
    ends = [ns(event) + ns(event, "dur") for event in of(events, "X")]
    assert max(ends) / 1e9 <= trace.until_s + 0.05
    assert Perfetto(tmp_path / "other.json").until_s == math.inf


def test_gzip_holds_the_same(tmp_path: Path) -> None:
    plain, packed = Perfetto(tmp_path / "a.json"), Perfetto(tmp_path / "a.json.gz")
    for trace in (plain, packed):
        play(trace)
        trace.close()
    assert gzip.decompress(packed.path.read_bytes()) == plain.path.read_bytes()
    assert packed.path.stat().st_size < plain.path.stat().st_size / 5
    again = Perfetto(tmp_path / "b.json.gz")
    play(again)
    again.close()
    assert again.path.read_bytes() == packed.path.read_bytes()


@pytest.mark.parametrize("name", ["cut.json", "cut.json.gz"])
def test_an_interrupted_trace_is_valid(tmp_path: Path, name: str) -> None:
    class Impatient(Perfetto):
        def passed(self, *given: Any) -> None:
            super().passed(*given)
            if self.passes > 120:
                raise KeyboardInterrupt

    trace = Impatient(tmp_path / name)
    with pytest.raises(KeyboardInterrupt):
        play(trace)
    trace.close()
    trace.close()
    assert len(of(read(trace.path), "X")) == trace.passes > 120


def test_nothing_at_all_is_valid_too(tmp_path: Path) -> None:
    trace = Perfetto(tmp_path / "empty.json")
    assert not trace.path.exists()
    trace.close()
    assert read(trace.path) == []


def test_bad_places_are_refused_at_once(tmp_path: Path) -> None:
    for path, said in (
        (tmp_path / "a.txt", r"ends in \.json or \.json\.gz"),
        (tmp_path / "no" / "a.json", "there is no folder"),
    ):
        with pytest.raises(InvalidInput, match=said):
            Perfetto(path)
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(InvalidInput, match="is a folder"):
        Perfetto(tmp_path / "folder.json")


def test_a_full_disk_is_no_traceback() -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full here")
    trace = Perfetto.__new__(Perfetto)
    from farthing.simulate.serving.line_file import LineFile

    trace._file = LineFile(full, "[\n")
    with pytest.raises(FarthingError, match=r"cannot write /dev/full: No space left"):
        trace.close()
