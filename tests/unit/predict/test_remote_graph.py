"""llama.cpp over a network: what a step sends, counted by hand."""

import pytest

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.predict.device import device
from farthing.predict.fabric import across_bytes_per_s, across_latency_s
from farthing.predict.placement import places
from farthing.predict.remote_graph import graph_tensors, mask_bytes
from farthing.records.efficiency import IDEAL
from farthing.records.plan import InferencePlan


def test_a_mixture_describes_more_tensors_than_a_plain_layer() -> None:
    plain, mixture = catalog.model("llama-3-8b"), catalog.model("qwen3-30b-a3b")
    assert graph_tensors(plain, plain.layer_kinds[0]) == 41
    # Two norms of heads, a router that selects, and views and sums of eight experts.
    assert graph_tensors(mixture, mixture.layer_kinds[0]) == 41 + 6 + 12 + 16


@pytest.mark.parametrize(("rows", "expected"), [(0, 0), (1, 4 * 4096), (64, 4 * 64 * 4096)])
def test_a_mask_covers_the_cache_in_whole_blocks(rows: int, expected: float) -> None:
    assert mask_bytes(catalog.model("llama-3-8b"), 1, 4000, rows=rows) == expected


def test_windows_have_a_mask_of_their_own() -> None:
    assert mask_bytes(catalog.model("gemma-3-4b"), 1, 256, rows=1) == 2 * 4 * 256


def test_a_remote_half_gets_activations_and_a_mask_and_answers() -> None:
    # 4096 activations of 4 byte each way and a mask of 1024 cells one way.
    cluster = parse_cluster("2x1:rtx-4090@1gbe")
    found = farthing.infer(
        "llama-3-8b",
        cluster,
        tp=1,
        pp=2,
        engine="llama.cpp",
        weight_format="q4_0",
        prompt_tokens=900,
        output_tokens=2,
    )
    group = cluster.groups[0]
    constants = catalog.efficiency(group.accelerator)
    rate, latency = across_bytes_per_s(cluster, group, constants), across_latency_s(cluster, group, constants)
    hops = next(part.value for part in found.decode if part.name == "hops between stages")
    assert hops == pytest.approx((2 * 4096 * 4 + 1024 * 4) / rate + 2 * latency, rel=1e-6)


def test_layers_by_memory_leave_a_small_fast_card_few() -> None:
    cluster, model = parse_cluster("1x1:rtx-4090+1x1:m3-ultra@10gbe"), catalog.model("llama-2-70b")
    cards = [device(group.accelerator, "fp16") for group in cluster.groups]
    split = [
        [place.stage.layers for place in places(
            model, cluster, InferencePlan(pp=2), cards, [IDEAL, IDEAL], by_memory=by_memory
        )]
        for by_memory in (False, True)
    ]  # fmt: skip
    assert split[0][0] > 40 > 5 > split[1][0]


def test_mlx_computes_the_whole_head_on_each_machine() -> None:
    # 128256 words of 4096 numbers at 4.5 bits: the half that another machine would take.
    times = [
        farthing.infer(
            "llama-3-8b", "2x1:m3-ultra@thunderbolt5-rdma", tp=2, pp=1, engine=engine,
            weight_format="mlx-4bit", prompt_tokens=63, output_tokens=2,
        ).decode[0].value
        for engine in ("mlx", "exo")
    ]  # fmt: skip
    assert times[0] == times[1]
    layers = 6.98e9 / 2 * 4.5 / 8 / 819e9
    head = 128256 * 4096 * 4.5 / 8 / 819e9
    assert times[0] > layers + head
