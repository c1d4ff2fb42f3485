from __future__ import annotations

import pytest

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.estimate.engine import refusals, usual_engine
from farthing.records.plan import InferencePlan


@pytest.mark.parametrize(
    ("cluster", "weights", "engine"),
    [
        ("1x8:h100-sxm", "bf16", "vllm"),
        ("1x2:rtx-4090", "awq-int4", "vllm"),
        ("mi300x", "fp8", "vllm"),
        ("rtx-4090", "q4_k_m", "llama.cpp"),
        ("m2-ultra", "fp16", "mlx"),
        ("m2-ultra", "q4_k_m", "llama.cpp"),
        ("raspberry-pi-5", "fp16", "llama.cpp"),
        ("rtx-3090", "exl3-4.0", "exllamav3"),
        ("1x1:rtx-4090+1x1:rtx-3090@1gbe", "fp16", "llama.cpp"),
    ],
)
def test_the_usual_engine(cluster: str, weights: str, engine: str) -> None:
    assert usual_engine(parse_cluster(cluster), weights).id == engine


def test_an_estimate_says_which_engine_it_took() -> None:
    taken = farthing.infer("llama-2-7b", "h100-sxm")
    assert taken.plan.engine == "vllm"
    assert any("no engine named" in note for note in taken.assumptions)
    named = farthing.infer("llama-2-7b", "h100-sxm", engine="vllm")
    assert named.tpot_s == taken.tpot_s
    assert not any("no engine named" in note for note in named.assumptions)


def test_paper_arithmetic_has_no_engine() -> None:
    assert farthing.infer("llama-2-7b", "h100-sxm", ideal=True).plan.engine == ""


@pytest.mark.parametrize(
    ("engine", "tp", "refused"),
    [("llama.cpp", 2, False), ("llama.cpp", 4, True), ("vllm", 4, False), ("distributed-llama", 4, False)],
)
def test_layers_cut_over_hosts_need_an_engine_that_can(engine: str, tp: int, refused: bool) -> None:
    plan = InferencePlan(tp=tp, weight_format="q4_0" if engine != "vllm" else "bf16")
    cluster = parse_cluster("2x2:rtx-3090@10gbe")
    found = refusals(catalog.engine(engine), cluster, plan)
    assert any(asked for words, asked in found if "within a host" in words) is refused
