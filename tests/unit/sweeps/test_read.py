"""Descriptions of sweeps: what they mean, and that nothing odd in them passes."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest

import farthing
from farthing import api
from farthing.errors import InvalidInput, UnknownName
from farthing.sweeps import read
from farthing.sweeps.grid import Question

SERVING = {"task": "inference", "models": ["llama-2-7b"], "clusters": ["rtx-4090"]}
TRAINING = {"task": "training", "models": ["llama-2-7b"], "clusters": ["1x8:a100-sxm-80gb"]}

FILE = """
task = "inference"
models = ["llama-3.3-70b", "qwen3-32b"]
clusters = ["1x8:h100-sxm", "1x8:rtx-4090"]
[workload]
batch_size = [1, 8, 64]
prompt_tokens = 1024
[plan]
weight_format = ["bf16", "fp8"]
[cost]
usd_per_kwh = [0.08, 0.30]
"""


def questions(grid: Any) -> list[Question]:
    return [grid[place] for place in range(len(grid))]


def test_a_file(tmp_path: Path) -> None:
    file = tmp_path / "grid.toml"
    file.write_text(FILE, "utf-8")
    grid = api.read_sweep(file)
    assert grid.sizes == {
        "models": 2,
        "clusters": 2,
        "workloads": 3,
        "plans": 2,
        "costs": 2,
        "searches": 1,
    }
    asked = questions(grid)
    assert len(asked) == len(grid) == 48
    assert [question.number for question in asked] == list(range(1, 49))
    first, second, last = asked[0], asked[1], asked[-1]
    assert (first.model, first.cluster) == ("llama-3.3-70b", "1x8:h100-sxm")
    assert first.workload == {"batch_size": 1, "prompt_tokens": 1024}
    assert (first.plan, first.cost, first.search) == ({"weight_format": "bf16"}, {"usd_per_kwh": 0.08}, None)
    assert second.cost == {"usd_per_kwh": 0.3}, "the last axis changes fastest"
    assert (last.model, last.workload["batch_size"]) == ("qwen3-32b", 64)
    assert len({repr(question) for question in asked}) == 48


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(FILE))
    assert len(api.read_sweep("-")) == 48


def test_single_values_are_axes_of_one() -> None:
    grid = api.read_sweep({**SERVING, "models": "llama-2-7b", "plan": {"tp": 1}})
    assert len(grid) == 1


def test_alternatives_are_asked_in_turn() -> None:
    plans = [{"tp": [1, 2], "pp": 2}, {"dp": 4}]
    grid = api.read_sweep({**SERVING, "plan": plans, "cost": {"years": [3, 4.5]}})
    assert [(question.plan, question.cost["years"]) for question in questions(grid)] == [
        ({"tp": 1, "pp": 2}, 3.0),
        ({"tp": 1, "pp": 2}, 4.5),
        ({"tp": 2, "pp": 2}, 3.0),
        ({"tp": 2, "pp": 2}, 4.5),
        ({"dp": 4}, 3.0),
        ({"dp": 4}, 4.5),
    ]


@pytest.mark.parametrize(
    ("given", "axis"),
    [
        ([10, 12, 10], [(10, 12, 10)]),
        ([[10, 22], [16, 16]], [(10, 22), (16, 16)]),
        ([[], [16, 16]], [(), (16, 16)]),
    ],
)
def test_a_field_that_is_a_list_takes_lists_as_its_axis(given: Any, axis: list[Any]) -> None:
    grid = api.read_sweep({**SERVING, "plan": {"stage_layers": given}})
    assert [question.plan["stage_layers"] for question in questions(grid)] == axis


def test_ranges_are_axes() -> None:
    assert len(api.read_sweep({**SERVING, "workload": {"batch_size": range(1, 9)}})) == 8


def test_models_and_clusters_of_files(tmp_path: Path) -> None:
    model, cluster = tmp_path / "mine.toml", tmp_path / "rig.toml"
    model.write_text("layers = 2\nhidden = 64\nheads = 4\nffn_hidden = 256\nvocab = 1000\n")
    cluster.write_text('[[group]]\naccelerator = "rtx-4090"\n')
    given = {**SERVING, "models": [str(model)], "clusters": [str(cluster)]}
    before = api.read_sweep(given)
    assert before[0].model == str(model)
    assert before.models[str(model)].layers == 2
    assert before.fingerprint == api.read_sweep(given).fingerprint
    model.write_text("layers = 3\nhidden = 64\nheads = 4\nffn_hidden = 256\nvocab = 1000\n")
    assert before.fingerprint != api.read_sweep(given).fingerprint, "what a name stands for counts"


def test_the_fingerprint_tells_sweeps_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    def fingerprint(**changes: Any) -> str:
        return api.read_sweep({**SERVING, **changes}).fingerprint

    assert fingerprint() == fingerprint()
    changed = [
        fingerprint(),
        fingerprint(models=["llama-2-13b"]),
        fingerprint(clusters=["rtx-3090"]),
        fingerprint(workload={"batch_size": 2}),
        fingerprint(plan={"tp": 1}),
        fingerprint(cost={"years": 4}),
        fingerprint(search={"objective": "tpot"}),
    ]
    monkeypatch.setattr("farthing.api.own_constants", lambda: ("other",))
    changed.append(fingerprint())
    monkeypatch.setattr("farthing.api.own_prices", lambda: ("other",))
    changed.append(fingerprint())
    monkeypatch.setattr("farthing.sweeps.grid.__version__", "99")
    changed.append(fingerprint())
    assert len(set(changed)) == len(changed)


WRONG = [
    ({"task": None}, 'write task = "inference"'),
    ({"task": "serving"}, "task is 'serving'"),
    ({"task": ["inference"]}, "write task ="),
    ({"modles": ["llama-2-7b"]}, "did you mean models"),
    ({"models": []}, "models is empty"),
    ({"models": None}, "models must be texts"),
    ({"models": [3]}, "models must be texts"),
    ({"models": ["llama-2-7b", "llama-2-7b"]}, "has 'llama-2-7b' twice"),
    ({"models": ["llama-2-7b", "LLaMA-2-7B"]}, "which are one"),
    ({"models": ["llama-2-7"]}, "did you mean llama-2-7b"),
    ({"models": ["-"]}, "standard input"),
    ({"models": ["gone.toml"]}, "cannot read gone.toml"),
    ({"clusters": ["rtx-4091"]}, "did you mean rtx-4090"),
    ({"clusters": ["0x8:rtx-4090"]}, "hosts must be 1 to"),
    ({"clusters": {"a": 1}}, "clusters must be texts"),
    ({"workload": 3}, "write [workload]"),
    ({"workload": []}, "workload is empty"),
    ({"workload": [{"batch_size": 1}, {"batch_size": [1]}]}, "two [[workload]] are the same"),
    ({"workload": {"batchsize": 1}}, "did you mean batch_size"),
    ({"workload": {"zzz": 1}}, "known keys: batch_size"),
    ({"workload": {"tp": 1}}, "write tp under [plan]"),
    ({"plan": {"usd_per_kwh": 1}}, "write usd_per_kwh under [cost]"),
    ({"workload": {"sequence_tokens": 1}}, "sequence_tokens goes with training alone"),
    ({"workload": {"batch_size": []}}, "[workload] batch_size is empty"),
    ({"workload": {"batch_size": [1, 1]}}, "batch_size has 1 twice"),
    ({"workload": {"batch_size": 0}}, "[workload] batch_size must be at least 1"),
    ({"workload": {"batch_size": [1, -2]}}, "at least 1, not -2"),
    ({"workload": {"batch_size": 2.5}}, "must be a whole number"),
    ({"workload": {"batch_size": "8"}}, "must be a whole number"),
    ({"workload": {"batch_size": True}}, "must be a whole number"),
    ({"workload": {"batch_size": 10**400}}, "of at most 1,000,000,000"),
    ({"workload": {"batch_size": -(10**400)}}, "of at most"),
    ({"workload": {"batch_size": {"a": 1}}}, "must be a whole number"),
    ({"workload": {"prefix_share": float("nan")}}, "must be a number of at most"),
    ({"workload": {"prefix_share": float("inf")}}, "must be a number of at most"),
    ({"workload": {"prefix_share": 1}}, "prefix_share must be in [0, 1)"),
    ({"workload": {"prefix_share": -0.1}}, "prefix_share must be at least 0"),
    ({"plan": {"tp": 0}}, "[plan] tp must be at least 1"),
    ({"plan": {"tp": "two"}}, "tp must be a whole number"),
    ({"plan": {"weight_format": "bf61"}}, "did you mean bf16"),
    ({"plan": {"weight_format": 8}}, "weight_format must be a text"),
    ({"plan": {"kv_format": "fp9"}}, "unknown"),
    ({"plan": {"engine": "vlmm"}}, "did you mean vllm"),
    ({"plan": {"stage_layers": []}}, "stage_layers is empty"),
    ({"plan": {"stage_layers": 4}}, "must be a list of whole numbers"),
    ({"plan": {"stage_layers": [[4, "x"]]}}, "must be a whole number"),
    ({"plan": {"stage_layers": [[4, 4], 8]}}, "must be a list of whole numbers"),
    ({"plan": {"stage_layers": [4, 0]}}, "at least 1"),
    ({"cost": {"usd_per_kwh": -0.1}}, "usd_per_kwh must be 0 or more"),
    ({"cost": {"usd_per_kwh": "cheap"}}, "usd_per_kwh must be a number"),
    ({"cost": {"years": 0}}, "years must be in (0, 100]"),
    ({"cost": {"pue": [1.2, float("nan")]}}, "pue must be a number"),
    ({"search": {"objective": "step"}}, "one of tokens-per-s"),
    ({"search": {"objective": "tptot"}}, "did you mean tpot"),
    ({"search": {"tpot": 1}}, "did you mean tpot_s"),
    ({"search": {"tpot_s": -1}}, "[search] tpot_s must be a number of 0 or more"),
    ({"search": {"headroom_share": 1}}, "headroom_share must be in [0, 1)"),
]


@pytest.mark.parametrize(("change", "said"), WRONG, ids=[str(change)[:50] for change, _ in WRONG])
def test_what_no_question_can_have_is_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        api.read_sweep({**SERVING, **change})
    assert str(error.value).startswith(
        ("the sweep", "unknown key in the sweep", "unknown value in the sweep")
    )
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"workload": {"batch_size": 8}}, "batch_size goes with inference alone"),
        ({"workload": {"run_usd": 8}}, "write run_usd under [search]"),
        ({"workload": {"sequence_tokens": 0}}, "sequence_tokens must be at least 1"),
        ({"workload": {"optimizer": "adamm"}}, "did you mean adam"),
        ({"workload": {"training_tokens": "2T"}}, "training_tokens must be a number"),
        ({"plan": {"zero_stage": 4}}, "zero_stage must be 0, 1, 2 or 3"),
        ({"plan": {"sequence_parallel": 1}}, "sequence_parallel must be true or false"),
        ({"plan": {"schedule": "1f2b"}}, "did you mean 1f1b"),
        ({"plan": {"recompute_share": 2}}, "recompute_share must be in 0..1"),
        ({"search": {"objective": "tpot"}}, "one of step"),
    ],
)
def test_training_is_refused_likewise(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput) as error:
        api.read_sweep({**TRAINING, **change})
    assert said in str(error.value)


def test_every_default_is_a_value_that_a_sweep_takes() -> None:
    import dataclasses

    for given in (SERVING, TRAINING):
        for table, record in read.records(given["task"]).items():  # type: ignore[arg-type]
            known = {
                field.name: field.default
                for field in dataclasses.fields(record)
                if field.default is not dataclasses.MISSING and field.default != ()
            }
            assert len(api.read_sweep({**given, table: known})) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"task = ", "not valid TOML"),
        (b"task = 1" + b"0" * 5000, "not valid TOML"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"", "task is missing"),
        (b"a = " + b"[" * 5000 + b"]" * 5000, "not valid TOML"),
        (None, "cannot read"),
    ],
    ids=["cut", "digits", "not UTF-8", "empty", "deep", "missing"],
)
def test_bad_files(tmp_path: Path, content: bytes | None, said: str) -> None:
    file = tmp_path / "grid.toml"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(InvalidInput) as error:
        api.read_sweep(file)
    assert said in str(error.value)
    assert "grid.toml" in str(error.value)


def test_too_many_questions() -> None:
    counts = range(1, 1001)
    sizes = {"batch_size": counts, "prompt_tokens": counts, "output_tokens": counts}
    with pytest.raises(InvalidInput, match="1,000,000,000 questions"):
        api.read_sweep({**SERVING, "workload": sizes})


def test_unknown_names_offer_the_nearest() -> None:
    with pytest.raises(UnknownName) as error:
        farthing.sweep({**SERVING, "clusers": ["rtx-4090"]})
    assert error.value.nearest == ("clusters",)
