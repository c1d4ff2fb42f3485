"""Rows of training runs become models, clusters and plans, and numbers in the source's own convention."""

from __future__ import annotations

import math

import pytest

from farthing import api
from farthing.catalog import model
from farthing.errors import InvalidInput
from farthing.evidence.shown_memory import shown_bytes
from farthing.evidence.training import GPU_HOURS, INCOMPLETE, MEMORY, PRE_TRAINING, compare
from farthing.evidence.training_rows import predictors_of, training_engine, training_row
from farthing.predict.parameters import total_parameters
from farthing.records.comparison import Case

GPT: dict[str, str] = {
    "model": "GPT-39B",
    "layers": "48",
    "hidden": "8192",
    "heads": "64",
    "vocab": "51200",
    "seq_len": "2048",
    "accelerator_id": "a100-sxm-80gb",
    "n_gpus": "512",
    "gpus_per_node": "8",
    "dtype": "fp16",
    "tp": "8",
    "pp": "2",
    "dp": "32",
    "recompute": "full",
    "micro_batch": "4",
    "global_batch": "1536",
    "framework": "Megatron-LM",
}


def case(source: str = "somebody", **cells: str) -> Case:
    return Case(file="x.csv", id="1", source=source, kind="training", cells=GPT | cells)


def test_a_stated_row() -> None:
    row = training_row(case())
    assert (row.model.ffn_hidden, row.model.gated_ffn, row.model.position) == (32768, False, "learned")
    assert row.cluster.name == "64x8:a100-sxm-80gb@ib-hdr"
    assert (row.plan.tp, row.plan.pp, row.plan.dp, row.plan.micro_batch_size) == (8, 2, 32, 4)
    assert row.stated


def test_habits_of_frameworks() -> None:
    early, later = training_row(case()).plan, training_row(case(accelerator_id="h100-sxm")).plan
    assert (early.flash_attention, early.sequence_parallel, early.zero_stage) == (False, False, 0)
    assert (early.overlap_data_parallel, later.overlap_data_parallel) == (0.0, 1.0)
    assert (later.flash_attention, later.sequence_parallel, later.zero_stage) == (True, True, 1)
    fsdp = training_row(case(framework="fms-fsdp", tp="1", pp="1", recompute="selective")).plan
    assert (fsdp.zero_stage, fsdp.recompute, fsdp.recompute_share) == (3, "full", 0.5)
    titan = training_row(case(framework="torchtitan", tp="1", pp="1", recompute="selective")).plan
    assert (titan.zero_stage, titan.recompute) == (3, "operations")


@pytest.mark.parametrize(
    ("name", "framework", "predictors"),
    [
        ("DeepSeekV3", "Megatron-Bridge 26.04", 1),
        ("DeepSeekV3 (w/o MTP)", "Megatron-Bridge 25.11", 0),
        ("DeepSeek V3 671B", "NeMo Automodel (PyTorch FSDP2)", 0),
    ],
)
def test_recipes_train_predictors(name: str, framework: str, predictors: int) -> None:
    row = case(model=name, model_id="deepseek-v3", framework=framework, tp="1", pp="2", ep="32")
    assert predictors_of(row, model("deepseek-v3"), training_engine(row)) == predictors


@pytest.mark.parametrize(
    ("notes", "framework", "engine"),
    [
        ("", "Megatron-DeepSpeed", "megatron-deepspeed"),
        ("division closed", "PyTorch NVIDIA Release 24.04", "nemo"),
        ("", "Megatron-Bridge/Megatron-Core 26.02", "nemo"),
        ("", "", ""),
    ],
)
def test_engines(notes: str, framework: str, engine: str) -> None:
    assert training_engine(case(framework=framework, notes=notes)) == engine


def test_entries_of_contests_are_tuned() -> None:
    entry = {"notes": "median time-to-train 9 min", "framework": "NVIDIA NeMo", "dtype": ""}
    entry["accelerator_id"] = "h100-sxm"
    usual, tuned = (
        training_row(case(accelerator_id="h100-sxm", dtype="")).plan,
        training_row(case(**entry)).plan,
    )
    assert (usual.compute_format, usual.interleave) == ("bf16", 1)
    assert (tuned.compute_format, tuned.overlap_tensor_parallel) == ("fp8", 1.0)
    assert tuned.interleave > 1
    older = training_row(case(**entry | {"framework": "NVIDIA NeMo Megatron Release 23.04"})).plan
    assert older.overlap_tensor_parallel == 0.0


def test_deepspeed_accumulates_in_sixteen_bits_where_it_scales_the_loss() -> None:
    half, brain = (
        training_row(case(framework="Megatron-DeepSpeed", dtype=dtype)).plan for dtype in ("fp16", "bf16")
    )
    assert (half.gradient_format, brain.gradient_format) == ("bf16", "fp32")


def test_a_local_batch_is_the_micro_batch_where_nothing_accumulates() -> None:
    cells = {"micro_batch": "", "pp": "1", "tp": "1", "dp": "512", "global_batch": "4096", "recompute": ""}
    cells |= {"framework": "Colossal-AI", "notes": "batch size per DP 8", "zero_stage": "2"}
    plan = training_row(case(**cells)).plan
    assert plan.micro_batch_size == 8


def test_memory_needs_the_micro_batch_and_fits_the_card() -> None:
    silent = case(mem_gb_per_gpu="40", micro_batch="")
    assert [one.reason for one in compare([silent]) if one.quantity == "mem_gb_per_gpu"] == [
        "the micro-batch is not stated"
    ]
    beyond = case(mem_gb_per_gpu="140")
    assert [one.reason for one in compare([beyond]) if one.quantity == "mem_gb_per_gpu"] == [
        "more memory than the card has"
    ]


def test_the_driver_shows_what_the_allocator_keeps() -> None:
    row = training_row(case())
    estimate = api.train(row.model, row.cluster, workload=row.workload, plan=row.plan)
    used, driver = (shown_bytes(case(), row, engine, estimate) for engine in ("megatron-lm", "deepspeed"))
    assert 1.1 * used < driver < estimate.memory.capacity_bytes
    assert shown_bytes(case(notes="allocated"), row, "deepspeed", estimate) < used


def test_models_cut_short() -> None:
    cells = {"model": "deepseekv3 truncated to 4 layers", "layers": "4", "hidden": "7168", "heads": "128"}
    row = training_row(case(**cells, ffn_hidden="2048", vocab="129280", experts="256", top_k="8", tp="1"))
    kinds = [kind.feed_forward for kind in row.model.layer_kinds]
    assert kinds == ["dense", "moe", "moe", "moe"]
    assert row.model.moe_ffn_hidden == 2048


def test_a_layout_that_is_not_told_fits() -> None:
    row = training_row(case(tp="", pp="", dp="", micro_batch="", model_id="gpt-3-175b", recompute=""))
    assert not row.stated
    assert row.plan.tp * row.plan.pp * row.plan.dp == 512
    assert row.plan.tp * row.plan.pp >= 8  # 175B parameters do not fit on fewer


def test_a_mixture_s_experts_are_shared_where_the_layout_is_not_told() -> None:
    cells = {
        "model": "DeepSeek-V3",
        "model_id": "deepseek-v3",
        "accelerator_id": "h100-sxm",
        "n_gpus": "1024",
    }
    plan = training_row(case(**cells, tp="", pp="", dp="", micro_batch="", layers="", hidden="")).plan
    assert plan.ep >= 8
    assert 256 % plan.ep == 0


def test_maxtext_names_models_by_their_scale() -> None:
    shape = dict.fromkeys(("layers", "hidden", "heads", "vocab"), "")
    cells = {"framework": "MaxText", "tp": "1", "pp": "1", "dp": "", **shape}
    row = training_row(case(model="128B model", **cells))
    # Seven doublings of the model of scale 1: two whole turns, and heads and network once more.
    assert (row.model.layers, row.model.hidden, row.model.heads, row.model.ffn_hidden) == (
        64,
        8192,
        128,
        57344,
    )
    # 64 * (4 * 8192 * 16384 + 3 * 8192 * 57344) + 2 * 32000 * 8192
    assert total_parameters(row.model) == pytest.approx(125.1e9, rel=1e-3)
    assert row.plan.zero_stage == 3
    with pytest.raises(InvalidInput, match="shape is not known"):
        training_row(case(model="22B model", **cells))


def test_a_bridge_joins_cards_where_the_row_states_one() -> None:
    cells = {"accelerator_id": "h200-nvl", "n_gpus": "8", "tp": "4", "pp": "1", "dp": "2"}
    links = [
        training_row(case(interconnect_intra=text, **cells)).cluster.groups[0].intra_link.id
        for text in ("4-way NVLink bridge", "PCIe Gen5")
    ]
    assert links[0] == "nvlink-bridge-h200-nvl"
    assert links[1].startswith("pcie")


def test_rates_in_the_source_s_convention() -> None:
    printed = {"tflops_per_gpu": "138", "hfu": "0.44"}
    hardware = {one.quantity: one.predicted for one in compare([case(notes="HARDWARE flops", **printed)])}
    model = {one.quantity: one.predicted for one in compare([case(notes="", **printed)])}
    assert hardware["tflops_per_gpu"] / model["tflops_per_gpu"] == pytest.approx(4 / 3, rel=0.02)
    assert hardware["tflops_per_gpu"] / 312 == pytest.approx(hardware["hfu"], rel=0.02)


def test_groups_and_reasons() -> None:
    cells = {"step_time_s": "14.7", "mem_gb_per_gpu": "60", "gpu_hours": "100"}
    found = {one.quantity: one for one in compare([case(**cells)])}
    assert found["step_time_s"].group == PRE_TRAINING
    assert found["mem_gb_per_gpu"].group == MEMORY
    assert (found["gpu_hours"].group, bool(found["gpu_hours"].reason)) == (GPU_HOURS, True)
    (open_layout,) = compare([case(tp="", step_time_s="14.7")])
    assert open_layout.group == INCOMPLETE
    assert math.isfinite(open_layout.predicted)
    (wrong,) = compare([case(dp="", tp="7", step_time_s="14.7")])
    assert wrong.reason
    (unknown,) = compare([case(model="mystery", layers="", hidden="", step_time_s="1")])
    assert unknown.reason == "the model's shape is not known"


def test_memory_that_counts_tensors_alone_is_less() -> None:
    (allocated,) = compare([case(mem_gb_per_gpu="60", notes="allocated GiB (max rank)")])
    (everything,) = compare([case(mem_gb_per_gpu="60", notes="")])
    assert allocated.predicted < everything.predicted


@pytest.mark.parametrize("framework", ["Megatron-LM", "Megatron-Bridge/Megatron-Core 26.02", "NeMo 24.07"])
def test_what_was_measured_has_no_part_in_a_prediction(framework: str) -> None:
    given = {"step_time_s": "40", "tokens_per_s_per_gpu": "150", "tflops_per_gpu": "130", "mfu": "0.4"}
    other = {name: str(3 * float(value)) for name, value in given.items()}
    first, second = (compare([case(framework=framework, **cells)]) for cells in (given, other))
    assert [one.predicted for one in first] == [one.predicted for one in second]
    assert [one.measured for one in second] == [120.0, 450.0, 390.0, pytest.approx(1.2)]
