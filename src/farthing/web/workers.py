"""Processes that answer: quick questions never wait for slow ones, and none runs for ever."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import OrderedDict
from concurrent.futures import CancelledError
from typing import Any, Final

from pebble import ProcessExpired, ProcessPool
from starlette.concurrency import run_in_threadpool

from farthing.web.answers import Job, Reply, refused, reply_to
from farthing.web.problem import Problem
from farthing.web.settings import Settings
from farthing.web.views import VIEWS

KEPT_BYTES: Final = 64 * 2**20
"""Replies that are remembered: the same question has the same answer as long as the server runs."""


KEPT_HOMES: Final = 1000
"""Questions of which it is known which process answered them."""

_Question = tuple[str, tuple[tuple[str, Any], ...]]


class _Process:
    """One process, and how many jobs it has."""

    def __init__(self, context: Any) -> None:
        self.pool = ProcessPool(max_workers=1, context=context)
        self.pending = 0
        self.pool.schedule(_ready)


class Workers:
    """Answers jobs in processes of their own, or with none in this one."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._processes: dict[bool, list[_Process]] = {}
        self._homes: OrderedDict[_Question, int] = OrderedDict()
        self._waiting = 0
        self._kept: OrderedDict[Job, Reply] = OrderedDict()
        self._kept_bytes = 0

    def start(self) -> None:
        """Start the processes; each has the catalogue in memory before its first question."""
        if not self.settings.workers:
            return
        context: Any = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["farthing.web.warm"])
        for slow in (False, True):
            self._processes[slow] = [_Process(context) for _ in range(self.settings.workers)]

    def stop(self) -> None:
        """End the processes, and what they are at."""
        for one in [one for each in self._processes.values() for one in each]:
            one.pool.stop()  # type: ignore[no-untyped-call]
            one.pool.join()
        self._processes = {}

    async def reply(self, job: Job) -> Reply:
        """The reply to a job; a refusal where it takes too long or too many wait."""
        if job in self._kept:
            self._kept.move_to_end(job)
            return self._kept[job]
        view = VIEWS[job.view]
        if self._waiting >= self.settings.waiting:
            return refused(view, job, dict(job.values), BUSY)
        self._waiting += 1
        try:
            reply = await self._worked(job, view.slow and not job.opens)
        finally:
            self._waiting -= 1
        if reply.status < 500:
            self._keep(job, reply)
        return reply

    async def _worked(self, job: Job, slow: bool) -> Reply:
        if not self._processes:
            return await run_in_threadpool(reply_to, job)
        limit = self.settings.slow_s if slow else self.settings.quick_s
        process = self._process(job, self._processes[slow])
        process.pending += 1
        try:
            return await asyncio.wrap_future(process.pool.schedule(reply_to, args=(job,), timeout=limit))
        except TimeoutError:
            message = f"the answer took longer than {limit:g} s; ask less at once, or use the command"
            problem = Problem("took-too-long", message)
        except (ProcessExpired, CancelledError, RuntimeError):
            problem = Problem("internal", "the process that was to answer ended; ask again")
        finally:
            process.pending -= 1
        return refused(VIEWS[job.view], job, dict(job.values), problem)

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

    def _keep(self, job: Job, reply: Reply) -> None:
        self._kept[job] = reply
        self._kept_bytes += len(reply.body)
        while self._kept_bytes > KEPT_BYTES:
            _, gone = self._kept.popitem(last=False)
            self._kept_bytes -= len(gone.body)


BUSY: Final = Problem("busy", "too many questions wait for an answer; ask again in a moment", retry_s=5)


def _ready() -> None:
    """Nothing: a process that does it has started."""
