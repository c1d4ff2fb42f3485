"""Records of a run under faults say what is wrong with them."""

import math

import pytest

from farthing.errors import InvalidInput
from farthing.records.fault_rates import FaultRates
from farthing.records.fault_run import (
    Checkpointing,
    FaultCause,
    FaultRun,
    Recovery,
    Stragglers,
)

CAUSE = {"name": "gpu", "strikes": "card", "fault_parts": 8, "part_mtbf_s": 100.0}
SAVED = {"stored_bytes": 1e12, "write_bytes_per_s": 1e10, "read_bytes_per_s": 2e10}


@pytest.mark.parametrize(
    ("record", "fields", "words"),
    [
        (FaultCause, {**CAUSE, "name": " "}, "needs a name"),
        (FaultCause, {**CAUSE, "strikes": "disk"}, "strikes must be one of card, host"),
        (FaultCause, {**CAUSE, "lifetime": "gauss"}, "lifetime must be one of"),
        (FaultCause, {**CAUSE, "fault_parts": 0}, "at least 1"),
        (FaultCause, {**CAUSE, "fault_parts": 8.0}, "whole number"),
        (FaultCause, {**CAUSE, "part_mtbf_s": 0}, "more than 0"),
        (FaultCause, {**CAUSE, "part_mtbf_s": math.inf}, "more than 0, not inf"),
        (FaultCause, {**CAUSE, "part_mtbf_s": True}, "must be a number"),
        (FaultCause, {**CAUSE, "shape": 0.01}, "at least 0.3"),
        (FaultCause, {**CAUSE, "followed_share": 1.0}, "at most 0.9"),
        (FaultCause, {**CAUSE, "lifetime": "bathtub"}, "walls"),
        (Stragglers, {"straggler_parts": 1, "straggler_mtbf_s": 0.0}, "more than 0"),
        (Stragglers, {"straggler_parts": 1, "straggler_mtbf_s": 1.0, "slowdown": 0.5}, "at least 1"),
        (Checkpointing, {**SAVED, "stored_bytes": 0.0}, "more than 0"),
        (Checkpointing, {**SAVED, "checkpoint_mode": "lazy"}, "one of sync, async"),
        (Checkpointing, {**SAVED, "interval_s": math.nan}, "not nan"),
        (Recovery, {"spare_hosts": -1}, "at least 0"),
        (Recovery, {"manual_share": 2.0}, "at most 1"),
        (Recovery, {"detection_spread": "gauss"}, "one of constant"),
        (FaultRates, {"failure_factor": 0.0}, "more than 0"),
        (FaultRates, {"hosts_per_rack": 0}, "at least 1"),
        (FaultRates, {"age_s": -1.0}, "at least 0"),
        (FaultRates, {"card_mtbf_s": -1.0}, "at least 0"),
    ],
)
def test_what_makes_no_sense_is_refused(record, fields, words):
    with pytest.raises(InvalidInput, match=words):
        record(**fields)


def run(**fields):
    usual = {
        "name": "run",
        "hosts": 4,
        "cards": 32,
        "duration_s": 100.0,
        "causes": (FaultCause(**CAUSE),),
        "checkpointing": Checkpointing(**SAVED),
        "recovery": Recovery(),
    }
    return FaultRun(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"causes": ()}, "nothing fails"),
        ({"causes": (FaultCause(**CAUSE), FaultCause(**CAUSE))}, "two causes are named 'gpu'"),
        ({"duration_s": 0.0}, "more than 0"),
        ({"recovery": Recovery(spare_hosts=0, elastic_replicas=5)}, "at most the 4 hosts"),
    ],
)
def test_runs_that_contradict_themselves_are_refused(fields, words):
    with pytest.raises(InvalidInput, match=words):
        run(**fields)


def test_times_of_checkpoints_follow_from_size_and_rates():
    saved = Checkpointing(**SAVED)
    assert (saved.write_s, saved.stall_s, saved.load_s) == (100.0, 100.0, 50.0)
    assert Checkpointing(**SAVED, checkpoint_mode="async", snapshot_s=3.0).stall_s == 3.0
