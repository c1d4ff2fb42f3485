"""Runs with one figure changed."""

from tests.unit.simulate.faults.runs import small_run

from farthing.simulate.faults.alternatives import alternatives
from farthing.simulate.faults.timeline import timeline

MTBF = 2600.0


def events_of(run, runs=128):
    return timeline(run, 3, 0, repairs=True).first(runs)


def test_alternatives_go_the_right_way():
    run = small_run(manual_share=0.1, manual_s=1000.0)
    rows = {one.what: one for one in alternatives(run, events_of(run), 3, MTBF, 500.0)}
    better = [
        "detection takes half the time, 50.0 s",
        "a restart takes half the time, 100 s",
        "parts fail half as often",
        "storage is twice as fast, 2.00 B/s",
        "no failure needs a person",
    ]
    worse = [
        "detection takes twice the time, 200 s",
        "a restart takes twice the time, 400 s",
        "parts fail twice as often",
        "storage is half as fast, 0.5 B/s",
    ]
    assert set(rows) == {*better, *worse}
    assert all(rows[name].goodput_gain > 2 * rows[name].gain_error for name in better)
    assert all(rows[name].goodput_gain < -2 * rows[name].gain_error for name in worse)


def test_an_alternative_that_fails_too_often_is_left_out(monkeypatch):
    run = small_run()
    monkeypatch.setattr("farthing.simulate.faults.alternatives.MOST_EVENTS", 80)
    words = [one.what for one in alternatives(run, events_of(run, 8), 3, MTBF, 500.0)]
    assert "parts fail half as often" in words
    assert "parts fail twice as often" not in words
