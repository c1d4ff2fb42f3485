"""Answers come from processes that end when they take too long, and are found again where they were given."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from farthing.web.answers import Job
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
