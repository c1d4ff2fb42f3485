"""Answers come from processes that end when they take too long, and are found again where they were given."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from farthing.web.answers import Job, Reply
from farthing.web.settings import Settings
from farthing.web.workers import Workers

QUICK = (("model", "llama-2-7b"), ("cluster", "rtx-4090"))
LONG = (("preset", "llama-3-405b"), ("runs", "5000"), ("duration_s", "300d"))


def run(settings: Settings, jobs: list[Job]) -> list[Any]:
    """Replies to jobs, one after another, and the workers themselves."""
    workers = Workers(settings)

    async def all_of_them() -> list[Any]:
        return [await workers.reply(job) for job in jobs]

    workers.start()
    try:
        work: Coroutine[Any, Any, list[Any]] = all_of_them()
        return asyncio.run(work)
    finally:
        workers.stop()


def test_what_takes_too_long_is_ended_and_what_follows_is_answered() -> None:
    settings = Settings(workers=1, slow_s=1.0)
    late, quick, slow = run(
        settings,
        [
            Job(view="faults", form="json", values=LONG),
            Job(view="inference", form="json", values=QUICK),
            Job(view="serving", form="json", values=(*QUICK, ("requests_per_s", "1"), ("requests", "20"))),
        ],
    )
    assert late.status == 504
    assert b"longer than 1 s" in late.body
    assert quick.status == 200
    assert slow.status == 200


def test_a_process_that_was_killed_is_renewed() -> None:
    workers = Workers(Settings(workers=1))
    job = Job(view="inference", form="json", values=QUICK)
    other = Job(view="inference", form="csv", values=QUICK)

    async def asked() -> list[int]:
        first = await workers.reply(job)
        for child in _children():
            os.kill(child, signal.SIGKILL)
        await asyncio.sleep(0.5)
        return [first.status, (await workers.reply(other)).status]

    workers.start()
    try:
        assert asyncio.run(asked()) == [200, 200]
    finally:
        workers.stop()


def _children() -> list[int]:
    """Processes that the fork server of this one started."""
    from multiprocessing.forkserver import _forkserver

    server = _forkserver._forkserver_pid  # type: ignore[attr-defined]
    tasks = f"/proc/{server}/task/{server}/children"
    return [int(child) for child in Path(tasks).read_text("utf-8").split()]


def test_the_same_question_is_worked_out_once_and_none_for_nobody() -> None:
    workers = Workers(Settings(workers=0))
    seen: list[Job] = []

    async def worked(job: Job, slow: bool) -> Reply:
        seen.append(job)
        await asyncio.sleep(0.2)
        return Reply(status=200, media_type="text/plain", body=b"x")

    workers._worked = worked  # type: ignore[method-assign]
    job = Job(view="inference", form="json", values=QUICK)
    late = Job(view="inference", form="csv", values=QUICK)

    async def asked() -> None:
        replies = await asyncio.gather(*(workers.reply(job) for _ in range(5)))
        assert {reply.body for reply in replies} == {b"x"}
        assert seen == [job]
        left = asyncio.create_task(workers.reply(late))
        await asyncio.sleep(0.05)
        flight = workers._flights[late]
        left.cancel()
        await asyncio.sleep(0.05)
        assert flight.task.cancelled()
        assert workers._flights == {}

    asyncio.run(asked())


def test_what_is_kept_is_counted_once() -> None:
    workers = Workers(Settings(workers=0))
    job = Job(view="inference", form="json", values=QUICK)
    for _ in range(3):
        workers._keep(job, Reply(status=200, media_type="text/plain", body=b"x" * 1000))
    assert len(workers._kept) == 1
    assert 1000 < workers._kept_bytes < 5000
    workers._forget(job)
    assert workers._kept_bytes == 0


def test_a_reply_is_remembered_and_other_forms_are_asked_where_it_was_given() -> None:
    workers = Workers(Settings(workers=2))
    workers._processes = {False: [_Idle(), _Idle(), _Idle()]}  # type: ignore[list-item]
    page = Job(view="inference", form="part", values=QUICK)
    processes = workers._processes[False]
    processes[0].pending = 1
    home = workers._process(page, processes)
    assert home is processes[1]
    processes[1].pending = 1
    assert (
        workers._process(Job(view="inference", form="explain", values=QUICK, number="tpot_s"), processes)
        is home
    )
    # Too many wait there: it is worked out again elsewhere.
    processes[1].pending = 2
    assert workers._process(Job(view="inference", form="csv", values=QUICK), processes) is processes[2]


class _Idle:
    pending = 0
