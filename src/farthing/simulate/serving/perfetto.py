"""A run as a trace for https://ui.perfetto.dev: Chrome's trace events, written while it is played.

Each replica is a process with a thread for each batch in flight, on which its passes lie; counters beside
them say how many requests run and wait and how much of the cache is held. Each request is a line of its
replica, from its arrival to its end, over the parts in which it queues, is read and is written.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from farthing.simulate.serving.line_file import LineFile, check_writable

if TYPE_CHECKING:
    from farthing.simulate.serving.lane import Lane
    from farthing.simulate.serving.replica import Replica
    from farthing.simulate.serving.request import Request

ENDINGS: Final = (".json", ".json.gz")
DEFAULT_WINDOW_S: Final = 60.0
"""Of simulated time: some ten thousand passes of one replica."""
MOST_SLICES: Final = 2000
"""Of one stretch of passes; of a longer one each slice is several passes."""
MOST_EVENTS: Final = 1_000_000
"""About 150 MB, which a browser still opens."""
FRONT: Final = 1
"""The process of requests that no replica got."""

_PASSES: Final = {(True, False): "write", (False, True): "read", (True, True): "read and write"}
"""Names of passes, by whether they write and read: a colour each."""


class Perfetto:
    """A watcher that writes a trace.

    It is a list of events, valid JSON once it is closed; what is on the disk before opens too, since viewers
    do not insist on the closing bracket.

    Parameters
    ----------
    path
        A name that ends in ``.json`` or ``.json.gz``; a file of that name is replaced.
    start_s, window_s
        From when on, and how much of the simulated time is written [s]. Passes that run in it, and requests
        that are there in it, are written whole.
    most_events
        After so many the trace ends.

    Attributes
    ----------
    passes, requests
        That were written.
    until_s
        To here it is complete, where it ended before its time; else infinite [s].

    Raises
    ------
    InvalidInput
        A place that cannot be written to.
    """

    def __init__(
        self,
        path: Path,
        *,
        start_s: float = 0.0,
        window_s: float = DEFAULT_WINDOW_S,
        most_events: int = MOST_EVENTS,
    ) -> None:
        check_writable(path, ENDINGS)
        self.path = path
        self.start_s, self.end_s = start_s, start_s + window_s
        self.passes = self.requests = 0
        self.until_s = math.inf
        self._left = most_events
        self._file = LineFile(path, "[\n")
        self._comma = ""
        self._known: set[tuple[int, int]] = set()
        self._levels: dict[tuple[int, str], int] = {}

    def close(self) -> None:
        """Write what is left, and the end of the list."""
        self._file.close("\n]\n")

    # What the simulation tells ----------------------------------------------------------------------------

    def passed(self, lane: Lane, replica: Replica, writing: int, now_s: float) -> None:
        """A stretch of passes ends."""
        began = lane.began_s
        if began >= self.end_s or now_s < self.start_s or self._is_full(began):
            return
        pid, tid = self._thread(replica, lane)
        # A replica with one batch runs as many from the start of a pass to its end.
        self._level(
            pid, "running", "requests", began if replica.machine.lanes == 1 else now_s, replica.in_work
        )
        count, read = lane.length, lane.reading
        first = lane.passes_done(self.start_s - began) if began < self.start_s else 0
        last = min(lane.passes_done(self.end_s - began) + 1, count) if now_s > self.end_s else count
        each = -(-(last - first) // MOST_SLICES)
        blocks, name = replica.blocks, _PASSES[bool(writing), bool(read)]
        own_s, held = blocks.total - blocks.free - lane.held, blocks.total
        for done in range(first, last, each):
            after = min(done + each, last)
            tokens = lane.tokens_of(done)
            held = own_s + (lane.blocks_of(lane.tokens_of(after)) if lane.held else 0)
            args: dict[str, Any] = {"passes": after - done} if each > 1 else {}
            if writing:
                args["sequences"] = writing
                args["tokens written"] = (lane.tokens_of(after) - tokens) * (writing - lane.padding)
                args["tokens of context"] = lane.context + tokens * lane.sequences
            if read:
                args["prompts"] = len(lane.prompts)
                args["tokens read"] = read
            args["KV cache in use [%]"] = round(100 * held / blocks.total, 2)
            start, end = _ns(began + lane.time_s(done)), _ns(began + lane.time_s(after))
            self._event(
                f'{{"ph":"X","name":"{name}","cat":"pass","pid":{pid},"tid":{tid},'
                f'"ts":{_us(start)},"dur":{_us(end - start)},"args":{json.dumps(args)}}}'
            )
            self._level(pid, "KV blocks", "blocks", began + lane.time_s(after), held)
        self._level(pid, "waiting", "requests", now_s, replica.queued)
        self.passes += last - first

    def ended(self, request: Request, now_s: float) -> None:
        """A request ends."""
        replica: Replica | None = request.replica
        if now_s < self.start_s or request.arrival_s >= self.end_s or self._is_full(now_s):
            return
        if replica is None:
            pid = FRONT
            self._process(pid, "front", 0)
        else:
            pid, _ = self._thread(replica, replica.lanes[0])
            if now_s < self.end_s:
                self._level(pid, "running", "requests", now_s, replica.in_work)
                self._level(pid, "waiting", "requests", now_s, replica.queued)
                self._level(pid, "KV blocks", "blocks", now_s, replica.blocks.total - replica.blocks.free)
        about = {
            "request": request.number,
            "state": request.state,
            "prompt tokens": request.prompt,
            "tokens written": request.done,
            "priority": request.priority,
            "stepped back": request.preempted,
        }
        parts = [("request", request.arrival_s, now_s, about)]
        begun, first = request.started_s, request.first_s
        parts.append(("queued", request.arrival_s, begun if begun == begun else now_s, {}))
        if begun == begun:
            parts.append(("reading", begun, first if first == first else now_s, {}))
        if first == first:
            parts.append(("writing", first, now_s, {}))
        same = f'"cat":"request","id":"{request.number}","pid":{pid},"tid":{_thread_of(pid, 1)}'
        whole, *inner = parts
        self._span(whole, same, inner)
        self.requests += 1

    # Events -----------------------------------------------------------------------------------------------

    def _span(
        self,
        whole: tuple[str, float, float, dict[str, Any]],
        same: str,
        inner: list[tuple[str, float, float, dict[str, Any]]],
    ) -> None:
        """An asynchronous slice with others inside, each after the one before."""
        name, start, end, args = whole
        self._event(f'{{"ph":"b","name":"{name}",{same},"ts":{_us(_ns(start))},"args":{json.dumps(args)}}}')
        for part, begins, ends, _ in inner:
            self._event(f'{{"ph":"b","name":"{part}",{same},"ts":{_us(_ns(begins))}}}')
            self._event(f'{{"ph":"e","name":"{part}",{same},"ts":{_us(_ns(ends))}}}')
        self._event(f'{{"ph":"e","name":"{name}",{same},"ts":{_us(_ns(end))}}}')

    def _level(self, pid: int, name: str, unit: str, time_s: float, value: int) -> None:
        """A counter, where it has changed."""
        if self._levels.get((pid, name)) != value:
            self._levels[pid, name] = value
            self._event(
                f'{{"ph":"C","name":"{name}","pid":{pid},"tid":{_thread_of(pid, 1)},"ts":{_us(_ns(time_s))},'
                f'"args":{{"{unit}":{value}}}}}'
            )

    def _thread(self, replica: Replica, lane: Lane) -> tuple[int, int]:
        """Process and thread of a batch; their names come before their first events."""
        pid = FRONT + 1 + replica.number
        batch = 1 + replica.lanes.index(lane)
        tid = _thread_of(pid, batch)
        if (pid, tid) not in self._known:
            self._known.add((pid, tid))
            kind = "prefill worker" if replica.machine.reads_only else "replica"
            self._process(pid, f"{kind} {replica.number}", 1 + replica.number)
            name = "passes"
            if len(replica.lanes) > 1:
                name += f" of {'rank' if replica.machine.lockstep else 'batch'} {batch}"
            self._named("thread_name", pid, tid, {"name": name})
        return pid, tid

    def _process(self, pid: int, name: str, place: int) -> None:
        if (pid, 0) not in self._known:
            self._known.add((pid, 0))
            self._named("process_name", pid, _thread_of(pid, 1), {"name": name})
            self._named("process_sort_index", pid, _thread_of(pid, 1), {"sort_index": place})

    def _named(self, kind: str, pid: int, tid: int, args: dict[str, Any]) -> None:
        self._event(f'{{"ph":"M","name":"{kind}","pid":{pid},"tid":{tid},"args":{json.dumps(args)}}}')

    def _is_full(self, now_s: float) -> bool:
        if self._left <= 0:
            self.until_s = min(self.until_s, now_s)
        return self._left <= 0

    def _event(self, text: str) -> None:
        self._file.add(self._comma + text)
        self._comma = ",\n"
        self._left -= 1


def _thread_of(pid: int, batch: int) -> int:
    """The id of a thread, which no other process has: not all viewers tell threads by their process."""
    return 1000 * pid + batch


def _ns(time_s: float) -> int:
    """Whole nanoseconds: slices that meet have the same end and beginning."""
    return round(time_s * 1e9)


def _us(time_ns: int) -> str:
    """Microseconds, as trace events have them, to the nanosecond.

    Examples
    --------
    >>> _us(1_234_567), _us(2_000)
    ('1234.567', '2.000')
    """
    return f"{time_ns // 1000}.{time_ns % 1000:03d}"
