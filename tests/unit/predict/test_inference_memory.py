"""The card with the least room in serving."""

from typing import Any

import pytest

from farthing.catalog import model
from farthing.catalog.cluster import parse_cluster
from farthing.predict.device import device
from farthing.predict.inference_memory import InferenceMemory, inference_memory
from farthing.predict.parameters import total_parameters
from farthing.predict.placement import places
from farthing.records.efficiency import IDEAL
from farthing.records.plan import InferencePlan


def memory(cluster: str, name: str = "llama-2-70b", **options: Any) -> InferenceMemory:
    machines = parse_cluster(cluster)
    cards = [device(group.accelerator, "bf16") for group in machines.groups]
    sizes = {key: options.pop(key) for key in list(options) if key in ("tp", "pp", "ep", "dp")}
    plan = InferencePlan(**sizes)
    placed = places(model(name), machines, plan, cards, [IDEAL] * len(cards))
    load = {"sequences": 4, "context_tokens": 2048, "step_tokens": 512}
    return inference_memory(model(name), placed, plan, **load | options)


def test_weights_and_cache() -> None:
    found = memory("1x1:mi300x")
    assert found.weight_bytes == 2 * total_parameters(model("llama-2-70b"))
    assert found.kv_cache_bytes == 4 * 2048 * 327680
    assert found.sequence_bytes == 2048 * 327680


def test_windows_may_hold_the_tokens_of_a_pass_beside_themselves() -> None:
    gemma = model("gemma-3-27b")
    bare, ring = (memory("1x1:mi300x", "gemma-3-27b", window_spare_tokens=spare) for spare in (0.0, 512.0))
    layers = sum(kind.mixer == "window" for kind in gemma.layer_kinds)
    assert ring.sequence_bytes - bare.sequence_bytes == layers * 512 * 2 * 16 * 128 * 2


def test_parts_and_room() -> None:
    found = memory("1x8:rtx-4090", tp=8)
    parts = found.weight_bytes + found.kv_cache_bytes + found.activation_peak_bytes + found.workspace_bytes
    assert found.total_bytes == pytest.approx(parts)
    assert found.free_bytes == found.capacity_bytes - found.total_bytes
    assert found.capacity_bytes == 24 * 2**30


def test_numbers_of_their_own() -> None:
    """4-bit layers, 16-bit embedding and head, 8-bit cache."""
    ends = 2 * 32000 * 8192
    found = memory("1x1:mi300x", weight_size=0.5, head_size=2.0, kv_size=1.0)
    assert found.weight_bytes == pytest.approx(
        0.5 * (total_parameters(model("llama-2-70b")) - ends) + 2 * ends
    )
    assert found.kv_cache_bytes == 4 * 2048 * 327680 / 2


def test_a_tied_head_counts_once_on_one_stage() -> None:
    shape = model("gpt-2-124m")
    assert memory("1x1:mi300x", "gpt-2-124m").weight_bytes == 2 * total_parameters(shape)


def test_the_tightest_card_counts() -> None:
    """A small card beside a large one: its room, not the large one's."""
    found = memory("1x1:mi300x+1x1:rtx-4090@10gbe", pp=2)
    assert found.capacity_bytes == 24 * 2**30


def test_engines_reserve() -> None:
    plain, reserved = memory("1x8:rtx-4090", tp=8), memory("1x8:rtx-4090", tp=8, reserve_share=0.1)
    assert reserved.workspace_bytes == pytest.approx(0.1 * 24 * 2**30)
    assert reserved.workspace_bytes > plain.workspace_bytes


def test_latent_caches_are_whole_on_every_card() -> None:
    one, eight = memory("1x1:mi300x", "deepseek-v3"), memory("1x8:mi300x", "deepseek-v3", tp=8)
    assert one.kv_cache_bytes == eight.kv_cache_bytes
