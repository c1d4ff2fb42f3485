"""Rows say what the library says, whatever becomes of a question."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

import farthing
from farthing import api
from farthing.errors import Infeasible
from farthing.records.search import Choice, Limits, NearestMiss, SearchResult
from farthing.sweeps.answer import answers
from farthing.sweeps.columns import columns
from farthing.units import unit_of

SERVING = {"task": "inference", "models": ["llama-2-70b"], "clusters": ["1x8:rtx-4090"]}
TRAINING = {
    "task": "training",
    "models": ["llama-2-70b"],
    "clusters": ["256x8:a100-sxm-80gb@ib-hdr"],
    "workload": {"sequence_tokens": 4096, "global_batch_size": 1024, "training_tokens": 2e12},
}


def rows(**given: Any) -> list[dict[str, Any]]:
    grid = api.read_sweep(given)
    found = answers(grid, range(len(grid)))
    return [dict(zip(columns(grid.task), row, strict=True)) for row in found]


def test_an_inference_row_is_the_estimate() -> None:
    (row,) = rows(**SERVING, workload={"batch_size": 4}, plan={"tp": 8}, cost={"usd_per_kwh": 0.3})
    found = farthing.infer("llama-2-70b", "1x8:rtx-4090", batch_size=4, tp=8, usd_per_kwh=0.3)
    assert (row["model"], row["cluster"], row["error"]) == ("llama-2-70b", "1x8:rtx-4090", None)
    for name in ("fits", "ttft_s", "tpot_s", "tokens_per_s", "bottleneck", "power_w", "largest_batch_size"):
        assert row[name] == getattr(found, name), name
    assert row["memory_free_bytes"] == found.memory.free_bytes
    bars = {bar.name: bar for bar in found.intervals}
    assert (row["low_tpot_s"], row["high_tpot_s"]) == (bars["tpot_s"].low, bars["tpot_s"].high)
    paid = {cost.way: cost for cost in found.costs}
    assert row["own_usd_per_million_tokens"] == paid["own"].usd_per_million_tokens
    assert row["rent_usd_per_s"] == paid["rent"].usd_per_s
    assert (row["own_stale"], row["rent_stale"]) == (paid["own"].stale, paid["rent"].stale)
    assert (row["batch_size"], row["prompt_tokens"]) == (4, found.workload.prompt_tokens)
    assert (row["pp"], row["engine"], row["usd_per_kwh"]) == (found.plan.pp, found.plan.engine, 0.3)
    assert row["misfit"] is None, "an empty text is an empty cell"
    assert row["objective"] is None


def test_a_training_row_is_the_estimate() -> None:
    (row,) = rows(**TRAINING, plan={"tp": 8, "pp": 8})
    found = farthing.train(
        "llama-2-70b",
        "256x8:a100-sxm-80gb@ib-hdr",
        tp=8,
        pp=8,
        **TRAINING["workload"],  # type: ignore[arg-type]
    )
    assert (row["step_s"], row["mfu"], row["run_s"]) == (found.step_s, found.mfu, found.run_s)
    assert (row["own_run_usd"], row["rent_run_usd"]) == (found.run_usd["own"], found.run_usd["rent"])
    assert found.reliability is not None
    assert row["effective_time_share"] == found.reliability.effective_time_share
    assert (row["dp"], row["zero_stage"], row["sequence_parallel"]) == (found.plan.dp, 1, True)
    bars = {bar.name: bar for bar in found.intervals}
    assert row["low_memory_total_bytes"] == bars["total_bytes"].low


def test_a_misfit_is_no_error() -> None:
    (row,) = rows(**{**SERVING, "clusters": ["rtx-4090"]})
    assert row["fits"] is False
    assert row["misfit"]
    assert row["error"] is None


def test_a_bad_combination_keeps_its_row() -> None:
    good, bad = rows(**SERVING, plan={"tp": [8, 3], "stage_layers": [[80]]})
    assert good["error"] is None
    assert good["stage_layers"] == "80"
    assert "tp=3" in bad["error"]
    assert (bad["question"], bad["model"], bad["tp"], bad["fits"]) == (2, "llama-2-70b", 3, None)


@pytest.mark.parametrize("count", [10**9, 999_999_937])
def test_senseless_sizes_are_rows(count: int) -> None:
    for name in ("batch_size", "prompt_tokens", "output_tokens", "context_tokens", "draft_tokens"):
        (row,) = rows(**SERVING, workload={name: count})
        assert row["error"] or row["fits"] is not None
        assert "internal" not in (row["error"] or "")
    for name in ("sequence_tokens", "global_batch_size", "memory_tokens", "lora_rank"):
        (row,) = rows(**{**TRAINING, "workload": {name: count}})
        assert row["error"] or row["fits"] is not None
        assert "internal" not in (row["error"] or "")


def test_a_fault_of_ours_costs_one_row(monkeypatch: pytest.MonkeyPatch) -> None:
    real = api.infer

    def infer(*arguments: Any, **options: Any) -> Any:
        if options["batch_size"] == 2:
            raise ZeroDivisionError("oops\nand more")
        if options["batch_size"] == 3:
            raise Infeasible("too large")
        return real(*arguments, **options)

    monkeypatch.setattr(api, "infer", infer)
    found = rows(**SERVING, workload={"batch_size": [1, 2, 3, 4]})
    assert [row["error"] for row in found] == [
        None,
        "internal error: ZeroDivisionError: oops and more; please report it",
        None,
        None,
    ]
    assert (found[2]["fits"], found[2]["misfit"]) == (False, "too large")


def test_columns_are_those_of_all_rows() -> None:
    for task, given in (("inference", SERVING), ("training", {**TRAINING, "plan": {"tp": 8, "pp": 8}})):
        kinds = columns(task)  # type: ignore[arg-type]
        (row,) = rows(**given)
        assert list(row) == list(kinds)
        for name, cell in row.items():
            assert cell is None or type(cell) is kinds[name], name
        empty = {name for name, cell in row.items() if cell is None}
        asked = {name for name in kinds if name.startswith(("limit_", "search_"))} | {"objective"}
        words = {"misfit", "error", "engine", "stage_layers", "compute_format", "dense_format"}
        assert empty <= asked | words, "a column that nothing fills"


def test_columns_state_units() -> None:
    names = columns("inference")
    assert unit_of("memory_free_bytes") == "byte"
    assert unit_of("low_tpot_s") == "s"
    assert {"memory_free_bytes", "low_tpot_s", "own_usd_per_million_tokens"} <= set(names)


class Searches:
    """Stands in for the front door's search, with its signature: takes notes, and gives real estimates."""

    def __init__(self, *, best: bool) -> None:
        self.best = best
        self.asked: list[dict[str, Any]] = []

    def __call__(
        self,
        model: Any,
        cluster: Any,
        *,
        task: str,
        objective: str = "tokens-per-s",
        limits: Limits,
        top: int,
        **options: Any,
    ) -> SimpleNamespace:
        self.asked.append({"task": task, "objective": objective, "limits": limits, "top": top, **options})
        found = api.infer(model, cluster, **{**options, "tp": 2, "pp": 4})
        choice = Choice(inference=found, figures={"tpot": found.tpot_s})
        result = SearchResult(
            task="inference",
            model=found.model,
            cluster=found.cluster,
            objective=objective,
            limits=limits,
            candidates=100,
            evaluated=40,
            fitting=9 if self.best else 0,
            removed=(),
            best=(choice,) if self.best else (),
            miss=None if self.best else NearestMiss(choice=choice, breaks="tpot_s by 3 ms"),
        )
        return SimpleNamespace(result=result)


def test_a_search_fills_in_the_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    searches = Searches(best=True)
    monkeypatch.setattr(api, "search", searches, raising=False)
    given = {"workload": {"batch_size": 4}, "plan": {"weight_format": "fp8"}, "cost": {"years": 4}}
    found = rows(**SERVING, **given, search={"objective": "tpot", "tpot_s": [0.01, 0.1]})
    assert searches.asked == [
        {
            "task": "inference",
            "objective": "tpot",
            "limits": Limits(tpot_s=limit),
            "top": 1,
            "batch_size": 4,
            "weight_format": "fp8",
            "years": 4.0,
        }
        for limit in (0.01, 0.1)
    ]
    row = found[1]
    same = farthing.infer(
        "llama-2-70b", "1x8:rtx-4090", tp=2, pp=4, batch_size=4, weight_format="fp8", years=4
    )
    assert (row["tp"], row["pp"], row["tpot_s"], row["error"]) == (2, 4, same.tpot_s, None)
    assert (row["objective"], row["limit_tpot_s"], row["limit_ttft_s"]) == ("tpot", 0.1, 0.0)
    assert (row["search_candidates"], row["search_evaluated"], row["search_fitting"]) == (100, 40, 9)


def test_a_search_that_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "search", Searches(best=False), raising=False)
    (row,) = rows(**SERVING, search={})
    assert (row["fits"], row["error"], row["tpot_s"]) == (False, None, None)
    assert row["misfit"] == "no plan keeps every limit; the nearest misses: tpot_s by 3 ms"
    assert (row["objective"], row["search_fitting"]) == ("tokens-per-s", 0)


@pytest.mark.skipif(not hasattr(api, "search"), reason="the front door has no search yet")
def test_the_real_search() -> None:
    (row,) = rows(**SERVING, workload={"batch_size": 1}, search={"objective": "tpot"})
    (usual,) = rows(**SERVING, workload={"batch_size": 1})
    sizes = {name: row[name] for name in ("tp", "pp", "dp", "ep", "chunk_tokens", "engine")}
    same = farthing.infer("llama-2-70b", "1x8:rtx-4090", batch_size=1, **sizes)
    assert (row["fits"], row["error"]) == (True, None)
    assert row["tpot_s"] == same.tpot_s <= usual["tpot_s"]
    assert row["search_evaluated"] > 1
