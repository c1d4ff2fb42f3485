"""Processes that answer: quick questions never wait for slow ones, and none runs for ever."""

from __future__ import annotations

import asyncio
import multiprocessing
import time
import traceback
from collections import OrderedDict
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any, Final

from pebble import ProcessExpired, ProcessPool
from starlette.concurrency import run_in_threadpool

from farthing.report.encoding import json_text
from farthing.web.answers import Job, Reply, refused, reply_to
from farthing.web.problem import Problem
from farthing.web.settings import Settings
from farthing.web.views import VIEWS

KEPT_BYTES: Final = 64 * 2**20
"""Replies that are remembered, with their questions."""

KEPT_S: Final = 3600.0
"""So long: prices grow old while a server runs."""

KEPT_HOMES: Final = 1000
"""Questions of which it is known which process answered them."""

BUSY: Final = Problem("busy", "too many questions wait for an answer; ask again in a moment", retry_s=5)
STOPPING: Final = Problem("busy", "the server is being stopped; ask again when it is back", retry_s=10)


class _Process:
    """One process, and how many jobs it has."""

    def __init__(self, context: Any) -> None:
        self.context = context
        self.pending = 0
        self.pool = self._started()

    def _started(self) -> ProcessPool:
        pool = ProcessPool(max_workers=1, context=self.context)
        pool.schedule(_ready)
        return pool

    def renew(self) -> None:
        """Another process, where this one is gone."""
        if not self.pool.active:
            self.stop()
            self.pool = self._started()

    def stop(self) -> None:
        """End it, and what it is at."""
        self.pool.stop()  # type: ignore[no-untyped-call]
        self.pool.join()


@dataclass(slots=True)
class _Flight:
    """A job that is being answered, and how many wait for it."""

    task: asyncio.Task[Reply]
    slow: bool
    waiting: int = 0


class Workers:
    """Answers jobs in processes of their own, or with none in this one.

    The same question is worked out once, however many ask it at a time; where nobody waits any more it is
    ended.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._processes: dict[bool, list[_Process]] = {}
        self._homes: OrderedDict[tuple[str, Any], int] = OrderedDict()
        self._flights: dict[Job, _Flight] = {}
        self._kept: OrderedDict[Job, tuple[float, Reply]] = OrderedDict()
        self._kept_bytes = 0
        self._stopping = False

    def start(self) -> None:
        """Start the processes; each has the catalogue in memory before its first question."""
        if not self.settings.workers:
            return
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["farthing.web.warm"])
        for slow in (False, True):
            self._processes[slow] = [_Process(context) for _ in range(self.settings.workers)]

    def abandon(self) -> None:
        """Answer no more: who waits is told."""
        self._stopping = True
        for flight in list(self._flights.values()):
            flight.task.cancel()

    def stop(self) -> None:
        """End the processes, and what they are at."""
        for process in [one for each in self._processes.values() for one in each]:
            process.stop()
        self._processes = {}

    async def reply(self, job: Job) -> Reply:
        """The reply to a job; a refusal where it takes too long or too many wait."""
        kept = self._remembered(job)
        if kept is not None:
            return kept
        flight = self._flights.get(job)
        if flight is None:
            slow = VIEWS[job.view].slow and not job.opens
            if self._is_full(slow):
                return refused(VIEWS[job.view], job, dict(job.values), BUSY)
            flight = _Flight(asyncio.create_task(self._worked(job, slow)), slow)
            self._flights[job] = flight
            flight.task.add_done_callback(lambda _: self._flights.pop(job, None))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            if not self._stopping:
                raise
            return refused(VIEWS[job.view], job, dict(job.values), STOPPING)
        finally:
            flight.waiting -= 1
            if not flight.waiting:
                flight.task.cancel()

    def _is_full(self, slow: bool) -> bool:
        if slow and sum(flight.slow for flight in self._flights.values()) >= self.settings.slow_waiting:
            return True
        return self._stopping or len(self._flights) >= self.settings.waiting

    async def _worked(self, job: Job, slow: bool) -> Reply:
        try:
            reply = await self._asked(job, slow)
        except Problem as problem:
            return refused(VIEWS[job.view], job, dict(job.values), problem)
        except Exception:
            # What is wrong inside is for the server's own log.
            traceback.print_exc()
            text = json_text({"error": {"kind": "internal", "message": "this is a fault of farthing"}})
            return Reply(status=500, media_type="application/json", body=text.encode())
        if reply.status == 200:
            self._keep(job, reply)
        return reply

    async def _asked(self, job: Job, slow: bool) -> Reply:
        if not self._processes:
            return await run_in_threadpool(reply_to, job)
        limit = self.settings.slow_s if slow else self.settings.quick_s
        for _ in range(2):
            # A process that was killed takes its job with it: another gets it once more.
            process = self._process(job, self._processes[slow])
            process.renew()
            process.pending += 1
            try:
                return await asyncio.wrap_future(process.pool.schedule(reply_to, args=(job,), timeout=limit))
            except TimeoutError:
                message = f"the answer took longer than {limit:g} s; ask less at once, or use the command"
                raise Problem("took-too-long", message) from None
            except (ProcessExpired, CancelledError, RuntimeError):
                continue
            finally:
                process.pending -= 1
        raise Problem("internal", "the processes that were to answer ended; ask again")

    def _process(self, job: Job, processes: list[_Process]) -> _Process:
        """Where the question was answered before, for another form of it; else where least is to do."""
        question = (job.view, job.values)
        home = self._homes.pop(question, None)
        if home is None or processes[home].pending > 1:
            home = min(range(len(processes)), key=lambda number: processes[number].pending)
        self._homes[question] = home
        if len(self._homes) > KEPT_HOMES:
            self._homes.popitem(last=False)
        return processes[home]

    def _remembered(self, job: Job) -> Reply | None:
        moment, reply = self._kept.get(job, (0.0, None))
        if reply is None:
            return None
        if time.monotonic() - moment > KEPT_S:
            self._forget(job)
            return None
        self._kept.move_to_end(job)
        return reply

    def _keep(self, job: Job, reply: Reply) -> None:
        self._forget(job)
        self._kept[job] = time.monotonic(), reply
        self._kept_bytes += _size(job, reply)
        while self._kept_bytes > KEPT_BYTES:
            self._forget(next(iter(self._kept)))

    def _forget(self, job: Job) -> None:
        _, reply = self._kept.pop(job, (0.0, None))
        if reply is not None:
            self._kept_bytes -= _size(job, reply)


def _size(job: Job, reply: Reply) -> int:
    """About what a reply and its question take of the memory [byte]."""
    return len(reply.body) + sum(len(name) + len(str(value)) for name, value in job.values) + 2000


def _ready() -> None:
    """Nothing: a process that does it has started."""
