"""Peaks by format, and the shares of them that architectures reach."""

import pytest

from farthing.catalog import accelerator, efficiency
from farthing.errors import InvalidInput
from farthing.predict.device import device, peak_flop_per_s


@pytest.mark.parametrize(
    ("card", "compute", "tera"),
    [
        ("h100-sxm", "bf16", 989.4),  # dense: the 1979 of the data sheet is sparse
        ("h100-sxm", "fp8", 1978.9),
        ("a100-sxm-80gb", "bf16", 312),
        ("a100-sxm-80gb", "fp8", 312),  # no fp8 unit: widened
        ("a100-sxm-80gb", "int8", 624),
        ("a100-sxm-80gb", "fp4", 312),
        ("rtx-4090", "fp16", 165.15),  # fp32 accumulation halves GeForce
        ("a100-sxm-80gb", "tf32", 156),
        ("a100-sxm-80gb", "fp32", 19.5),
    ],
)
def test_dense_peaks(card: str, compute: str, tera: float) -> None:
    assert peak_flop_per_s(accelerator(card), compute) / 1e12 == pytest.approx(tera, rel=1e-3)


def test_unknown_formats_are_refused() -> None:
    with pytest.raises(InvalidInput, match="fp8"):
        peak_flop_per_s(accelerator("h100-sxm"), "fp7")


def test_shares_follow_the_format() -> None:
    card = accelerator("h100-sxm")
    constants = efficiency(card)
    assert device(card, "bf16", constants).matmul_share == constants.matmul_share
    assert device(card, "fp8", constants).matmul_share == constants.matmul_share_8bit
    # Widened to 16 bits, fp8 reaches what 16 bits reach.
    old = accelerator("a100-sxm-80gb")
    assert device(old, "fp8", efficiency(old)).matmul_share == efficiency(old).matmul_share


def test_ideal_devices_reach_their_peaks() -> None:
    card = device(accelerator("h100-sxm"), "bf16")
    assert card.reached_matmul_flop_per_s == card.matmul_flop_per_s
    assert card.reached_memory_bytes_per_s == card.memory_bytes_per_s
    assert (card.kernel_start_s, card.tiling.units) == (0, 0)
