"""The view of faults: its forms agree, its fields are the command's, and what is wrong is said."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.web.questions import (
    check_options,
    complaint,
    evaluated,
    numbers,
    page,
    record,
    reply,
    shown,
    table,
    typed,
)

from farthing.cli.simulate_faults import faults
from farthing.web.views.faults import VIEW

SMALL: dict[str, Any] = {"preset": "article-2048", "runs": "16", "duration_s": "2d"}

OWN: dict[str, Any] = {
    "model": "llama-2-7b",
    "cluster": "16x8:h100-sxm@ib-ndr",
    "runs": 20,
    "duration_s": "3d",
    "card_mtbf_s": "30d",
}


def test_every_option_is_asked_for() -> None:
    check_options(VIEW, faults)


@pytest.mark.parametrize(
    "values",
    [
        SMALL | {"work_s": "1.5d", "seed": 7, "restart_s": "0", "lifetime": "weibull", "shape": "0.7"},
        OWN | {"spare_hosts": "0", "repair_s": "6h", "write_bytes_per_s": "1.5TB/s", "interval_s": "10min"},
        OWN | {"stored_bytes": "500 GB", "checkpoint_mode": "async", "usd_per_accelerator_hour": 0},
    ],
)
def test_the_command_says_the_same(values: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert typed("faults", capsys, **values) == record("faults", **values)


def test_python_says_the_same() -> None:
    values = SMALL | {"host_bytes_per_s": "3GB/s", "detection_spread": "constant"}
    assert evaluated("faults", **values) == record("faults", **values)


def test_the_page_has_the_numbers() -> None:
    text, wanted = page("faults", **SMALL), record("faults", **SMALL)
    told = shown(text)
    assert {wanted["goodput"]["mean"], wanted["failures"]["mean"], wanted["finish_s"]["p50"]} <= told
    assert {wanted["interval"]["best_interval_s"], wanted["spares"]["poisson_spares"]} <= told
    assert told - numbers(wanted) == {sum(one["lost_usd"] for one in wanted["kinds"])}
    for words in ("Young", "By cause", "If it were otherwise", "regular checkpoints"):
        assert words in text
    assert text.count("data-chart") == 4
    assert "style=" not in text


def test_a_run_where_nothing_fails() -> None:
    quiet = {f"{part}_mtbf_s": 1e12 for part in ("card", "host", "link", "job")}
    values = OWN | quiet | {"usd_per_accelerator_hour": 0}
    text = page("faults", **values)
    assert "none unplanned in any run" in text
    assert "the price of a card is unknown" in text
    assert "mtbf_seen_s" not in {row["name"] for row in table("faults", **values)}
    for number in ("goodput", "failures", "lost"):
        assert reply("faults", "explain", number, **values).status == 200


def test_work_that_is_never_done() -> None:
    text = page("faults", **OWN, job_mtbf_s="2min")
    assert ">never<" in text
    assert reply("faults", "explain", "finish_s", **OWN, job_mtbf_s="2min").status == 200


def test_the_table_has_the_numbers() -> None:
    rows = {row["name"]: row for row in table("faults", **SMALL)}
    wanted = record("faults", **SMALL)
    assert float(rows["goodput"]["p95"]) == wanted["goodput"]["p95"]
    assert float(rows["daly_s"]["value"]) == wanted["interval"]["daly_s"]
    for one in wanted["kinds"]:
        assert float(rows[f"lost: {one['name']}"]["value"]) == one["lost_s"]


@pytest.mark.parametrize(
    ("number", "words"),
    [
        ("goodput", "lost: restart"),
        ("finish_s", "ideal training time"),
        ("failures", "life of a part / parts"),
        ("lost", "money lost"),
        ("interval", "sqrt(2 × checkpoint × MTBF)"),
        ("spares", "Poisson"),
    ],
)
def test_numbers_are_explained(number: str, words: str) -> None:
    found = reply("faults", "explain", number, **SMALL)
    assert found.status == 200
    assert words in found.body.decode()


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        ({"preset": "llama-9"}, 422, "article-2048"),
        ({"preset": ""}, 422, "preset"),
        ({"model": "lama-2-7b"}, 404, "llama-2-7b"),
        ({"cluster": "1x8:nothing"}, 404, "nothing"),
        ({"runs": "0"}, 422, "1 to 5,000"),
        ({"runs": "5001"}, 422, "1 to 5,000"),
        ({"runs": "nan"}, 422, "whole number"),
        ({"seed": "-1"}, 422, "seed"),
        ({"duration_s": "0"}, 422, "above 0"),
        ({"duration_s": "-3d"}, 422, "duration"),
        ({"duration_s": "40000d"}, 422, "at most 36500d"),
        ({"restart_s": "-1s"}, 422, "duration"),
        ({"restart_s": "NaN"}, 422, "duration"),
        ({"restart_s": float("nan")}, 422, "0 or more"),
        ({"runs": "5000", "duration_s": "1000d"}, 422, "fewer or shorter"),
        ({"card_mtbf_s": "0"}, 422, "above 0"),
        ({"card_mtbf_s": "1s", "duration_s": "3000d"}, 422, "interruptions"),
        ({"failure_factor": "0"}, 422, "more than 0"),
        ({"shape": "0.1", "lifetime": "weibull"}, 422, "0.3 to 20"),
        ({"shape": "0.7"}, 422, "weibull"),
        ({"lifetime": "bathtub"}, 422, "early_failures"),
        ({"lifetime": "long"}, 422, "exponential, weibull, bathtub"),
        ({"stored_bytes": "-1TB"}, 422, "5.7TB"),
        ({"write_bytes_per_s": "fast"}, 422, "2TB/s"),
        ({"write_bytes_per_s": "1e99"}, 422, "2TB/s"),
        ({"elastic_replicas": "0"}, 422, "elastic_replicas"),
        ({"slowdown": "0.5"}, 422, "1 to 1,000"),
        ({"nonsense": "1"}, 422, "unknown field"),
    ],
)
def test_what_is_wrong_is_said(values: dict[str, Any], status: int, words: str) -> None:
    code, message = complaint("faults", **SMALL | values)
    assert (code, words in message) == (status, True), message
