from __future__ import annotations

import pytest

from farthing.errors import FarthingError
from farthing.evidence.inference import compare
from farthing.evidence.inference_setup import engine_of, setup_of, weight_format
from farthing.evidence.load import shipped
from farthing.records.comparison import Case, Comparison

CELLS = {
    "engine": "TensorRT-LLM",
    "engine_version": "0.9.0",
    "model": "LLaMA 7B",
    "params_b": "6.7",
    "weight_dtype": "fp16",
    "kv_dtype": "fp16",
    "gpu": "A100-SXM-80GB",
    "n_gpus": "1",
    "n_nodes": "1",
    "tp": "1",
    "pp": "1",
    "ep": "",
    "dp": "",
    "interconnect": "",
    "batch": "16",
    "concurrency": "",
    "input_len": "128",
    "output_len": "128",
    "metric": "e2e_latency_ms",
    "value": "1800",
    "scope": "system",
    "notes": "q=A; static batch",
    "model_id": "llama-7b",
    "accelerator_id": "a100-sxm-80gb",
}


def case(source: str = "somebody", **changed: str) -> Case:
    return Case(file="", id="1", source=source, kind="inference", cells={**CELLS, **changed})


def predicted(source: str = "somebody", **changed: str) -> Comparison:
    return compare([case(source, **changed)])[0]


@pytest.mark.parametrize(
    ("name", "version", "source", "card", "expected"),
    [
        ("vLLM", "0.6.1 (README, MI300X)", "", "mi300x", "vllm-2024"),
        ("vLLM (modified, 2023)", "", "", "h100-sxm", "vllm-2023"),
        ("vLLM", "", "Argonne LLM-Inference-Bench", "h100-sxm", "vllm-2024"),
        ("vLLM", "", "a stranger", "h100-sxm", "vllm"),
        ("vLLM (rocm/vllm docker)", "rocm6.4.1_vllm_0.9.1_20250715", "", "mi300x", "vllm"),
        ("TensorRT-LLM", "0.9.0", "", "h100-sxm", "tensorrt-llm-2024"),
        ("TensorRT-LLM", "0.17", "", "h100-sxm", "tensorrt-llm-2025"),
        ("vLLM 0.6.5.dev964+mlperf50", "", "MLPerf Inference v5.1", "mi325x", "vllm"),
        ("TensorRT-LLM", "0.5.0", "", "h100-sxm", "tensorrt-llm-2023"),
        ("TensorRT 10.11, CUDA 12.9", "", "", "b200-sxm", "tensorrt-llm"),
        ("Deepspeed", "", "", "gaudi-2", "optimum-habana"),
        ("Deepspeed-MII", "", "", "a100", "deepspeed-inference"),
        ("Megatron-LM", "", "", "a100", "transformers"),
    ],
)
def test_generation_of_an_engine(name: str, version: str, source: str, card: str, expected: str) -> None:
    assert engine_of(name, version, source, card) == expected


@pytest.mark.parametrize(
    ("dtype", "notes", "engine", "expected"),
    [
        ("int4", "quantization GPTQ-Int4", "vllm-2024", "gptq-int4"),
        ("int8", "quantization GPTQ-Int8", "transformers", "gptq-int8"),
        ("int4-g32", "", "gpt-fast", "torchao-int4"),
        ("int4", "", "llama.cpp", "q4_k_m"),
        ("", "", "vllm", "fp16"),
    ],
)
def test_format_of_the_weights(dtype: str, notes: str, engine: str, expected: str) -> None:
    assert weight_format({"weight_dtype": dtype, "notes": notes}, engine) == expected


def test_a_rate_is_the_batch_over_its_latency() -> None:
    whole = predicted()
    rate = predicted(metric="output_tok_s", value="1100")
    assert rate.predicted == pytest.approx(16 * 128 / (whole.predicted / 1e3))
    assert rate.rate
    assert not whole.rate
    both = predicted(metric="total_tok_s", value="2200")
    assert both.predicted == pytest.approx(2 * rate.predicted)


def test_a_share_of_a_card_is_predicted_where_the_source_prints_one() -> None:
    system = predicted(metric="output_tok_s", value="1", n_gpus="2", tp="2")
    share = predicted(metric="output_tok_s", value="1", n_gpus="2", tp="2", scope="per_gpu")
    assert share.predicted == pytest.approx(system.predicted / 2)


def test_a_batch_that_does_not_fit_takes_turns_unless_it_is_static() -> None:
    large = {"batch": "64", "input_len": "2048", "output_len": "2048", "accelerator_id": "a100-sxm-40gb"}
    static = predicted(**large)
    turns = predicted(**large, notes="q=A; fixed batch")
    assert turns.predicted > 1.3 * static.predicted


def test_what_was_saturated_is_predicted_without_a_batch() -> None:
    found = predicted(batch="", metric="output_tok_s", value="2000", notes="q=B; saturation")
    assert not found.reason
    assert found.predicted > 5 * predicted(batch="1", metric="output_tok_s", value="80").predicted


def test_more_requests_a_second_wait_longer() -> None:
    slow, fast = (
        predicted(
            batch="", metric="ttft_ms", value="30", notes=f"q=B; open-loop request rate QPS={rate}, 500"
        )
        for rate in ("1", "8")
    )
    assert fast.predicted > slow.predicted


def test_a_die_is_half_of_a_card() -> None:
    whole = predicted(batch="1", metric="decode_tok_s_total", value="50", accelerator_id="mi250x")
    half = predicted(
        batch="1",
        metric="decode_tok_s_total",
        value="50",
        accelerator_id="mi250x",
        notes="q=A; one GCD (half)",
    )
    assert half.predicted < 0.7 * whole.predicted


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"value": "fast"}, "not a number"),
        ({"value": ""}, "nothing was measured"),
        ({"model_id": "", "model": "Nobody-7B"}, "the model is not in the catalogue"),
        ({"accelerator_id": "", "gpu": "abacus"}, "the accelerator is not in the catalogue"),
        ({"engine": "FlexGen"}, "offloaded"),
        ({"n_gpus": "3", "n_nodes": "2"}, "do not divide over the hosts"),
        ({"notes": "q=C; DECODE, per node"}, "one part of a larger"),
        ({"metric": "joy"}, "joy is not predicted"),
        ({"input_len": ""}, "no length"),
    ],
)
def test_what_is_refused_says_why(changed: dict[str, str], reason: str) -> None:
    found = predicted(**changed)
    assert reason in found.reason


def test_a_row_that_says_too_little_raises() -> None:
    with pytest.raises(FarthingError, match="no length"):
        setup_of(case("MLPerf Inference v5.1", model="unheard-of"))


def test_no_cell_can_crash_the_reader() -> None:
    for column in CELLS:
        for text in ("", "-1", "0", "nan", "x" * 40, "1e400", "0.5", "7", "1e9"):
            found = predicted(**{column: text})
            assert found.reason or found.predicted > 0


def test_most_shipped_rows_are_predicted() -> None:
    cases = shipped("inference")[::40]
    found = compare(cases)
    assert sum(not one.reason for one in found) > 0.95 * len(found)
    assert all(one.predicted > 0 and one.simple > 0 for one in found if not one.reason)


def test_a_first_token_behind_others_is_no_mere_prefill() -> None:
    loaded = {"batch": "", "concurrency": "16", "notes": "q=B; closed loop"}
    alone, behind = compare(
        [case(metric="ttft_ms", value="30"), case(metric="ttft_ms", value="30", **loaded)]
    )
    assert (alone.likeness.what, behind.likeness.what) == ("prefill", "first token under load")
    assert behind.likeness.regime == f"{alone.likeness.regime}, arriving"


def test_a_closed_loop_reads_the_others_prompts_in_a_first_token_or_in_the_answer() -> None:
    loop = {"batch": "", "concurrency": "8", "input_len": "2048", "notes": "q=B; closed loop"}
    first, step, whole, rate = (
        predicted(metric=metric, value="30", **loop).predicted
        for metric in ("ttft_ms", "tpot_ms", "e2e_latency_ms", "output_tok_s")
    )
    alone = predicted(metric="ttft_ms", value="30", batch="1", input_len="2048").predicted
    apart = predicted(metric="tpot_ms", value="30", batch="8", input_len="2048").predicted
    assert whole == pytest.approx(first + 127 * step)
    # All eight prompts are read once a turn: what a first token does not wait for holds the answer up.
    others = (first - alone - apart / 2) + (step - apart) * 128
    assert others == pytest.approx(7 * alone, rel=0.1)
    assert rate == pytest.approx(8 * 128 / whole * 1e3, rel=0.1)
