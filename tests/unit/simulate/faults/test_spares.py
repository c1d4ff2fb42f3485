"""Spare hosts: peaks counted as by hand, and goodput that rises with them."""

import pytest
from tests.unit.simulate.faults.runs import SOFTWARE, small_run

from farthing.simulate.faults.dynamics import WAITING, simulate
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.sample import changed
from farthing.simulate.faults.spares import peak_out, spare_need
from farthing.simulate.faults.timeline import timeline


def events_of(run, runs=128):
    return timeline(run, 3, 0, repairs=True).first(runs)


def test_peaks_are_counted_as_by_hand():
    run = small_run()
    events = events_of(run, 20)
    peaks = peak_out(run, events)
    for row in range(events.runs):
        out, most = 0, 0
        for kind, cause in zip(events.kind[:, row], events.cause[:, row], strict=True):
            hosts = run.causes[cause].hosts_out if cause < len(run.causes) else 0
            out += {1: hosts, 2: hosts, 6: -hosts}.get(int(kind), 0)
            most = max(most, out)
        assert peaks[row] == most


def test_so_many_spares_as_the_peak_avoid_all_waiting():
    run = small_run()
    events = events_of(run, 64)
    peaks = peak_out(run, events)
    most = int(peaks.max())
    waits = {
        spares: simulate(events, policy(changed(run, spare_hosts=spares), 500.0)).lost_s[WAITING]
        for spares in (most - 1, most)
    }
    assert waits[most] == pytest.approx(0, abs=1e-6)
    assert (waits[most - 1] > 1).any()
    found = spare_need(run, events, 500.0)
    goodput = [one.goodput for one in found.curve]
    assert goodput == sorted(goodput)
    assert found.curve[-1].amount == most
    assert 0 < found.poisson_spares <= most


def test_nobody_needs_spares_where_no_host_goes():
    run = small_run(causes=(SOFTWARE,))
    assert spare_need(run, events_of(run), 500.0) is None
