"""What the commands of training engines mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.launch.reading import values

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.launch import deepspeed, megatron_lm, torchtitan
from farthing.launch.training import chunks
from farthing.records.launch import Launch
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

BIG = "16x8:h100-sxm@ib-ndr"


def launch(engine: Any, model: str = "llama-2-70b", cluster: str = BIG, **fields: Any) -> Launch:
    load = {"sequence_tokens": 4096, "global_batch_size": 512}
    load |= {name: fields.pop(name) for name in [*fields] if name in TrainingWorkload.__dataclass_fields__}
    found = engine(
        catalog.model(model), parse_cluster(cluster), TrainingWorkload(**load), TrainingPlan(**fields)
    )
    assert isinstance(found, Launch)
    return found


def megatron(**fields: Any) -> dict[str, str]:
    return values(launch(megatron_lm, **fields), "megatron-lm")


def config(**fields: Any) -> dict[str, Any]:
    found = json.loads(launch(deepspeed, **fields).files[0].text)
    assert isinstance(found, dict)
    return found


def test_megatron_interleaves_virtual_stages() -> None:
    found = megatron(model="gpt-3-175b", tp=8, pp=16, dp=1, schedule="interleaved", interleave=2)
    assert found["--tensor-model-parallel-size"] == "8"
    assert found["--pipeline-model-parallel-size"] == "16"
    assert found["--num-virtual-stages-per-pipeline-rank"] == "2"
    assert "--pipeline-model-parallel-layout" not in found


def test_megatron_gives_the_ends_their_layers() -> None:
    """126 layers over 16 stages: 7 at the ends and 8 between."""
    found = megatron(model="llama-3.1-405b", tp=8, pp=16)
    assert found["--decoder-first-pipeline-num-layers"] == "7"
    assert found["--decoder-last-pipeline-num-layers"] == "7"
    assert "--pipeline-model-parallel-layout" not in found


def test_megatron_lays_out_what_no_other_option_tells() -> None:
    """80 layers and one spared over 8 stages: the second stage holds one more than the others."""
    found = megatron(tp=8, pp=8, dp=2, last_spared=1)
    assert found["--pipeline-model-parallel-layout"] == "Et*10|t*11|t*10|t*10|t*10|t*10|t*10|t*9L"


def test_the_layout_holds_all_layers_and_the_predictor() -> None:
    found = megatron(
        model="deepseek-v3",
        cluster="32x8:h100-sxm@ib-ndr",
        pp=16,
        dp=16,
        ep=16,
        expert_tp=1,
        schedule="interleaved",
        interleave=2,
        predictors=1,
    )
    cells = found["--pipeline-model-parallel-layout"].split("|")
    assert len(cells) == 32
    assert cells[0].startswith("E")
    assert cells[-1].endswith("mL")
    layers = [int(c.partition("*")[2] or c.count("t")) for c in (cell.strip("EmL") for cell in cells)]
    assert sum(layers) == 61
    assert layers == chunks(
        catalog.model("deepseek-v3"), TrainingPlan(pp=16, schedule="interleaved", interleave=2)
    )


@pytest.mark.parametrize(
    ("zero", "expected"),
    [
        (0, set()),
        (1, {"--use-distributed-optimizer"}),
        (2, {"--use-distributed-optimizer", "--use-megatron-fsdp"}),
        (3, {"--use-distributed-optimizer", "--use-megatron-fsdp"}),
    ],
)
def test_megatron_shards_as_zero_says(zero: int, expected: set[str]) -> None:
    found = megatron(model="llama-2-7b", cluster="1x8:h100-sxm", dp=8, zero_stage=zero)
    assert {"--use-distributed-optimizer", "--use-megatron-fsdp"} & set(found) == expected
    strategies = {2: "optim_grads", 3: "optim_grads_params"}
    assert found.get("--data-parallel-sharding-strategy") == strategies.get(zero)


def test_megatron_recomputes_groups_or_a_share() -> None:
    groups = megatron(tp=8, pp=8, dp=2, recompute="full", recompute_layers=5)
    assert groups["--recompute-granularity"] == "full"
    assert groups["--recompute-method"] == "uniform"
    assert groups["--recompute-num-layers"] == "5"
    half = megatron(tp=8, pp=8, dp=2, recompute="full", recompute_share=0.5)
    assert (half["--recompute-method"], half["--recompute-num-layers"]) == ("block", "5")
    scores = megatron(tp=8, pp=8, dp=2, recompute="selective", flash_attention=False)
    assert scores["--recompute-modules"] == "core_attn"
    assert "--recompute-granularity" not in megatron(tp=8, pp=8, dp=2, recompute="none")


def test_megatron_has_the_shape_of_a_mixture() -> None:
    found = megatron(
        model="deepseek-v3", cluster="32x8:h100-sxm@ib-ndr", pp=16, dp=16, ep=8, expert_tp=1, tp=1
    )
    assert found["--num-experts"] == "256"
    assert found["--moe-router-topk"] == "8"
    assert found["--moe-layer-freq"] == "[0]*3+[1]*58"
    assert found["--moe-shared-expert-intermediate-size"] == "2048"
    assert found["--kv-lora-rank"] == "512"
    assert found["--qk-head-dim"] == "128"
    assert found["--qk-pos-emb-head-dim"] == "64"
    assert found["--expert-model-parallel-size"] == "8"
    assert found["--expert-tensor-parallel-size"] == "1"
    assert "--num-query-groups" not in found


def test_megatron_counts_the_run() -> None:
    found = megatron(tp=8, pp=8, dp=2, training_tokens=2e12, micro_batch_size=2)
    assert found["--train-iters"] == str(-(-2_000_000_000_000 // (512 * 4096)))
    assert found["--micro-batch-size"] == "2"
    assert found["--global-batch-size"] == "512"


def test_megatron_numbers_ranks_as_the_plan_does() -> None:
    assert "--use-tp-pp-dp-mapping" in megatron(tp=8, pp=8, dp=2, rank_order="tp-cp-pp-dp")
    assert "--use-tp-pp-dp-mapping" not in megatron(tp=8, pp=8, dp=2)


def test_megatron_says_what_it_lacks_and_what_would_do() -> None:
    said = launch(megatron_lm, tp=8, pp=8, dp=2, schedule="gpipe").cannot
    assert any("no GPipe schedule" in sentence and "--schedule 1f1b" in sentence for sentence in said)
    assert launch(megatron_lm, lora_rank=8).commands == ()
    assert "torchtitan" in launch(megatron_lm, lora_rank=8).cannot[0]
    assert launch(megatron_lm, model="bloom-176b", tp=8, pp=8, dp=2).commands == ()
    nvme = launch(megatron_lm, tp=8, pp=8, dp=2, offload="optimizer", offload_to="nvme").cannot
    assert any("deepspeed" in sentence for sentence in nvme)


def test_torchrun_counts_hosts_and_cards() -> None:
    found = values(launch(megatron_lm, tp=8, pp=8, dp=2), "torchrun")
    assert (found["--nnodes"], found["--nproc-per-node"], found["--node-rank"]) == ("16", "8", "1")
    one = launch(megatron_lm, model="llama-2-7b", cluster="1x8:h100-sxm", tp=4)
    assert values(one, "torchrun")["--nproc-per-node"] == "4"
    assert "--nnodes" not in values(one, "torchrun")
    assert one.commands[0].text.startswith("CUDA_VISIBLE_DEVICES=0,1,2,3 ")
    part = launch(megatron_lm, model="llama-2-7b", cluster=BIG, tp=4, dp=5)
    assert [command.where for command in part.commands] == ["hosts 1 to 2", "host 3"]
    assert values(part, "torchrun", 1)["--node-rank"] == "2"


def test_titan_is_a_module_with_the_plan() -> None:
    found = launch(
        torchtitan,
        "llama-3.1-70b",
        tp=8,
        pp=4,
        dp=2,
        cp=2,
        schedule="interleaved",
        interleave=2,
        zero_stage=3,
        gradient_format="fp32",
        recompute="full",
        loss_chunks=8,
    )
    text = found.files[0].text
    assert found.cannot == ()
    for part in (
        "tensor_parallel_degree=8",
        "pipeline_parallel_degree=4",
        "context_parallel_degree=2",
        "data_parallel_shard_degree=2",
        'fsdp_reshard_after_forward="always"',
        'pipeline_parallel_schedule="Interleaved1F1B"',
        "for count in (10, 10, 10, 10, 10, 10, 10, 10)",
        "activation_checkpoint=FullAC.Config()",
        "ChunkedLossWrapper.Config(num_chunks=8",
        'model_registry("70B")',
        "local_batch_size=256",
        "global_batch_size=512",
    ):
        assert part in text, part


def test_titan_trains_adapters_and_replicas() -> None:
    text = launch(torchtitan, "llama-3.1-8b", "1x8:h100-sxm", dp=8, zero_stage=0, lora_rank=16).files[0].text
    assert "LoRAConverter.Config(rank=16, alpha=32.0)" in text
    assert "data_parallel_replicate_degree=8" in text
    assert "data_parallel_shard_degree=1" in text


def test_titan_says_what_it_lacks_and_what_would_do() -> None:
    said = " ".join(launch(torchtitan, tp=8, pp=8, dp=2, zero_stage=1, schedule="zero-bubble").cannot)
    assert "--zero 2 or 3" in said
    assert "--interleave 2" in said
    assert launch(torchtitan, "bloom-176b", tp=8, pp=8, dp=2).commands == ()


@pytest.mark.parametrize("stage", [2, 3])
def test_deepspeed_has_no_pipeline_under_zero_2_and_3(stage: int) -> None:
    found = launch(deepspeed, tp=8, pp=8, dp=2, zero_stage=stage)
    assert found.commands == ()
    assert found.files == ()
    assert "--zero 1" in found.cannot[0]


def test_deepspeed_batches_multiply() -> None:
    found = config(model="llama-2-7b", dp=128, micro_batch_size=2, zero_stage=3)
    assert found["train_batch_size"] == 512
    assert found["train_micro_batch_size_per_gpu"] * found["gradient_accumulation_steps"] * 128 == 512


def test_deepspeed_offloads() -> None:
    found = config(model="llama-2-7b", dp=128, zero_stage=3, offload="optimizer+weights", offload_to="nvme")
    zero = found["zero_optimization"]
    assert zero["offload_optimizer"]["device"] == zero["offload_param"]["device"] == "nvme"
    said = launch(deepspeed, dp=128, zero_stage=1, offload="optimizer+weights").cannot
    assert any("--zero 3" in sentence for sentence in said)


def test_deepspeed_lists_its_hosts() -> None:
    found = launch(deepspeed, model="llama-2-7b", cluster="2x8:h100-sxm@ib-ndr", dp=16, zero_stage=3)
    assert found.files[1].text == "HOST_1 slots=8\nHOST_2 slots=8\n"
    assert values(found, "deepspeed")["--hostfile"] == found.files[1].name


@pytest.mark.parametrize("engine", [megatron_lm, torchtitan, deepspeed])
def test_a_batch_that_does_not_divide_is_named(engine: Any) -> None:
    said = launch(engine, "llama-2-7b", "1x8:h100-sxm", dp=8, zero_stage=3, global_batch_size=30).cannot
    assert any("--global-batch 24" in sentence for sentence in said)


@pytest.mark.parametrize("engine", [megatron_lm, torchtitan, deepspeed])
def test_apple_trains_on_none(engine: Any) -> None:
    found = launch(engine, "llama-2-7b", "1x1:m2-ultra")
    assert found.commands == ()
    assert "Apple" in found.cannot[0]
