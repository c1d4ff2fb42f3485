"""The columns against a run in plain Python, event by event, under the very same failures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from benchmarks.plain_faults import PlainRun
from tests.unit.simulate.faults.runs import GPU, RACK, SLOW, SOFTWARE, small_run

from farthing.simulate.faults.dynamics import KINDS, LOST, WAITING, goodputs, simulate
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.sample import changed
from farthing.simulate.faults.timeline import FAILURE, Timeline, timeline

WORK = 60_123.4
FOLLOWED = (dataclasses.replace(GPU, followed_share=0.3, follow_s=400.0), RACK, SOFTWARE)
MEMORY = {"memory_interval_s": 60.0}
CASES = {
    "plain": {},
    "few spares": {"spare_hosts": 2},
    "no spares, racks": {"spare_hosts": 0},
    "elastic": {"spare_hosts": 1, "elastic_replicas": 6},
    "maintenance": {"maintenance_per_day": 10.0, "maintenance_s": 500.0},
    "slow parts": {"stragglers": SLOW},
    "asynchronous": {"checkpointing": {"checkpoint_mode": "async"}, "interval": 40.0},
    "in memory": {"checkpointing": MEMORY, "causes": FOLLOWED},
    "in memory, asynchronous": {"checkpointing": {**MEMORY, "checkpoint_mode": "async"}, "causes": FOLLOWED},
    "all, waiting": {
        "checkpointing": {**MEMORY, "checkpoint_mode": "async"},
        "causes": FOLLOWED,
        "stragglers": SLOW,
        "spare_hosts": 3,
        "maintenance_per_day": 10.0,
        "maintenance_s": 500.0,
    },
    "all, elastic": {
        "checkpointing": {**MEMORY, "checkpoint_mode": "async"},
        "causes": FOLLOWED,
        "stragglers": SLOW,
        "spare_hosts": 1,
        "elastic_replicas": 6,
        "maintenance_per_day": 10.0,
        "maintenance_s": 500.0,
    },
}


@pytest.mark.parametrize("case", CASES)
def test_columns_equal_a_run_in_plain_python(case):
    fields = dict(CASES[case])
    interval = fields.pop("interval", 500.0)
    run = small_run(**fields)
    events = timeline(run, 1, 0, repairs=run.recovery.spare_hosts is not None).first(40)
    how = policy(run, interval)
    found = simulate(events, how, work_s=WORK)
    for row in range(events.runs):
        plain = PlainRun(how, work_s=WORK)
        columns = (events.time_s, events.kind, events.cause, events.detection_s)
        plain.play(zip(*(column[:, row].tolist() for column in columns), strict=True), run.duration_s)
        lost = [plain.lost.get(kind, 0.0) for kind in KINDS]
        assert found.lost_s[:, row] == pytest.approx(lost, abs=1e-5)
        assert found.done_s[row] == pytest.approx(plain.done, abs=1e-5)
        assert found.finish_s[row] == pytest.approx(plain.finish, abs=1e-5)
        assert found.planned[row] == plain.planned
    # The case is one in which that which it is about happens.
    assert found.lost_s[LOST].sum() > 0
    if run.recovery.spare_hosts is not None:
        assert found.lost_s[WAITING].sum() > 0


def one_run(*events, duration=10_000.0):
    """A timeline of one run: (time, cause) of each failure, noticed at once."""
    rows = [(time, FAILURE, cause, 0.0) for time, cause in events] + [(duration, 0, 0, 0.0)]
    time_s, kind, cause, detection = (np.array(column)[:, None] for column in zip(*rows, strict=True))
    return Timeline(
        time_s.astype(float), kind.astype(np.int8), cause.astype(np.int16), detection.astype(float), duration
    )


def test_one_failure_by_hand():
    """Work 500, checkpoint 30: at 1,200 two are written, 140 of work are lost; 215 later it goes on."""
    run = small_run(causes=(SOFTWARE,))
    found = simulate(one_run((1200.0, 0)), policy(run, 500.0))
    lost = dict(zip(KINDS, found.lost_s[:, 0], strict=True))
    assert lost["lost work"] == pytest.approx(1200 - 2 * 530)
    assert lost["restart"] == pytest.approx(200 + 15)
    # From 1,415 on: 16 whole rounds and 105 s of work.
    assert lost["checkpoints"] == pytest.approx(2 * 30 + 16 * 30)
    assert found.done_s[0] == pytest.approx(2 * 500 + 16 * 500 + (10_000 - 1415 - 16 * 530))


def test_a_failure_during_the_restart_begins_it_anew():
    run = small_run(causes=(SOFTWARE,))
    found = simulate(one_run((1200.0, 0), (1300.0, 0)), policy(run, 500.0))
    lost = dict(zip(KINDS, found.lost_s[:, 0], strict=True))
    assert lost["restart"] == pytest.approx(100 + 215)
    assert lost["lost work"] == pytest.approx(140)


def test_a_checkpoint_that_is_still_written_does_not_count():
    """Asynchronous: at 520 the first write (of 30 s, begun at 505) has not ended."""
    run = small_run(causes=(SOFTWARE,), checkpointing={"checkpoint_mode": "async"})
    late, early = (
        simulate(one_run((time, 0)), policy(run, 500.0)).lost_s[LOST, 0] for time in (520.0, 540.0)
    )
    assert late == pytest.approx(515)
    assert early == pytest.approx(35)


def test_memory_saves_what_storage_would_lose_unless_the_rack_goes():
    run = small_run(causes=(SOFTWARE, RACK), checkpointing={"memory_interval_s": 50.0})
    kept, wiped = (simulate(one_run((400.0, cause)), policy(run, 500.0)).lost_s[LOST, 0] for cause in (0, 1))
    assert kept == pytest.approx(400 - 7 * 51)
    assert wiped == pytest.approx(400 - 7)


def test_racks_need_many_spares_at_once():
    run = small_run(causes=(RACK,), spare_hosts=2)
    events = one_run((1000.0, 0), duration=5000.0)
    assert simulate(events, policy(run, 500.0)).lost_s[WAITING, 0] == pytest.approx(4000)
    enough = dataclasses.replace(run, recovery=dataclasses.replace(run.recovery, spare_hosts=3))
    assert simulate(events, policy(enough, 500.0)).lost_s[WAITING, 0] == 0


def test_losses_go_to_their_causes():
    run = small_run(causes=(SOFTWARE, RACK))
    found = simulate(one_run((1200.0, 1)), policy(run, 500.0))
    software, rack, slow, planned, regular = found.by_cause_s
    assert (software, slow, planned) == (0, 0, 0)
    assert rack == pytest.approx(140 + 215)
    assert regular == pytest.approx(18 * 30)


@pytest.mark.parametrize("memory", [{}, MEMORY], ids=["storage", "memory"])
def test_policies_side_by_side_are_those_one_by_one(memory):
    run = small_run(checkpointing=memory, stragglers=SLOW, spare_hosts=2, maintenance_per_day=5.0)
    events = timeline(run, 1, 0, repairs=True).first(25)
    policies = [
        policy(changed(run, spare_hosts=spares, restart_s=restart), interval)
        for spares, restart, interval in ((2, 200.0, 500.0), (0, 50.0, 100.0), (9, 900.0, 3000.0))
    ]
    for how, goodput in zip(policies, goodputs(events, policies), strict=True):
        assert goodput == pytest.approx(simulate(events, how).done_s / run.duration_s, abs=1e-12)
