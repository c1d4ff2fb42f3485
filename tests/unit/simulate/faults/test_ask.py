"""The answer as a whole: consistent with itself, repeatable, and of the shape that its record says."""

import dataclasses
import math

import numpy as np
import pytest
from tests.unit.simulate.faults.runs import SOFTWARE, small_run

from farthing import api
from farthing.errors import InvalidInput
from farthing.records.fault_run import FaultCause
from farthing.simulate.faults.ask import answered, formula_applies, simulate_faults


@pytest.fixture(scope="module")
def found():
    return answered(small_run(spare_hosts=3), 150, 1)


def test_losses_and_goodput_are_all_the_time(found):
    for losses in (found.kinds, found.by_cause):
        assert sum(one.share for one in losses) + found.goodput.mean == pytest.approx(1)
    for one in found.kinds:
        assert one.lost_s == pytest.approx(one.share * found.run.duration_s)
        assert one.lost_card_s == pytest.approx(one.lost_s * found.run.cards)


def test_events_by_cause_are_the_interruptions(found):
    assert sum(one.events for one in found.by_cause) == pytest.approx(found.failures.mean)
    assert found.mtbf_seen_s == pytest.approx(found.run.duration_s / found.failures.mean)


def test_the_histogram_holds_every_run(found):
    assert sum(found.histogram_runs) == found.runs
    assert len(found.histogram_edges) == len(found.histogram_runs) + 1
    assert list(found.histogram_edges) == sorted(found.histogram_edges)


def test_work_as_long_as_the_run_takes_longer(found):
    assert found.work_s == found.run.duration_s
    assert found.finish_s.p5 > found.work_s
    assert found.finish_s.p50 == pytest.approx(found.work_s / found.goodput.p50, rel=0.2)


def test_the_same_question_has_the_same_answer(found):
    assert answered(small_run(spare_hosts=3), 150, 1) == found


def test_money_follows_the_price():
    run = dataclasses.replace(small_run(), cards_usd_per_s=2.0)
    for one in answered(run, 20, 0).kinds:
        assert one.lost_usd == pytest.approx(2 * one.lost_s)


def test_one_run_has_no_spread():
    one = answered(small_run(), 1, 0)
    assert one.goodput.standard_error == math.inf
    assert one.goodput.p5 == one.goodput.p95


def test_nothing_may_fail_at_all():
    never = FaultCause(name="never", strikes="job", fault_parts=1, part_mtbf_s=1e12)
    one = answered(small_run(causes=(never,)), 20, 0)
    assert one.failures.mean == 0
    assert one.mtbf_seen_s == math.inf
    assert one.goodput.mean == pytest.approx(1, abs=1e-3)
    assert one.spares is None
    assert one.finish_s.p50 == pytest.approx(one.work_s, rel=1e-3)


def test_progress_ends_with_all():
    seen = []
    answered(small_run(), 40, 0, progress=lambda done, total: seen.append((done, total)))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert seen[-1][0] == seen[-1][1]


@pytest.mark.parametrize(
    ("fields", "applies"),
    [
        ({}, True),
        ({"detection_spread": "exponential"}, False),
        ({"spare_hosts": 3}, False),
        ({"maintenance_per_day": 1.0}, False),
        ({"manual_share": 0.1}, False),
        ({"checkpointing": {"checkpoint_mode": "async"}}, False),
        ({"checkpointing": {"memory_interval_s": 60.0}}, False),
        ({"causes": (dataclasses.replace(SOFTWARE, followed_share=0.1),)}, False),
    ],
)
def test_the_formula_applies_to_what_it_was_made_for(fields, applies):
    fields = {"causes": (SOFTWARE,), "detection_spread": "constant", **fields}
    assert formula_applies(small_run(**fields)) is applies


def test_presets_come_with_what_was_published():
    one = api.simulate_faults("article-2048", runs=np.int64(16), duration_s=86_400)
    assert "half of the time is lost" in one.published
    assert (one.runs, one.published_goodput, one.run.duration_s) == (16, 0.0, 86_400)


@pytest.mark.parametrize(
    "question",
    [
        {"runs": 0},
        {"runs": 1.5},
        {"runs": 10**9},
        {"seed": -1},
        {"work_s": -1.0},
        {"duration_s": math.nan},
        {"causes": ("gpu",)},
    ],
)
def test_bad_questions_are_refused(question):
    with pytest.raises(InvalidInput):
        simulate_faults("article-2048", **question)
