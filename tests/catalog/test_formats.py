"""Number formats: bits that follow from their layout."""

from __future__ import annotations

import re

import pytest

from farthing import catalog
from farthing.records.hardware import NumberFormat

COMPUTES = {"fp32", "tf32", "fp16", "bf16", "fp8", "fp4", "int8"}
TYPES = catalog.formats()


def of_family(family: str) -> list[NumberFormat]:
    return [one for one in TYPES.values() if one.family == family]


def test_there_is_enough_to_choose_from() -> None:
    assert len(TYPES) >= 90


@pytest.mark.parametrize("one", TYPES.values(), ids=TYPES)
def test_rows_are_sane(one: NumberFormat) -> None:
    assert re.fullmatch(r"[a-z0-9][a-z0-9._-]*", one.id)
    assert one.source
    assert 1 <= one.bits <= 32
    assert one.bytes_per_element == one.bits / 8
    assert one.compute in COMPUTES
    assert one.weights or one.activations or one.kv_cache


def test_gguf_bits_are_those_of_the_block_layouts() -> None:
    gguf = pytest.importorskip("gguf")
    sizes = {kind.name.lower(): 8 * size / block for kind, (block, size) in gguf.GGML_QUANT_SIZES.items()}
    checked = [one for one in TYPES.values() if one.id in sizes]
    assert len(checked) >= 24
    for one in checked:
        assert one.bits == sizes[one.id], one.id


def test_gguf_files_are_a_little_above_their_main_tensor_type() -> None:
    for one in of_family("gguf-file"):
        base = re.sub(r"(-file|_[sml])$", "", one.id)
        if base in TYPES and base.startswith("q"):
            assert TYPES[base].bits * 0.99 < one.bits < TYPES[base].bits + 0.9, one.id
    for size in ("q3_k", "q4_k", "q5_k"):
        assert TYPES[f"{size}_s"].bits < TYPES[f"{size}_m"].bits


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("fp8-block", 8 + 32 / 128**2),
        ("mxfp8", 8.25),
        ("mxfp4", 4.25),
        ("nvfp4", 4.5),
        ("w4a16", 4.125),
        ("gptq-int4", 4.15625),
        ("gptq-int8", 8.1875),
        ("gptq-int3", 3.1484375),
        ("awq-int4", 4.15625),
        ("bnb-nf4", 4.126953125),
        ("bnb-nf4-single", 4.5),
        ("torchao-int4", 5.0),
        ("mlx-4bit", 4.5),
        ("mlx-8bit", 8.5),
        ("q4_k_m", 4.89),
        ("q5_k_m", 5.70),
        ("q3_k_m", 4.00),
        ("q2_k-file", 3.16),
        ("q4_k", 4.5),
        ("q6_k", 6.5625),
    ],
)
def test_bits_with_scales(name: str, bits: float) -> None:
    assert catalog.number_format(name).bits == pytest.approx(bits, rel=2e-3)


def test_exl_names_are_their_bits() -> None:
    rows = of_family("exl2") + of_family("exl3")
    assert len(rows) >= 16
    for one in rows:
        assert one.bits == float(one.id.partition("-")[2])


def test_weight_only_formats_compute_in_16_bits() -> None:
    for family in ("gptq", "awq", "exl2", "exl3", "mlx", "gguf-file"):
        for one in of_family(family):
            assert one.compute == "fp16", one.id
            assert not one.activations, one.id


def test_caches_can_be_kept_in_the_usual_formats() -> None:
    for name in ("fp32", "fp16", "bf16", "fp8", "int8", "q8_0", "q4_0", "kv-int4", "nvfp4"):
        assert TYPES[name].kv_cache, name
    assert not TYPES["awq-int4"].kv_cache
