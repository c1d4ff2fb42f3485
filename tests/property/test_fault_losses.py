"""Whatever a run is like: goodput and losses are all of its time, and nothing is below zero."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farthing.records.fault_run import Checkpointing, FaultCause, FaultRun, Recovery, Stragglers
from farthing.simulate.faults.dynamics import simulate
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.timeline import timeline

DURATION_S = 20_000.0


@st.composite
def causes(draw: st.DrawFn) -> tuple[FaultCause, ...]:
    """One to three causes of all kinds."""
    found = []
    for place in range(draw(st.integers(1, 3))):
        lifetime = draw(st.sampled_from(("exponential", "weibull", "bathtub")))
        found.append(
            FaultCause(
                name=f"cause {place}",
                strikes=draw(st.sampled_from(("card", "host", "rack", "link", "job"))),
                fault_parts=draw(st.integers(1, 50)),
                part_mtbf_s=draw(st.floats(3e4, 1e7)),
                lifetime=lifetime,
                shape=draw(st.floats(0.5, 5)) if lifetime == "weibull" else 1.0,
                age_s=draw(st.floats(0, 1e5)),
                early_failures=draw(st.floats(0.01, 0.5)) if lifetime == "bathtub" else 0.0,
                wear_s=draw(st.floats(1e4, 1e6)) if lifetime == "bathtub" else 0.0,
                hosts_out=draw(st.integers(0, 4)),
                repair_s=draw(st.floats(0, 2e4)),
                memory_survives=draw(st.booleans()),
                followed_share=draw(st.sampled_from((0.0, 0.3))),
            )
        )
    return tuple(found)


@st.composite
def fault_runs(draw: st.DrawFn) -> FaultRun:
    """Runs with and without every feature."""
    spares = draw(st.none() | st.integers(0, 5))
    return FaultRun(
        name="any",
        hosts=16,
        cards=128,
        duration_s=DURATION_S,
        causes=draw(causes()),
        checkpointing=Checkpointing(
            stored_bytes=draw(st.floats(0.1, 500)),
            write_bytes_per_s=1.0,
            read_bytes_per_s=1.0,
            checkpoint_mode=draw(st.sampled_from(("sync", "async"))),
            snapshot_s=draw(st.floats(0, 20)),
            memory_interval_s=draw(st.sampled_from((0.0, 37.0))),
        ),
        recovery=Recovery(
            detection_s=draw(st.floats(0, 500)),
            detection_spread=draw(st.sampled_from(("constant", "exponential"))),
            restart_s=draw(st.floats(0, 1000)),
            spare_hosts=spares,
            elastic_replicas=0 if spares is None else draw(st.sampled_from((0, 4))),
            maintenance_per_day=draw(st.sampled_from((0.0, 10.0))),
            maintenance_s=draw(st.floats(0, 1000)),
        ),
        stragglers=draw(
            st.none()
            | st.builds(
                Stragglers,
                straggler_parts=st.just(3),
                straggler_mtbf_s=st.floats(1e4, 1e6),
                slowdown=st.floats(1, 5),
                notice_s=st.floats(10, 5000),
            )
        ),
    )


@settings(max_examples=60)
@given(run=fault_runs(), interval_s=st.floats(20, 30_000), seed=st.integers(0, 1000))
def test_goodput_and_losses_are_all_the_time(run: FaultRun, interval_s: float, seed: int) -> None:
    events = timeline(run, seed, 0, repairs=run.recovery.spare_hosts is not None).first(16)
    found = simulate(events, policy(run, interval_s))
    assert found.done_s + found.lost_s.sum(axis=0) == pytest.approx(DURATION_S, abs=1e-5)
    assert found.by_cause_s.sum() == pytest.approx(found.lost_s.sum(), abs=1e-4)
    assert (found.done_s >= -1e-6).all()
    assert (found.lost_s >= -1e-6).all()
    assert (found.by_cause_s >= -1e-5).all()
    assert (found.done_s <= DURATION_S + 1e-6).all()


@settings(max_examples=25)
@given(run=fault_runs(), interval_s=st.floats(20, 30_000), share=st.floats(0.05, 0.95))
def test_work_that_is_done_in_the_end_was_finished_on_the_way(
    run: FaultRun, interval_s: float, share: float
) -> None:
    events = timeline(run, 1, 0, repairs=run.recovery.spare_hosts is not None).first(16)
    how = policy(run, interval_s)
    done = simulate(events, how).done_s
    work_s = share * float(done.max()) + 1e-3
    found = simulate(events, how, work_s=work_s)
    reached = done >= work_s
    assert (found.finish_s[reached] <= DURATION_S + 1e-6).all()
    assert (found.finish_s >= work_s - 1e-6).all()
