"""Where a plan lies, and what fits: cases that once came out wrong."""

import pytest

import farthing
from farthing.catalog.cluster import parse_cluster
from farthing.errors import InvalidInput
from farthing.predict.fabric import across_bytes_per_s, parallel_axis


@pytest.mark.parametrize("size", [3, 5, 6, 7, 8])
def test_a_group_that_fits_in_a_host_lies_in_it(size: int) -> None:
    cluster = parse_cluster("2x8:h100-sxm@10gbe")
    axis = parallel_axis(cluster, cluster.groups[0], size)
    assert (axis.inside, axis.hosts) == (size, 1)


def test_a_larger_group_is_cut_evenly() -> None:
    cluster = parse_cluster("4x8:h100-sxm@10gbe")
    axis = parallel_axis(cluster, cluster.groups[0], 12)
    assert (axis.inside, axis.hosts) == (4, 3)


def test_unlike_hosts_wait_for_the_slowest_port() -> None:
    cluster = parse_cluster("1x8:a100-sxm-80gb@ib-ndr+1x8:h100-sxm@10gbe")
    axis = parallel_axis(cluster, cluster.groups[0], 16)
    assert axis.across_bytes_per_s == across_bytes_per_s(cluster, cluster.groups[1])


@pytest.mark.parametrize(
    ("model", "card", "options"),
    [
        ("qwen2.5-7b", "rtx-4090", {"prompt_tokens": 32, "output_tokens": 32}),
        ("gemma-3-27b", "h100-sxm", {}),
        ("bert-base", "rtx-4090", {"prompt_tokens": 256}),
    ],
)
def test_the_largest_batch_fits_and_one_more_does_not(model: str, card: str, options: dict[str, int]) -> None:
    most = farthing.infer(model, card, **options).largest_batch_size
    assert farthing.infer(model, card, batch_size=most, **options).fits
    assert not farthing.infer(model, card, batch_size=most + 1, **options).fits


def test_the_fullest_replica_must_fit() -> None:
    crowded = {"prompt_tokens": 68_000, "output_tokens": 100, "dp": 2, "tp": 1}
    assert farthing.infer("llama-2-7b", "1x2:h100-sxm", batch_size=2, **crowded).fits
    assert not farthing.infer("llama-2-7b", "1x2:h100-sxm", batch_size=3, **crowded).fits


def test_idle_cards_draw_less() -> None:
    one = farthing.infer("llama-2-7b", "1x8:h100-sxm", tp=1, dp=1)
    alone = farthing.infer("llama-2-7b", "h100-sxm")
    assert alone.power_w < one.power_w < 8 * alone.power_w


def test_speculated_tokens_share_the_energy() -> None:
    found = farthing.infer("llama-2-70b", "1x8:h100-sxm", draft_tokens=4, acceptance_rate=0.8)
    assert found.energy_per_token_j == pytest.approx(found.power_w / found.tokens_per_s)
    assert sum(part.share for part in found.decode) == pytest.approx(1)


@pytest.mark.parametrize("model", ["qwen2.5-7b", "gpt-2-124m", "falcon-7b"])
def test_the_default_plan_cuts_heads_and_hosts_evenly(model: str) -> None:
    plan = farthing.infer(model, "1x8:h100-sxm", batch_size=64).plan
    assert 8 % plan.tp == 0
    assert plan.tp * plan.dp == 8


def test_replicas_that_are_asked_for_get_their_share_of_the_cards() -> None:
    for cluster, options, sizes in (
        ("1x2:h100-sxm", {"dp": 2}, (1, 1, 2)),
        ("1x8:h100-sxm", {"dp": 2}, (4, 1, 2)),
        ("1x8:h100-sxm", {"dp": 2, "pp": 2}, (2, 2, 2)),
        ("2x8:h100-sxm@ib-ndr", {"dp": 2}, (8, 1, 2)),
        ("1x8:h100-sxm", {"dp": 3}, (2, 1, 3)),
    ):
        plan = farthing.infer("llama-3.1-8b", cluster, batch_size=64, **options).plan
        assert (plan.tp, plan.pp, plan.dp) == sizes, cluster


def test_an_engine_without_tensor_parallelism_gets_a_pipeline() -> None:
    plan = farthing.infer("llama-3.1-8b", "1x2:rtx-3090", engine="ollama").plan
    assert (plan.tp, plan.pp) == (1, 2)


def test_lora_owes_less_work_and_never_beats_the_peak() -> None:
    options = {"sequence_tokens": 2048, "global_batch_size": 8, "ideal": True}
    lora = farthing.train("llama-2-7b", "1x8:h100-sxm", lora_rank=16, **options)
    full = farthing.train("llama-2-7b", "1x8:h100-sxm", zero_stage=3, **options)
    assert lora.model_flop == pytest.approx(full.model_flop * 2 / 3)
    assert 0 < lora.mfu <= lora.hfu <= 1


def test_streamed_weights_cross_the_bus_in_every_pass() -> None:
    options = {"global_batch_size": 256, "sequence_tokens": 512, "offload": "optimizer+weights"}
    found = farthing.train("llama-2-70b", "h100-sxm", ideal=True, **options)
    assert found.step_s > 256 * 2 * 2 * 68.9e9 / 63e9


def test_offloading_needs_a_memory_of_its_own() -> None:
    with pytest.raises(InvalidInput, match="host's memory"):
        farthing.train("llama-3.1-8b", "m4-max", offload="optimizer", global_batch_size=1)


def test_an_all_reduce_without_sharding_hides_under_the_backward_pass_alone() -> None:
    options = {"dp": 8, "global_batch_size": 8, "sequence_tokens": 2048}
    sums = farthing.train("llama-2-7b", "8x1:h100-sxm@100gbe", zero_stage=0, **options)
    shards = farthing.train("llama-2-7b", "8x1:h100-sxm@100gbe", zero_stage=1, **options)
    assert sums.step_s > shards.step_s


def test_micro_batches_need_sequences() -> None:
    with pytest.raises(InvalidInput, match="micro_batches=8"):
        farthing.infer("llama-2-7b", "2x1:h100-sxm@10gbe", tp=1, pp=2, micro_batches=8)


def test_a_mac_keeps_a_quarter() -> None:
    heavy = farthing.infer("mistral-large-123b", "m4-max", weight_format="q8_0")
    assert not heavy.fits
    assert heavy.memory.total_bytes > 128 * 2**30
