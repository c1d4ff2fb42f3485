"""Random schedulers, pass times and requests, so small that memory, budgets and queues are often tight."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from farthing.records.serving import Front, Objectives, Scheduler
from farthing.simulate.serving.lane import Lane
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.passes import OCTAVES, PassTimes, fixed_times
from farthing.simulate.serving.replica import Replica
from farthing.simulate.serving.request import Request
from farthing.simulate.serving.service import Deployment, Outcome, Service
from farthing.simulate.serving.stream import Ask

PREFIX_TOKENS = (1, 4, 16)


@st.composite
def schedulers(draw: DrawFn) -> Scheduler:
    kind = draw(st.sampled_from(("mixed", "mixed", "first", "first", "whole", "static", "slots")))
    limits: dict[str, Any] = {
        "token_budget": draw(st.sampled_from((8, 20, 64, 1000))),
        "max_sequences": draw(st.sampled_from((1, 2, 3, 8, 50))),
        "mixes": kind in ("mixed", "slots") or (kind == "whole" and draw(st.booleans())),
        "chunks": kind in ("mixed", "first", "slots"),
        "reserved_share": draw(st.sampled_from((0.0, 0.0, 0.1, 0.5, 1.0))),
        "block_tokens": draw(st.sampled_from((1, 2, 4, 16))),
        "preemption": draw(st.sampled_from(("recompute", "swap"))),
        "prefix_caching": draw(st.booleans()),
        "poll_steps": draw(st.sampled_from((1, 1, 1, 3, 10))),
    }
    if kind == "static":
        limits |= {"holds_batch": True, "batch_wait_s": draw(st.sampled_from((0.0, 0.3, 5.0)))}
    if kind == "slots":
        limits |= {"slots": True, "max_sequences": draw(st.sampled_from((1, 2, 4)))}
    return Scheduler(**limits)


class Passes(PassTimes):
    """Pass times that fit on a page when a test fails."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"passes of {self.written_s[1]} s yielding {self.yielded_tokens} of {self.pass_tokens}"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))


@st.composite
def pass_times(draw: DrawFn, *, drafts: bool = True) -> PassTimes:
    """Fixed ones, ones that lengthen with the context, and ones whose every table has another slope."""
    kind = draw(st.sampled_from(("fixed", "sloped", "tables")))
    if kind != "tables":
        fixed = fixed_times(0.0137, slope_s=1.3e-5 if kind == "sloped" else 0.0, sequences=64)
        return Passes(**{name: getattr(fixed, name) for name in PassTimes.__slots__})
    chance = random.Random(draw(st.integers(0, 10**6)))
    rows = OCTAVES + 2
    yielded = draw(st.sampled_from((1.0, 1.0, 2.0, 4.0))) if drafts else 1.0
    return Passes(
        written_s=[0.01 + 0.0003 * count for count in range(65)],
        attention_base_s=[[chance.uniform(0.0, 1e-3)] * 65 for _ in range(rows)],
        attention_slope_s=[[chance.uniform(0.0, 1e-5)] * 65 for _ in range(rows)],
        read_s=[0.01 + 1e-4 * tokens for tokens in range(500)],
        prompt_s=[[chance.uniform(0.0, 1e-5) for _ in range(rows)] for _ in range(rows)],
        start_s=1e-4,
        sequence_s=2e-5,
        pass_tokens=int(yielded) + draw(st.sampled_from((0, 1))) if yielded > 1 else 1,
        yielded_tokens=yielded,
    )


@st.composite
def some_asks(draw: DrawFn, *, most: int = 14, prefix_tokens: int = 0, cancel: bool = True) -> list[Ask]:
    """In order of arrival, in bursts of equal times or apart; beginnings of three families."""
    sizes = st.sampled_from((1, 2, 3, 5, 8, 15, 16, 17, 40))
    chance = random.Random(draw(st.integers(0, 10**6)))
    pace_s = draw(st.sampled_from((0.01, 0.1, 1.0)))
    classes = draw(st.sampled_from((1, 1, 3)))
    now_s, found = 0.0, []
    for _ in range(draw(st.integers(0, most))):
        now_s += draw(st.sampled_from((0, 1, 1, 4))) * pace_s * chance.uniform(0.5, 1.5)
        prompt, output = draw(sizes), draw(sizes)
        written = draw(st.integers(1, output)) if cancel and draw(st.booleans()) else output
        prefix: tuple[int, ...] = ()
        if prefix_tokens:
            family = draw(st.integers(0, 3))
            prefix = tuple(range(1000 * family, 1000 * family + prompt // prefix_tokens)) if family else ()
            prefix = prefix[: draw(st.integers(0, 12))]
        found.append(Ask(now_s, prompt, output, written, draw(st.integers(0, classes - 1)), prefix))
    return found


def tight_blocks(scheduler: Scheduler, passes: PassTimes, asks: list[Ask], spare: int) -> int:
    """A cache that holds the longest request and a little more; slots hold one each."""
    longest = max((ask.prompt + ask.output for ask in asks), default=1) + int(passes.yielded_tokens)
    each = -(-longest // scheduler.block_tokens)
    return max(each * (scheduler.max_sequences if scheduler.slots else 1) + spare, 1)


@dataclass
class Book:
    """A watcher that writes down what happens, and that no block is lent twice."""

    requests: list[Request] = field(default_factory=list)
    ends_s: list[float] = field(default_factory=list)
    passes: int = 0
    busy_s: dict[int, float] = field(default_factory=dict)

    def passed(self, lane: Lane, replica: Replica, writing: int, now_s: float) -> None:
        self.passes += lane.length
        pools = getattr(replica.blocks, "each", [replica.blocks])
        assert all(0 <= pool.free <= pool.total for pool in pools)
        assert replica.queued >= 0
        assert 0 <= replica.in_work <= replica.scheduler.max_sequences * len(pools)
        share = (now_s - lane.began_s) / len(replica.lanes)
        self.busy_s[replica.number] = self.busy_s.get(replica.number, 0.0) + share

    def ended(self, request: Request, now_s: float) -> None:
        self.requests.append(request)
        self.ends_s.append(now_s)


@dataclass
class Played:
    """What came of a run."""

    outcome: Outcome
    measures: Measures
    book: Book
    service: Service


def play(deployment: Deployment, asks: list[Ask], front: Front | None = None, **users: Any) -> Played:
    book = Book()
    measures = Measures(Objectives(), watchers=(book,))
    service = Service(deployment, front or Front(), measures, **users)
    return Played(service.run(iter(asks)), measures, book, service)


def one_replica(
    scheduler: Scheduler, passes: PassTimes, blocks: int, *, prefix_tokens: int = 0, **machine: Any
) -> Deployment:
    return Deployment(
        machine=Machine(passes=passes, kv_blocks=blocks, **machine),
        replicas=1,
        scheduler=scheduler,
        prefix_tokens=prefix_tokens,
    )
