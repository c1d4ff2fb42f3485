"""The accelerator catalogue holds sane, dense, sourced facts."""

from __future__ import annotations

import re

import pytest

from farthing import catalog
from farthing.records.hardware import Accelerator
from farthing.units import GIB, GIGA, TERA

ROWS = tuple(catalog.accelerators().values())

MEASURED = """
a10 a100 a100-pcie a100-pcie-40gb a100-pcie-80gb a100-sxm-40gb a100-sxm-80gb a10g a40 arc-a770 b200-sxm
b300-sxm dgx-spark gaudi-2 gaudi-3 gb200 gb300 gcp-c3d-highcpu-30 gh200-96gb h100-pcie h100-sxm
h100-sxm-96gb-500w h20 h200-nvl h200-sxm h800-sxm jetson-agx-orin-64gb l20 l40s m1 m1-max m1-ultra
m2-ultra m3-max m3-ultra m4-max m4-pro m5-max max-1550 mi250 mi250x mi300x mi325x mi50 p40
quadro-rtx-8000 raspberry-pi-4b raspberry-pi-5 rtx-3060 rtx-3070 rtx-3080 rtx-3080-ti rtx-3090
rtx-4000-ada rtx-4070-ti rtx-4080 rtx-4090 rtx-5000-ada rtx-5060-ti-16gb rtx-5070-ti rtx-5080 rtx-5090
rtx-6000-ada rtx-a5000 rtx-a6000 rtx-pro-6000 rx-6700-xt rx-6800-xt rx-7900-xtx ryzen-ai-max-395 tpu-v3
tpu-v4 tpu-v5e tpu-v5p tpu-v6e tpu-v7 v100-sxm-16gb v100-sxm-32gb
"""
"""What published measurements were taken on."""


def ids(row: Accelerator) -> str:
    return row.id


def test_it_is_broad() -> None:
    assert len(ROWS) >= 170
    assert {row.kind for row in ROWS} == {"gpu", "soc", "cpu", "tpu", "npu"}
    assert {"NVIDIA", "AMD", "Intel", "Apple", "Google", "AWS", "Huawei"} <= {row.vendor for row in ROWS}


@pytest.mark.parametrize("name", MEASURED.split())
def test_every_measured_accelerator_is_there(name: str) -> None:
    assert catalog.accelerator(name).id == name


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_row_is_complete_and_plausible(row: Accelerator) -> None:
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", row.id)
    assert row.name
    assert row.source
    assert re.fullmatch(r"[a-z0-9]+([-.][a-z0-9]+)*", row.architecture)
    assert 2014 <= row.year <= 2026
    on_chip_memory = row.id == "groq-lpu"
    assert on_chip_memory or 4 * GIB <= row.memory_bytes <= 6144 * GIB
    assert on_chip_memory or 10 * GIGA <= row.memory_bytes_per_s <= 8000 * GIGA
    assert row.tdp_w == 0 or 5 <= row.tdp_w <= 1500
    assert row.idle_w <= row.tdp_w / 2
    assert row.launch_price_usd == 0 or 50 <= row.launch_price_usd <= 50_000
    assert row.pcie_generation in (0, 3, 4, 5, 6)
    assert row.pcie_lanes in (0, 4, 8, 16)
    assert row.unified_memory == (row.kind in ("soc", "cpu") or row.id == "mi300a")
    assert not (row.kind in ("soc", "cpu") and row.peer_to_peer)


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_a_narrower_format_is_never_slower(row: Accelerator) -> None:
    rates = (
        row.tf32_flop_per_s,
        row.bf16_flop_per_s,
        row.fp16_flop_per_s,
        row.fp8_flop_per_s,
        row.fp4_flop_per_s,
    )
    known = [rate for rate in rates if rate]
    assert known == sorted(known)
    fp32_at_most = row.tf32_flop_per_s or row.fp16_flop_per_s or row.fp32_flop_per_s
    assert row.fp32_flop_per_s <= 1.001 * fp32_at_most
    assert row.fp16_fp32_accumulate_flop_per_s <= row.fp16_flop_per_s


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_rates_are_dense(row: Accelerator) -> None:
    """Formats halve in steps of two: a sparse figure beside a dense one would show as a step of four."""
    full_rate = row.bf16_flop_per_s == row.fp16_flop_per_s != 0
    if full_rate and row.vendor in ("NVIDIA", "AMD") and row.kind == "gpu":
        assert row.tf32_flop_per_s <= 0.51 * row.fp16_flop_per_s
        assert row.fp8_flop_per_s <= 2.03 * row.fp16_flop_per_s
    if row.fp8_flop_per_s and row.fp4_flop_per_s:
        assert row.fp4_flop_per_s <= 3.01 * row.fp8_flop_per_s


FULL = (  # dense fp16 FLOP per cycle and compute unit, at the fastest accumulation
    ("volta", 1024),
    ("turing", 1024),
    ("ampere", 2048),
    ("ampere-ga10x", 1024),
    ("ada", 1024),
    ("hopper", 4096),
    ("blackwell", 8192),
    ("blackwell-rtx", 1024),
    ("orin", 2048),
    ("cdna3", 2048),
    ("cdna4", 4096),
    ("rdna3", 512),
    ("rdna4", 1024),
)


@pytest.mark.parametrize(("architecture", "flop_per_cycle"), FULL)
def test_no_rate_needs_an_impossible_clock(architecture: str, flop_per_cycle: int) -> None:
    """A sparse figure taken for a dense one would ask for twice the real clock."""
    rows = [row for row in ROWS if row.architecture == architecture and row.compute_units]
    assert rows
    for row in rows:
        clock_hz = row.fp16_flop_per_s / (row.compute_units * flop_per_cycle)
        assert 0.4e9 <= clock_hz <= 3.2e9, row.id


PRINTED = (
    ("h100-sxm", "bf16_flop_per_s", 989.4),
    ("h100-sxm", "fp8_flop_per_s", 1978.9),
    ("h100-sxm", "tf32_flop_per_s", 494.7),
    ("h100-pcie", "bf16_flop_per_s", 756.5),
    ("h200-nvl", "bf16_flop_per_s", 835.5),
    ("h20", "bf16_flop_per_s", 148),
    ("a100-sxm-80gb", "bf16_flop_per_s", 312),
    ("a30", "bf16_flop_per_s", 165),
    ("a10", "bf16_flop_per_s", 125),
    ("a40", "bf16_flop_per_s", 149.7),
    ("v100-sxm-16gb", "fp16_flop_per_s", 125),
    ("t4", "fp16_flop_per_s", 65),
    ("l4", "bf16_flop_per_s", 121),
    ("l40s", "bf16_flop_per_s", 362),
    ("b200-sxm", "bf16_flop_per_s", 2250),
    ("b200-sxm", "fp4_flop_per_s", 9000),
    ("gb200", "fp8_flop_per_s", 5000),
    ("rtx-2080-ti", "fp16_flop_per_s", 107.6),
    ("rtx-2080-ti", "fp16_fp32_accumulate_flop_per_s", 53.8),
    ("rtx-3080", "fp16_flop_per_s", 119),
    ("rtx-3090", "fp16_flop_per_s", 142),
    ("rtx-3090", "bf16_flop_per_s", 71),
    ("rtx-4080", "fp16_flop_per_s", 195),
    ("rtx-4090", "fp16_flop_per_s", 330.3),
    ("rtx-4090", "fp16_fp32_accumulate_flop_per_s", 165.2),
    ("rtx-4090", "bf16_flop_per_s", 165.2),
    ("rtx-4090", "fp8_flop_per_s", 660.6),
    ("rtx-5090", "fp16_flop_per_s", 419),
    ("rtx-5090", "bf16_flop_per_s", 209.5),
    ("rtx-5090", "fp4_flop_per_s", 1676),
    ("rtx-a6000", "bf16_flop_per_s", 154.8),
    ("rtx-6000-ada", "bf16_flop_per_s", 364),
    ("rtx-pro-6000", "bf16_flop_per_s", 503.8),
    ("rx-7900-xtx", "fp16_flop_per_s", 122.8),
    ("rx-9070-xt", "fp16_flop_per_s", 195),
    ("mi50", "fp16_flop_per_s", 26.5),
    ("mi100", "bf16_flop_per_s", 92.3),
    ("mi250x", "bf16_flop_per_s", 383),
    ("mi300x", "fp8_flop_per_s", 2614.9),
    ("mi355x", "fp4_flop_per_s", 10066),
    ("gaudi-2", "bf16_flop_per_s", 432),
    ("gaudi-3", "bf16_flop_per_s", 1835),
    ("ryzen-ai-max-395", "fp16_flop_per_s", 59.4),
    ("tpu-v5p", "bf16_flop_per_s", 459),
    ("tpu-v7", "bf16_flop_per_s", 2307),
)


@pytest.mark.parametrize(("name", "field", "tera"), PRINTED)
def test_printed_dense_rates(name: str, field: str, tera: float) -> None:
    assert getattr(catalog.accelerator(name), field) == pytest.approx(tera * TERA, rel=0.005)


BANDWIDTH = (
    ("h100-sxm", 3352),
    ("a100-sxm-80gb", 2039),
    ("a100-sxm-40gb", 1555),
    ("h200-sxm", 4800),
    ("rtx-4090", 1008),
    ("rtx-3090", 936),
    ("mi300x", 5300),
    ("mi325x", 6000),
    ("m3-max", 400),
    ("m3-max-30c", 300),
    ("m4-max", 546),
    ("m4-max-32c", 410),
    ("dgx-spark", 273),
    ("epyc-9654", 12 * 4800 * 8 / 1000),
)


@pytest.mark.parametrize(("name", "giga"), BANDWIDTH)
def test_printed_bandwidths(name: str, giga: float) -> None:
    assert catalog.accelerator(name).memory_bytes_per_s == pytest.approx(giga * GIGA, rel=0.002)


def test_known_traps_of_public_tables() -> None:
    assert catalog.accelerator("mi325x").memory_bytes == 256 * GIB
    assert catalog.accelerator("v100-sxm-32gb").tdp_w == 300
    assert catalog.accelerator("v100-pcie-32gb").tdp_w == 250
    assert 180 * GIB <= catalog.accelerator("b200-sxm").memory_bytes <= 192 * GIB


GEFORCE = [row for row in ROWS if row.name.startswith("GeForce")]


@pytest.mark.parametrize("row", GEFORCE, ids=ids)
def test_geforce(row: Accelerator) -> None:
    assert not row.datacenter_licence
    generation = re.match(r"rtx-([2345]0)", row.id)
    if generation:
        assert not row.peer_to_peer
        assert row.fp16_fp32_accumulate_flop_per_s == pytest.approx(row.fp16_flop_per_s / 2, rel=1e-3)
    if row.architecture in ("pascal", "turing", "turing-gtx"):
        assert row.bf16_flop_per_s == 0


def test_only_geforce_and_titan_lack_the_licence() -> None:
    assert len(GEFORCE) > 30
    without = {row.name.split()[0] for row in ROWS if not row.datacenter_licence}
    assert without == {"GeForce", "TITAN"}


def test_links_exist() -> None:
    used = {row.link for row in ROWS} - {""}
    assert {"nvlink3", "nvlink4", "nvlink5", "xgmi-mi300", "ici-v5p"} <= used
    assert used <= set(catalog.links())


def test_unspecific_a100_are_the_80gb_modules() -> None:
    for name, like in (("a100", "a100-sxm-80gb"), ("a100-pcie", "a100-pcie-80gb")):
        card, twin = catalog.accelerator(name), catalog.accelerator(like)
        assert "taken as" in card.notes
        assert card.memory_bytes_per_s == twin.memory_bytes_per_s
        assert (card.link, card.tdp_w) == (twin.link, twin.tdp_w)
