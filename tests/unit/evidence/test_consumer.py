"""Rows of consumer hardware: names of quantisations, splits, loads, and what cannot be read."""

from __future__ import annotations

import math

import pytest

from farthing import catalog
from farthing.errors import FarthingError
from farthing.evidence.consumer import about_of, compare, setup_of
from farthing.evidence.consumer_setup import CORE_BYTES_PER_S, card_of, engine_of, power_limited
from farthing.evidence.load import shipped
from farthing.evidence.weight_names import sized, weight_format
from farthing.records.comparison import Case

ROW = {
    "engine": "llama.cpp llama-bench",
    "model": "Llama-2-7B",
    "model_id": "llama-2-7b",
    "quant": "Q4_0",
    "gpu": "RTX 3090 24GB",
    "accelerator_id": "rtx-3090",
    "n_gpus": "1",
    "batch": "1",
    "gen_len": "128",
    "metric": "decode_tok_s",
    "value": "158",
}


def case(**cells: str) -> Case:
    return Case(file="x.csv", id="1", source="a scoreboard", kind="consumer", cells={**ROW, **cells})


@pytest.mark.parametrize(
    ("quant", "model", "engine", "formats"),
    [
        ("7b.Q4_K_M", "llama-2-7b", "llama.cpp", ("q4_k_m", "")),
        ("Q4_K_XL", "gemma-3-27b-it-UD-Q4_K_XL", "llama.cpp", ("q4_k_m", "")),
        ("Q2_K - Medium", "", "llama.cpp", ("q2_k-file", "")),
        ("MoE", "gpt-oss-20b-mxfp4", "llama.cpp", ("mxfp4", "q8_0")),
        ("F16", "gpt-oss-20b-F16", "llama.cpp", ("mxfp4", "fp16")),
        ("4bit", "Qwen3-8B-4bit", "mlx", ("mlx-4bit", "")),
        ("INT4-g32-symmetric", "Laguna", "vllm", ("w4a16-g32", "")),
        ("unknown", "QuantTrio-Qwen3.6-27B-AWQ", "vllm", ("awq-int4", "")),
        ("GPTQ-Int8", "", "vllm", ("gptq-int8", "")),
        ("W8A16", "", "vllm", ("w8a16", "")),
        ("nf4", "", "transformers", ("bnb-nf4", "")),
        ("q4f16_1", "", "mlc-llm", ("w4a16-g32", "")),
        ("4-bit", "", "tinychat", ("awq-int4", "")),
        ("AWQ, int8 KV", "", "vllm", ("awq-int4", "")),
        ("Q4 kv-q8", "", "llama.cpp", ("q4_k_m", "")),
        ("Q6_K_L", "", "llama.cpp", ("q6_k", "")),
        ("", "gpt-oss-120b", "llama.cpp", ("mxfp4", "q8_0")),
    ],
)
def test_names_of_quantisations(quant: str, model: str, engine: str, formats: tuple[str, str]) -> None:
    found = weight_format(quant, model, engine)
    assert found == formats
    assert all(id in catalog.formats() for id in found if id)


def test_a_format_that_is_not_known_is_told_by_its_bits_or_refused() -> None:
    assert weight_format("IQ3_K - 3.4325 bpw", "", "ik_llama.cpp")[0] == "q3_k@3.4325"
    for quant, reason in (("hqq2", "not in the catalogue"), ("?", "not stated")):
        with pytest.raises(FarthingError, match=reason):
            weight_format(quant, "", "vllm")


def test_file_size_tells_the_bits() -> None:
    weights, dense = sized("mxfp4", "q8_0", catalog.models()["gpt-oss-20b"], 12.1e9)
    assert weights == "mxfp4"
    assert catalog.number_format(dense).bits == pytest.approx(8.5, rel=0.05)


def test_depth_of_the_cache() -> None:
    prompt = setup_of(case(metric="prefill_tok_s", prompt_len="2048", notes="pp2048 @ d8192"), {}).workload
    assert prompt.prompt_tokens == 10240
    assert prompt.prefix_share == pytest.approx(0.8)
    answer = setup_of(case(notes="tg128 @ d8192"), {}).workload
    assert answer.context_tokens == 8192 + 64


def test_cards_share_layers_or_matrices() -> None:
    layers = setup_of(case(n_gpus="2"), {}).plan
    assert (layers.tp, layers.pp) == (1, 2)
    matrices = setup_of(case(engine="vllm 0.25.0", quant="BF16", n_gpus="2", parallelism="tp2"), {}).plan
    assert (matrices.tp, matrices.pp) == (2, 1)


def test_cards_on_board_computers_are_refused() -> None:
    with pytest.raises(FarthingError, match="board computer"):
        setup_of(case(notes="pp512; build 7293, Raspberry Pi CM5 host"), {})


def test_early_engines_are_told_by_date() -> None:
    assert setup_of(case(engine="llama.cpp (May 2024)"), {}).plan.engine == "llama.cpp-2024"
    assert setup_of(case(engine="llama.cpp Vulkan"), {}).plan.engine == "llama.cpp-vulkan"
    before = setup_of(case(engine="llama.cpp Vulkan (Jan 2025)"), {})
    assert before.plan.engine == "llama.cpp-vulkan-2024"
    assert about_of(before).devices[0].matmul_flop_per_s == before.card.fp32_flop_per_s


def test_early_engines_are_told_by_the_number_of_a_change() -> None:
    card = catalog.accelerator("rtx-3090")
    found = [engine_of(case(engine=f"llama.cpp PR #{pull}"), card) for pull in (7675, 7676)]
    assert found == ["llama.cpp-2024", "llama.cpp"]


def test_a_server_run_without_lengths_tells_no_context() -> None:
    sweep = case(notes="kv_dtype_sweep; TTFT p50 34051.7 ms", prompt_len="", gen_len="")
    with pytest.raises(FarthingError, match="length"):
        setup_of(sweep, {})


def test_power_limit_slows_all_but_never_below_memorys_own_draw() -> None:
    card = catalog.accelerators()["rtx-3090"]
    limited = power_limited(card, 220.0)
    assert 0.7 < limited.memory_bytes_per_s / card.memory_bytes_per_s < 0.85
    assert power_limited(card, 50.0) is card
    assert power_limited(card, 500.0) is card


def test_few_threads_draw_less_bandwidth() -> None:
    cells = {"gpu": "CPU Ryzen 9 7950X", "accelerator_id": ""}
    assert card_of(case(notes="1 threads", **cells)).memory_bytes_per_s == CORE_BYTES_PER_S


@pytest.mark.parametrize(
    ("threads", "flop_per_s"),
    [(4, 4 * 3.0e9 * 32), (8, 8 * 3.0e9 * 32), (12, 8 * 3.0e9 * 32 + 4 * 2.2e9 * 16), (32, 1.3312e12)],
)
def test_threads_take_the_fast_cores_first(threads: int, flop_per_s: float) -> None:
    card = card_of(case(notes=f"{threads} threads", gpu="CPU i9-13900K", accelerator_id=""))
    assert card.fp32_flop_per_s == pytest.approx(flop_per_s, rel=1e-3)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"gpu": "a phone", "accelerator_id": ""}, "accelerator"),
        ({"model": "something new", "model_id": ""}, "model"),
        ({"notes": 'spec_decode {"method": "mtp"}'}, "speculative"),
        ({"metric": "prefill_tok_s", "gen_len": ""}, "length"),
        ({"value": "fast"}, "not a number"),
        ({"metric": "joy"}, "metric"),
        ({"quant": "?"}, "quantisation"),
    ],
)
def test_what_cannot_be_predicted_says_why(cells: dict[str, str], reason: str) -> None:
    (found,) = compare([case(**cells)])
    assert reason in found.reason
    assert math.isnan(found.predicted)


def test_shipped_rows_stay_below_the_roofline_and_are_mostly_covered() -> None:
    found = compare(shipped("consumer"))
    predicted = [one for one in found if not one.reason]
    assert len(predicted) > 0.7 * len(found)
    assert all(one.predicted <= one.simple * 1.001 for one in predicted)


@pytest.mark.parametrize(
    ("engine", "quant", "found"),
    [
        ("TensorRT-LLM 1.0", "fp16", "tensorrt-llm"),
        ("llamafile 0.9", "Q4_0", "llama.cpp"),
        ("Jan", "Q4_K_M", "llama.cpp"),
        ("", "IQ4_XS", "llama.cpp"),
    ],
)
def test_engines_by_name_or_by_what_they_read(engine: str, quant: str, found: str) -> None:
    assert engine_of(case(engine=engine, quant=quant), catalog.accelerator("rtx-3090")) == found


@pytest.mark.parametrize(("engine", "reason"), [("Zebra", "not in the catalogue"), ("", "not stated")])
def test_engines_that_nothing_tells(engine: str, reason: str) -> None:
    with pytest.raises(FarthingError, match=reason):
        engine_of(case(engine=engine, quant="fp16"), catalog.accelerator("rtx-3090"))
