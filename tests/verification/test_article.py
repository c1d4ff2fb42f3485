"""The article's numbers: every one comes out, and out of the function that its row names."""

from __future__ import annotations

import copy
import csv
import importlib
import math
from pathlib import Path
from typing import Any

import pytest

from farthing.article import Reading, article_data, check, rows

EXPECTED = {
    row["id"]: row
    for row in csv.DictReader(
        (Path(__file__).parent / "article_expected.csv").read_text("utf-8").splitlines()
    )
}
ROWS = {row.id: row for row in rows()}
DATA = check(article_data())
PRODUCT = "farthing.predict.arithmetic.product"

# Inputs that do not count in the article: the other side of a roofline, or a factor beside a 0.
IDLE = {
    ("dp-compute-s", "traffic_bytes.parameters"),  # bound by compute
    ("dp-compute-s", "memory_bytes_per_s"),
    ("dp-comm2-s", "ranks"),  # a tree's volume does not depend on them, and its steps take no time
    ("pp-stage-s", "work_flop.parameters.dividend"),  # bound by memory
    ("pp-stage-s", "work_flop.parameters.divisor"),
    ("pp-stage-s", "work_flop.tokens"),
    ("pp-stage-s", "peak_flop_per_s"),
    ("pp-token-s", "slowest_s"),  # one micro-batch keeps no stage busy
    ("pp-token-s", "micro_batches"),
    ("pp-compute-1024", "traffic_bytes.parameters"),  # bound by compute
    ("pp-compute-1024", "traffic_bytes.bytes_per_parameter"),
    ("pp-compute-1024", "traffic_bytes.shards"),
    ("pp-compute-1024", "memory_bytes_per_s"),
    ("tp-lat-s", "factors.1.bytes_per_s"),  # the 30 us are the article's, message and all
    ("h100-comp-s", "work_flop.parameters.divisor"),  # a little below the balance
    ("h100-comp-s", "peak_flop_per_s"),
    ("ovl-h100", "divisor.parts.1.compute_s"),  # all communication is hidden
    ("ovl-h100", "divisor.parts.1.overlap"),
    ("diy-hyb-s", "parts.1.factors.1.bytes_per_s"),  # the 8 ms are the article's, message and all
    ("cluster-kw", "dividend.accelerator_power_w"),  # the whole server is given as one draw
    ("cluster-kw", "dividend.accelerators"),
}


def leaves(inputs: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to all numbers and references of a call's inputs."""
    if isinstance(inputs, dict):
        inner = inputs.get("inputs", {}) if "function" in inputs else inputs
        return [leaf for key, item in inner.items() for leaf in leaves(item, (*path, key))]
    if isinstance(inputs, list):
        return [leaf for number, item in enumerate(inputs) for leaf in leaves(item, (*path, number))]
    is_reference = isinstance(inputs, str) and inputs[:1] in "@$"
    return [path] if is_reference or isinstance(inputs, (int, float)) else []


LEAVES = [(key, path) for key, row in DATA.items() for path in leaves(row.get("inputs", {}))]


def test_all_rows_are_there() -> None:
    assert len(EXPECTED) == 102
    assert set(ROWS) == set(EXPECTED)


@pytest.mark.parametrize("key", EXPECTED)
def test_recomputed_within_one_per_cent(key: str) -> None:
    row, wanted = ROWS[key], EXPECTED[key]
    assert row.recomputed == pytest.approx(float(wanted["expected"]), rel=0.01)
    assert (row.section, row.unit) == (wanted["section"], wanted["unit"])
    assert row.printed == (float(wanted["printed"]) if wanted["printed"] else None)


@pytest.mark.parametrize("key", EXPECTED)
def test_realistic_is_a_positive_number(key: str) -> None:
    realistic = ROWS[key].realistic
    assert realistic is not None
    assert math.isfinite(realistic)
    assert realistic > 0


@pytest.mark.parametrize("key", EXPECTED)
def test_a_slip_has_a_note(key: str) -> None:
    row = ROWS[key]
    if row.printed is not None and abs(row.recomputed / row.printed - 1) > 0.05:
        assert row.note


@pytest.mark.parametrize("key", EXPECTED)
def test_value_is_what_the_named_function_returns(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    module, _, name = DATA[key]["function"].rpartition(".")
    assert module.startswith("farthing.predict.")
    monkeypatch.setattr(importlib.import_module(module), name, lambda **inputs: 12345.0)
    assert Reading(article_data()).value(key) == 12345.0


@pytest.mark.parametrize(("key", "path"), LEAVES, ids=[f"{k}:{'.'.join(map(str, p))}" for k, p in LEAVES])
def test_every_input_moves_the_result(key: str, path: tuple[Any, ...]) -> None:
    data = copy.deepcopy(dict(article_data()))
    where = check(data)[key]["inputs"]
    for step in path[:-1]:
        where = where[step]
        where = where["inputs"] if isinstance(where, dict) and "function" in where else where
    item = where[path[-1]]
    probe = copy.deepcopy(data)
    probe["row"].append(
        {"id": "probe", "section": "train", "what": "", "unit": "1", "function": PRODUCT}
        | {"inputs": {"factors": [item, 1]}}
    )
    was = float(Reading(probe).value("probe"))
    where[path[-1]] = was * 3 or 3e10
    before, after = ROWS[key].recomputed, float(Reading(data).value(key))
    if (key, ".".join(map(str, path))) in IDLE:
        assert after == before
    else:
        assert after != pytest.approx(before, rel=1e-6)


def test_idle_inputs_exist() -> None:
    assert {(key, ".".join(map(str, path))) for key, path in LEAVES} >= IDLE


@pytest.mark.parametrize(("key", "optimizer"), [("adam-bytes", "sgd"), ("sgd-bytes", "adam")])
def test_optimizer_moves_its_bytes(key: str, optimizer: str) -> None:
    data = copy.deepcopy(dict(article_data()))
    check(data)[key]["inputs"]["optimizer"] = optimizer
    assert Reading(data).value(key) != ROWS[key].recomputed


@pytest.mark.parametrize(
    ("assumption", "field", "moved"),
    [
        ("model", "kv_heads", {"kv-batch8", "kv-per-prompt", "kv-flops", "kv-reads"}),
        ("h100", "flop_per_s", {"tp-max-h100", "balance-h100"}),
        (
            "rtx4090",
            "link_bytes_per_s",
            {"dp-comm-s", "tp-max-4090", "pp-xfer-330-s", "tp-330-s", "ovl-4090"},
        ),
    ],
)
def test_an_assumption_reaches_the_rows_that_rest_on_it(assumption: str, field: str, moved: set[str]) -> None:
    data = copy.deepcopy(dict(article_data()))
    data["article"][assumption][field] /= 2
    reading = Reading(data)
    differ = {key for key in ROWS if float(reading.value(key)) != pytest.approx(ROWS[key].recomputed)}
    assert moved <= differ
    assert "mem-params" not in differ


def test_realistic_follows_the_catalogue() -> None:
    assert ROWS["kv-batch8"].recomputed / ROWS["kv-batch8"].realistic == pytest.approx(8)
    assert ROWS["balance-h100"].realistic < 300
    assert ROWS["tp-max-h100"].realistic > 8
    assert ROWS["mem-params"].realistic == pytest.approx(2 * 68_976_648_192)


@pytest.mark.parametrize(
    ("key", "floor"),
    [
        # Weights of the largest stage or shard at the printed bandwidth, or work at the dense peak.
        ("pp-token-s", 2 * 68.7e9 / 1.008e12),
        ("tp-token-s", 2 * 68.7e9 / 8 / 1.008e12),
        ("h100-token-s", 2 * 68.7e9 * 590 / 8 / 989.4e12),
        ("tp-330-s", 2 * 68.7e9 * 330 / 8 / 165.2e12),
    ],
)
def test_realistic_latency_keeps_above_the_roofline(key: str, floor: float) -> None:
    assert ROWS[key].realistic > floor
