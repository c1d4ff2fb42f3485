"""Engines and hosts: complete, sourced, and consistent with the rest of the catalogue."""

from __future__ import annotations

import re

import pytest

from farthing import catalog
from farthing.records.engine import Engine
from farthing.records.hardware import Host


@pytest.mark.parametrize("one", catalog.engines().values(), ids=catalog.engines())
def test_engine(one: Engine) -> None:
    assert one.source
    assert one.version
    assert one.kind in ("serving", "training")
    known = catalog.formats()
    for name in one.weight_formats.split():
        assert known[name].weights, name
    for name in one.kv_formats.split():
        assert known[name].kv_cache, name
    assert len(set(one.weight_formats.split())) == len(one.weight_formats.split())
    vendors = {accelerator.vendor for accelerator in catalog.accelerators().values()}
    left = one.vendors
    for vendor in sorted(vendors, key=len, reverse=True):
        left = re.sub(rf"(?<!\S){re.escape(vendor)}(?!\S)", "", left)
    assert not left.strip(), left
    assert 0 <= one.memory_reserve_share < 0.5


def test_the_usual_engines_are_there() -> None:
    serving = {one.id for one in catalog.engines().values() if one.kind == "serving"}
    training = {one.id for one in catalog.engines().values() if one.kind == "training"}
    assert {"llama.cpp", "ik_llama.cpp", "vllm", "sglang", "tensorrt-llm", "lmdeploy", "exllamav2"} <= serving
    assert {"exllamav3", "mlx", "mlc-llm", "tgi", "transformers", "gpt-fast", "ktransformers"} <= serving
    assert {"deepspeed-inference", "petals", "distributed-llama", "ollama", "jetstream"} <= serving
    assert {
        "megatron-lm",
        "nemo",
        "torchtitan",
        "deepspeed",
        "pytorch-fsdp",
        "llm-foundry",
        "litgpt",
    } <= training
    assert {"torchtune", "axolotl", "unsloth", "maxtext", "colossal-ai", "llama-factory"} <= training


def test_what_engines_can_split() -> None:
    assert catalog.engine("vllm").memory_reserve_share == pytest.approx(0.08)
    assert catalog.engine("llama.cpp").mixed_accelerators
    assert not catalog.engine("vllm").mixed_accelerators
    assert "q4_k_m" in catalog.engine("llama.cpp").weight_formats.split()
    assert "iq4_ks" not in catalog.engine("llama.cpp").weight_formats.split()
    assert "iq4_ks" in catalog.engine("ik_llama.cpp").weight_formats.split()
    for one in catalog.engines().values():
        if one.kind == "training":
            assert one.data_parallel, one.id
            assert "bf16" in one.weight_formats.split(), one.id
            assert not one.kv_formats, one.id


@pytest.mark.parametrize("one", catalog.hosts().values(), ids=catalog.hosts())
def test_host(one: Host) -> None:
    assert one.source
    assert one.kind in ("desktop", "mining", "workstation", "server", "appliance", "soc")
    assert one.slots >= 1
    if one.kind == "soc":
        assert one.slots == 1
    else:
        assert f"pcie{one.pcie_generation}-x{one.pcie_lanes_per_slot}" in catalog.links()
    assert one.memory_bytes >= 4 * 2**30
    assert 5e9 < one.memory_bytes_per_s < 2e12
    assert bool(one.price_usd) == bool(one.price_date)
    assert one.idle_w <= one.load_w or not one.load_w
    assert one.load_w <= one.psu_w or not one.psu_w


def test_hosts_of_the_article() -> None:
    hosts = catalog.hosts()
    assert len(hosts) >= 15
    assert (hosts["article-desktop"].price_usd, hosts["article-desktop"].slots) == (700, 1)
    assert (hosts["article-server-4"].price_usd, hosts["article-server-4"].slots) == (3000, 4)
    assert (hosts["article-server-8"].price_usd, hosts["article-server-8"].slots) == (20000, 8)
    assert hosts["article-server-8"].load_w == 2000


def test_mining_risers_are_one_lane() -> None:
    assert catalog.host("h510-pro-btc").pcie_lanes_per_slot == 1
