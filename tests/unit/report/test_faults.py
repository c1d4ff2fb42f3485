"""Report and charts of a run under faults say true things, also of odd runs."""

import dataclasses

import pytest
from rich.console import Console

from farthing import api
from farthing.records.fault_run import FaultCause
from farthing.report.charts import terminal_chart
from farthing.report.fault_charts import fault_charts
from farthing.report.faults import faults_report

DAY = 86_400.0


def asked(**question):
    return api.simulate_faults(
        "article-2048", **{"runs": 12, "duration_s": DAY, "usd_per_accelerator_hour": 1.0, **question}
    )


@pytest.fixture(scope="module")
def found():
    return asked()


def printed(result, width=100):
    console = Console(width=width, color_system=None, highlight=False, emoji=False)
    with console.capture() as capture:
        console.print(faults_report(result))
    return " ".join(capture.get().split())


def test_shares_and_money_are_those_of_the_result(found):
    text = printed(found)
    assert f"lasting progress {found.goodput.mean:.2%}" in text
    assert f"{found.failures.mean:,.1f} unplanned" in text
    assert "$49,152" in text  # 24 h of 2,048 cards
    # Losses of nothing have no line.
    assert "waiting for spares" not in text
    assert "slow parts" not in text


def test_without_a_price_there_is_no_money():
    assert "$" not in printed(asked(usd_per_accelerator_hour=0.0)).split("Assumed")[0]


def test_the_formula_says_what_it_leaves_out(found):
    assert "exact for long runs of this kind" in printed(found)
    odd = {
        "spare_hosts": 90,
        "straggler_mtbf_s": 2000 * DAY,
        "maintenance_per_day": 2.0,
        "checkpoint_mode": "async",
        "detection_spread": "exponential",
        "followed_share": 0.1,
        "lifetime": "weibull",
        "shape": 0.9,
    }
    told = (
        "it leaves out the age of parts, failures that follow others, asynchronous writes, lacking spares, "
        "slow parts, planned stops and recoveries that differ"
    )
    assert told in printed(asked(**odd))
    text = printed(asked(**odd, memory_interval_s=30.0))
    for words in (
        "90 spare hosts, the job waits",
        "in the memory of other hosts",
        "is written",
        "planned stops",
    ):
        assert words in text


def test_runs_that_nothing_happens_to():
    never = FaultCause(name="never", strikes="job", fault_parts=1, part_mtbf_s=1e12)
    result = asked(causes=(never,))
    text = printed(result)
    assert "none unplanned in any run" in text
    assert "Spare hosts" not in text
    assert {chart.title for chart in fault_charts(result)} == {
        "Goodput of the simulated runs",
        "Goodput over the checkpoint interval",
        "Time lost, by cause",
    }


def test_runs_that_never_end():
    text = printed(asked(spare_hosts=0))
    assert "had not finished when the simulation gave up" in text


def test_one_run_has_no_spread():
    text = printed(asked(runs=1))
    assert "nine runs of ten" not in text
    assert "standard error" not in text.split("How often")[0]
    assert "inf" not in text


def test_charts_hold_what_was_found(found):
    histogram, intervals, losses, spares = fault_charts(found)
    assert sum(point.y for point in histogram.series[0].points) == pytest.approx(100)
    assert len(intervals.series[0].points) == len(found.interval.intervals)
    assert [one.name for one in intervals.series[1:]] == ["best found", "Young's formula", "Daly's formula"]
    lost = sum(point.x for point in losses.series[0].points)
    assert lost == pytest.approx(100 * (1 - found.goodput.mean))
    assert [point.x for point in spares.series[0].points] == [one.amount for one in found.spares.curve]


def test_charts_can_be_drawn(found):
    console = Console(width=90, color_system=None)
    with console.capture() as capture:
        for chart in fault_charts(found):
            console.print(terminal_chart(chart))
    assert "nothing to draw" not in capture.get()


def test_an_interval_that_costs_nothing_has_no_formula():
    result = asked(checkpoint_mode="async", snapshot_s=0.0)
    assert "Young" not in printed(result)
    assert len(fault_charts(result)[1].series) == 2


def test_many_causes_are_summed_up():
    result = api.simulate_faults("llama-3-405b", runs=12, duration_s=5 * DAY)
    text = printed(result)
    rest = [one for one in result.by_cause if one.share >= 5e-5 or one.events >= 0.05][12:]
    assert f"{len(rest)} more causes {sum(one.events for one in rest):,.1f}" in text
    assert dataclasses.replace(result, published="") != result


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, True),
        ({"checkpoint_mode": "async", "memory_interval_s": 60.0}, False),
        ({"duration_s": 600.0}, False),
    ],
)
def test_dalys_formula_is_shown_where_it_knows_the_run(options, shown):
    result = api.simulate_faults("llama-3-405b", **({"runs": 20, "duration_s": 2e5} | options))
    facts = printed(result).split("Where the time goes")[0]
    assert ("Daly's formula" in facts) == shown
