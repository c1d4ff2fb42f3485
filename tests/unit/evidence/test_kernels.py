"""Readers of single kernels: what columns mean, and what is refused."""

from __future__ import annotations

import math

import pytest

from farthing import catalog
from farthing.evidence.kernels import compare
from farthing.records.comparison import Case

GEMM = {"system": "h100_sxm", "backend": "vllm", "gemm_dtype": "bfloat16", "latency_ms": "0.4"}
SHAPE = {"m": "4096", "n": "8192", "k": "8192"}
ATTENTION = {
    "system": "a100_sxm",
    "backend": "vllm",
    "phase": "generation",
    "batch_size": "64",
    "isl": "1",
    "num_heads": "32",
    "num_key_value_heads": "8",
    "head_dim": "128",
    "attn_dtype": "bfloat16",
    "kv_cache_dtype": "bfloat16",
    "step": "4095",
    "window_size": "",
    "latency_ms": "0.6",
}
REDUCE = {
    "system": "h100_sxm",
    "library": "nccl",
    "op_name": "all_reduce",
    "dtype": "half",
    "num_gpus": "8",
    "message_size": "268435456",
    "latency_ms": "2.1",
}


def case(kind: str, **cells: str) -> Case:
    return Case(file="", id="1", source="us", kind=kind, cells=cells)


def test_a_large_product_comes_near_its_peak() -> None:
    (found,) = compare([case("gemm", **GEMM, **SHAPE)])
    assert found.simple == pytest.approx(2 * 4096 * 8192**2 / 989.4e12 * 1e3)
    assert found.simple / 0.9 < found.predicted < found.simple / 0.6
    assert found.group == "matrix products, H100 SXM5 80 GB"


def test_quantised_products_pay_for_their_activations() -> None:
    """Eight bits halve the time of a large product, and cost a small one another kernel."""
    small = {"m": "16", "n": "512", "k": "512"}
    shapes = [{**GEMM, **SHAPE}, {**GEMM, **small}]
    wide = compare([case("gemm", **cells) for cells in shapes])
    narrow = compare([case("gemm", **{**cells, "gemm_dtype": "fp8"}) for cells in shapes])
    assert narrow[0].predicted < 0.75 * wide[0].predicted
    assert narrow[1].predicted > 1.3 * wide[1].predicted


def test_a_decode_step_reads_the_cache_once() -> None:
    """Its length is the one new token and the step before it; 64 x 4096 x 8 keys and values of 128."""
    (found,) = compare([case("attention", **ATTENTION)])
    kept = 64 * 4096 * 8 * 128 * 2 * 2
    assert found.simple == pytest.approx(kept / 2039e9 * 1e3, rel=0.01)
    assert 1.05 < found.predicted / found.simple < 1.6
    (windowed,) = compare([case("attention", **{**ATTENTION, "window_size": "128"})])
    assert windowed.predicted < found.predicted / 5


def test_messages_count_elements() -> None:
    """512 MiB in 16 bits: 7/8 of it twice, over 450 GB/s."""
    (found,) = compare([case("collective", **REDUCE)])
    (narrow,) = compare([case("collective", **{**REDUCE, "dtype": "int8"})])
    wire_ms = 2 * 7 / 8 * 2**29 / 450e9 * 1e3
    assert wire_ms < found.predicted < 1.6 * wire_ms
    assert narrow.predicted < 0.6 * found.predicted


def test_engines_bring_quick_kernels_for_short_messages() -> None:
    short = {**REDUCE, "message_size": "4096"}
    (library,) = compare([case("collective", **short)])
    (engine,) = compare([case("collective", **{**short, "library": "custom_vllm", "dtype": "bfloat16"})])
    assert engine.predicted < library.predicted / 2


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("gemm", {**GEMM, **SHAPE, "system": "z9000"}),
        ("gemm", {**GEMM, **SHAPE, "m": "many"}),
        ("gemm", {**GEMM, **SHAPE, "m": ""}),
        ("gemm", {**GEMM, **SHAPE, "gemm_dtype": "ternary"}),
        ("attention", {**ATTENTION, "phase": "dreaming"}),
        ("attention", {**ATTENTION, "window_size": "wide"}),
        ("collective", {**REDUCE, "op_name": "gossip"}),
        ("collective", {**REDUCE, "dtype": "ternary"}),
        ("collective", {**REDUCE, "num_gpus": "1"}),
    ],
)
def test_odd_cells_are_refused_with_a_reason(kind: str, cells: dict[str, str]) -> None:
    (found,) = compare([case(kind, **cells)])
    assert found.reason
    assert math.isnan(found.predicted)


def test_comparisons_keep_the_order_of_the_cases() -> None:
    cells = [{**GEMM, **SHAPE, "m": "64"}, {**GEMM, **SHAPE, "system": "l40s"}, {**GEMM, **SHAPE, "m": "65"}]
    assert [one.case.cells for one in compare([case("gemm", **one) for one in cells])] == cells


@pytest.mark.parametrize(
    ("kind", "cells", "other"),
    [
        ("gemm", GEMM | SHAPE, {"system": "H100 SXM"}),
        ("gemm", GEMM | SHAPE, {"gemm_dtype": "float16"}),
        ("gemm", GEMM | SHAPE | {"gemm_dtype": "sq"}, {"gemm_dtype": "w8a8"}),
        ("attention", ATTENTION, {"phase": "decode", "window_size": "0.0"}),
        ("attention", ATTENTION | {"kv_cache_dtype": "fp8"}, {"kv_cache_dtype": "fp8_e5m2"}),
        ("collective", REDUCE, {"op_name": "AllReduce", "num_gpus": "8.0", "dtype": "fp16"}),
    ],
)
def test_other_names_of_the_same(kind: str, cells: dict[str, str], other: dict[str, str]) -> None:
    one, two = compare([case(kind, **cells), case(kind, **cells | other)])
    assert one.predicted == two.predicted > 0


def test_a_format_of_the_cache_that_nobody_knows_is_not_taken_for_sixteen_bits() -> None:
    (found,) = compare([case("attention", **ATTENTION | {"kv_cache_dtype": "nvfp4"})])
    assert "nvfp4" in found.reason


def test_heads_share_keys_where_the_kernels_do() -> None:
    """FlashAttention 2 gives each head of a windowed decode step a block; FlashInfer reads its keys once."""
    step = {
        **ATTENTION,
        "num_heads": "64",
        "num_key_value_heads": "1",
        "system": "l40s",
        "window_size": "128",
    }
    second = compare([case("attention", **step)])[0]
    narrow = compare([case("attention", **{**step, "kv_cache_dtype": "fp8"})])[0]
    assert second.predicted > 3 * narrow.predicted
    wide = {**ATTENTION, "backend": "trtllm", "num_heads": "64", "num_key_value_heads": "2"}
    grouped, many = (
        compare([case("attention", **{**wide, "num_key_value_heads": kv})])[0] for kv in ("2", "1")
    )
    assert many.predicted > grouped.predicted


def test_architectures_that_are_like_another_have_its_attention() -> None:
    known = catalog.efficiencies()
    assert known["blackwell-rtx"].attention_share == known["ada"].attention_share
    assert known["blackwell-gb10"].attention_share == known["ada"].attention_share
