"""Rows of fine-tuning, encoders and small models, completed by the habits of their frameworks."""

import pytest

from farthing.errors import InvalidInput
from farthing.evidence.fine_tuning import (
    INSTRUCTION_TOKENS,
    counted_tokens,
    fine_tuning_row,
    is_compiled,
    is_fine_tuning,
    is_small,
    longest_tokens_of,
    trains_adapters,
)
from farthing.records.comparison import Case


def case(source: str = "somebody", **cells: str) -> Case:
    usual = {"n_gpus": "1", "accelerator_id": "a100-sxm-80gb", "micro_batch": "1", "seq_len": "1024"}
    return Case(file="training.csv", id="1", source=source, kind="training", cells=usual | cells)


LORA = {"model": "Llama 2 7B LoRA", "model_id": "llama-2-7b", "framework": "HF Trainer"}


def test_rows_are_told_apart() -> None:
    assert trains_adapters(case(model="Llama 2 7 B Adapter v2"))
    assert is_fine_tuning(case(model="LLAMA2-7B SFT"))
    assert not trains_adapters(case(model="LLAMA2-7B SFT"))
    assert is_small(case(model="BERT-Base SQuAD"))
    assert not is_small(case(model="Llama 2 7B"))


def test_a_step_is_what_the_notes_say() -> None:
    row = fine_tuning_row(case(**LORA, notes="batch size 1, gradient accumulation 8 -> one step"))
    assert row.workload.global_batch_size == 8
    assert row.plan.recompute == "full"
    assert fine_tuning_row(case(**LORA)).workload.global_batch_size == 1


@pytest.mark.parametrize(
    ("dtype", "model", "expected"),
    [
        ("bnb.nf4-dq", "Llama LoRA", "bnb-nf4"),
        ("bnb.nf4", "Llama LoRA", "bnb-nf4-single"),
        ("int4+bf16", "Llama Q-LoRA", "gptq-int4"),
        ("bf16", "Llama QLoRA", "bnb-nf4"),
        ("bf16", "Llama LoRA", "bf16"),
        ("fp8", "Llama LoRA", "fp8"),
    ],
)
def test_weights_of_the_base_model(dtype: str, model: str, expected: str) -> None:
    row = fine_tuning_row(case(**(LORA | {"model": model, "dtype": dtype})))
    assert row.plan.weight_format == expected


def test_nvidia_runs_fp32_on_tf32_units() -> None:
    bert = {"model": "BERT-Base SQuAD", "model_id": "bert-base", "dtype": "fp32", "seq_len": "384"}
    assert fine_tuning_row(case(**bert, framework="PyTorch NGC")).plan.compute_format == "tf32"
    assert fine_tuning_row(case(**bert, framework="PyTorch DDP")).plan.compute_format == "fp32"


def test_padding_that_is_left_out_is_counted() -> None:
    row = {"model": "BERT-Large pre-training", "model_id": "bert-large", "framework": "PyTorch DDP"}
    nvidia = case("NVIDIA examples", **(row | {"seq_len": "512"}))
    assert fine_tuning_row(nvidia).workload.sequence_tokens == 288
    assert counted_tokens(nvidia, fine_tuning_row(nvidia)) == 512
    short = case("NVIDIA examples", **(row | {"seq_len": "128"}))
    assert fine_tuning_row(short).workload.sequence_tokens == 128


def test_lengths_that_are_not_stated() -> None:
    alpaca = case(**(LORA | {"seq_len": "", "notes": "Alpaca data, longest sample 1304 tokens"}))
    assert fine_tuning_row(alpaca).workload.sequence_tokens == INSTRUCTION_TOKENS
    assert longest_tokens_of(alpaca, INSTRUCTION_TOKENS) == 1304
    with pytest.raises(InvalidInput, match="length of the sequences"):
        fine_tuning_row(case(**(LORA | {"seq_len": ""})))


def test_a_segment_before_belongs_to_relative_positions() -> None:
    row = fine_tuning_row(case(model="Transformer-XL large", model_id="transformer-xl-large", seq_len="384"))
    assert row.workload.memory_tokens == 384
    assert fine_tuning_row(case(**LORA)).workload.memory_tokens == 0


def test_compiled_runs() -> None:
    assert is_compiled(case(framework="nanoGPT PyTorch 2.0 compile DDP"))
    assert not is_compiled(case(notes='cumulative step "+Packed dataset"'))
    assert is_compiled(case(notes='cumulative step "LoRA"'))


def test_layouts_that_are_not_stated_follow_from_memory_and_batch() -> None:
    cells = {"model": "Llama-2-70B LoRA", "model_id": "llama-2-70b", "seq_len": "8192", "global_batch": "8"}
    cells["notes"] = "division closed"
    hopper = case(**cells, accelerator_id="h100-sxm", n_gpus="64")
    plan = fine_tuning_row(hopper).plan
    assert (plan.tp, plan.cp, plan.dp, plan.engine) == (4, 2, 8, "nemo")
    blackwell = case(**cells, accelerator_id="b200-sxm", n_gpus="8")
    assert fine_tuning_row(blackwell).plan.tp == 1
