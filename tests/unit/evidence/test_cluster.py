"""Rows on several machines: what their free text says, and what is refused."""

import math

import pytest

from farthing.errors import FarthingError
from farthing.evidence.cluster import compare, setup_of
from farthing.evidence.cluster_setup import network_of
from farthing.records.comparison import Case


def row(**cells: str) -> Case:
    usual = {
        "model": "Llama-3-8B",
        "quant": "Q40/Q80",
        "hardware": "4x Raspberry Pi 5 8GB",
        "n_nodes": "4",
        "parallelism": "tensor",
        "batch": "1",
        "metric": "ms_per_token",
        "value": "245",
    }
    source = cells.pop("source", "distributed-llama PR")
    whole = usual | cells | {"source": source}
    return Case(file="", id="1", source=source, kind="cluster", cells=whole)


def test_a_row_without_ids_is_read_from_its_text() -> None:
    setup = setup_of(row())
    assert setup.about.model.id == "llama-3-8b"
    assert (setup.about.cluster.hosts, setup.plan.tp, setup.plan.weight_format) == (4, 4, "q4_0")
    assert setup.about.wiring.exchange == "mesh"
    assert setup_of(row(notes="v0.1.0")).about.wiring.exchange == "slices"


def test_a_version_that_counts_exchanges_as_computing_has_the_same_whole() -> None:
    parts = {}
    for version in ("v0.2.0", "v0.3.1"):
        for metric in ("ms_per_token", "ms_compute_per_token", "ms_transfer_per_token"):
            parts[version, metric] = compare([row(notes=version, metric=metric)])[0].predicted
    assert parts["v0.2.0", "ms_per_token"] == parts["v0.3.1", "ms_per_token"]
    assert parts["v0.2.0", "ms_transfer_per_token"] > parts["v0.3.1", "ms_transfer_per_token"]


@pytest.mark.parametrize(
    ("cells", "rate", "latency"),
    [
        ({"link_gbps": "0.1", "link_rtt_ms": "100"}, 0.0125e9, 0.05),
        ({"link_gbps": "1", "link_rtt_ms": "<5"}, 0.125e9, 1.25e-3),
        ({}, 0.125e9, 62.5e-6),
        ({"hardware": "14 volunteer servers EU+NA"}, 0.0125e9, 0.05),
        ({"hardware": "2x DGX Spark, RoCE", "link_gbps": "200"}, 25e9, 2.7e-6),
        ({"hardware": "2x DGX Spark", "link_gbps": "200"}, 25e9, 20e-6),
    ],
)
def test_networks(cells: dict[str, str], rate: float, latency: float) -> None:
    link = network_of(row(**cells))
    assert (link.bytes_per_s, link.latency_s) == pytest.approx((rate, latency))


@pytest.mark.parametrize(
    "cells",
    [
        {"hardware": "3 nodes"},
        {"model": "(not stated)"},
        {"n_nodes": "", "hardware": "public swarm"},
        {"link_gbps": "0"},
        {"value": "many"},
        {"value": ""},
        {"quant": "Q99"},
        {"parallelism": "pipeline + speculation"},
        {"metric": "aggregate_tokens_per_s"},
        {"metric": "ms_transfer_per_token", "parallelism": "none", "n_nodes": "1"},
    ],
)
def test_odd_cells_become_a_reason(cells: dict[str, str]) -> None:
    found = compare([row(**cells)])[0]
    assert found.reason
    assert math.isnan(found.predicted)


def test_a_prompt_of_stated_length_is_predicted() -> None:
    cells = {"source": "llama.cpp PR #16276", "quant": "Q4_0", "hardware": "2x RTX 3090", "n_nodes": "2"}
    cells |= {
        "parallelism": "RPC layer split",
        "metric": "prefill_tokens_per_s",
        "context": "512",
        "value": "900",
    }
    found = compare([row(**cells)])[0]
    assert 100 < found.predicted < found.simple


@pytest.mark.parametrize(
    ("cells", "engine", "wiring"),
    [
        ({"source": "llama.cpp PR #6829"}, "llama.cpp-2024", "llama.cpp@3680"),
        ({"source": "llama.cpp issue #11474"}, "llama.cpp", "llama.cpp@5187"),
        (
            {"source": "a blog", "parallelism": "llama.cpp RPC", "notes": "tg128, b7315"},
            "llama.cpp",
            "llama.cpp@7340",
        ),
        ({"source": "a blog", "parallelism": "llama.cpp RPC"}, "llama.cpp", "llama.cpp"),
    ],
)
def test_builds_date_what_llama_cpp_sends(cells: dict[str, str], engine: str, wiring: str) -> None:
    setup = setup_of(row(quant="Q4_0", hardware="2x RTX 3090", n_nodes="2", **cells))
    assert (setup.plan.engine, setup.about.wiring.id) == (engine, wiring)


@pytest.mark.parametrize(
    ("model", "quant", "formats"),
    [
        ("Kimi-K2-Thinking", "4bit experts, bf16 rest", ("mlx-4bit-g32", "bf16")),
        ("Kimi-K2.5", "Q4", ("mlx-4bit-g32", "bf16")),
        ("DeepSeek-V3", "8-bit", ("mlx-8bit", "")),
    ],
)
def test_mlx_keeps_weights_that_come_quantised(model: str, quant: str, formats: tuple[str, str]) -> None:
    plan = setup_of(
        row(source="exo", model=model, quant=quant, hardware="4x Mac Studio M3 Ultra", parallelism="tensor")
    ).plan
    assert (plan.weight_format, plan.dense_format) == formats


@pytest.mark.parametrize(
    ("quant", "expected"),
    [
        ("GPTQ int4", "gptq-int4"),
        ("AWQ", "awq-int4"),
        ("INT4", "w4a16"),
        ("UD-Q4_K_XL", "q4_k_m"),
        ("Q6_K", "q6_k"),
    ],
)
def test_formats_as_people_write_them(quant: str, expected: str) -> None:
    cells = {"source": "vLLM over two hosts", "hardware": "2x DGX Spark", "n_nodes": "2", "quant": quant}
    assert setup_of(row(**cells)).plan.weight_format == expected


def test_no_prediction_beats_the_memory() -> None:
    found = compare([row(notes="v0.8.0")])[0]
    assert found.predicted >= found.simple * 0.9


def test_a_network_of_no_rate_is_refused() -> None:
    with pytest.raises(FarthingError):
        network_of(row(link_gbps="0"))
