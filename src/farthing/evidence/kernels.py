"""Single kernels of serving engines: matrix products, attention and collectives, one card or one host."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing import catalog
from farthing.errors import FarthingError
from farthing.evidence.outcome import compared, number, refused
from farthing.predict.compute import matmul_time_s
from farthing.predict.device import Device, device, peak_flop_per_s
from farthing.records.comparison import Case, Comparison, Likeness
from farthing.records.efficiency import Efficiency, ProductEfficiency
from farthing.records.hardware import Accelerator

Column = NDArray[np.float64]

SYSTEMS: Final = {
    "a100_sxm": "a100-sxm-80gb",
    "a100_pcie": "a100-pcie-80gb",
    "b60": "arc-pro-b60",
}
"""Machines whose name is not the card's id with underscores."""

PRODUCTS: Final = {
    "bfloat16": ("bf16", 2.0, 2.0),
    "fp8": ("fp8", 1.0, 1.0),
    "fp8_block": ("fp8", 1.0, 1.0),
    "nvfp4": ("fp4", 0.5625, 0.5625),
    "sq": ("int8", 1.0, 1.0),
    "int8_wo": ("bf16", 1.0, 2.0),
    "int4_wo": ("bf16", 0.5, 2.0),
}
"""Compute format, bytes of a weight and of an activation of the products that the sources name."""

HELD_SHARE: Final = 0.8
"""Part of the last-level cache that a repeated product finds its operands in."""

PARTLY_HELD: Final = 0.25
"""Hits of operands just too large for the cache; they fall with the square of the size."""


def compare(cases: Sequence[Case]) -> list[Comparison]:
    """Predictions of kernels' times, in the order of the cases."""
    makers: Mapping[str, Callable[[list[Case]], list[Comparison]]] = {
        "gemm": lambda rows: _by_columns(
            rows, ("system", "backend", "gemm_dtype"), ("m", "n", "k"), _product
        ),
    }
    return makers[cases[0].kind](list(cases)) if cases else []


def card_of(system: str) -> Accelerator:
    """The card of a machine's name; raises `UnknownName`."""
    return catalog.accelerator(SYSTEMS.get(system, system.replace("_", "-")))


def _by_columns(
    cases: list[Case],
    words: tuple[str, ...],
    numbers: tuple[str, ...],
    make: Callable[[dict[str, str], dict[str, Column]], tuple[Column, Column, str, Likeness]],
) -> list[Comparison]:
    """Predict cases that share their words as columns of numbers."""
    found: dict[int, Comparison] = {}
    groups: dict[tuple[str, ...], list[tuple[int, list[float]]]] = {}
    for place, case in enumerate(cases):
        try:
            values = [number(case, column) for column in ("latency_ms", *numbers)]
            if not all(value >= 0 for value in values) or values[0] == 0:
                raise FarthingError("a size or the time is missing")
        except FarthingError as error:
            found[place] = refused(case, "latency_ms", np.nan, str(error))
            continue
        groups.setdefault(tuple(case.cells.get(word, "") for word in words), []).append((place, values))
    for key, rows in groups.items():
        table = np.array([values for _, values in rows]).T
        columns = dict(zip(numbers, table[1:], strict=True))
        try:
            seconds, simple, group, likeness = make(dict(zip(words, key, strict=True)), columns)
        except FarthingError as error:
            for place, values in rows:
                found[place] = refused(cases[place], "latency_ms", values[0], str(error))
            continue
        for (place, values), time, least in zip(rows, seconds, simple, strict=True):
            found[place] = compared(
                cases[place],
                "latency_ms",
                values[0],
                float(time * 1e3),
                simple=float(least * 1e3),
                group=group,
                likeness=likeness,
            )
    return [found[place] for place in range(len(cases))]


def product_time_s(
    sizes: Mapping[str, Column],
    dtype: str,
    engine: str,
    card: Accelerator,
    constants: Efficiency,
    kernels: ProductEfficiency | None,
) -> Column:
    """Time of a product as a benchmark measures it: activations quantised, operands partly cached."""
    compute, weight, activation = PRODUCTS[dtype]
    m, n, k = sizes["m"], sizes["n"], sizes["k"]
    machine = product_device(card, compute, constants, kernels)
    weights = n * k * weight
    # Benchmarks take several copies of the weights in turn so that they do not stay in the cache; vLLM's
    # takes one where copies would be slow to make.
    if engine == "vllm":
        copies = np.full_like(m, 1.0 if dtype in ("fp8_block", "nvfp4") else 6.0)
    else:
        copies = np.clip(np.ceil(card.l2_bytes / weights), 1, 5)
    held = copies * weights + m * k * activation + m * n * 2
    share = np.minimum(HELD_SHARE * card.l2_bytes / held, 1.0)
    time: Column = matmul_time_s(
        m,
        n,
        k,
        device=machine,
        weight_bytes_per_element=weight,
        activation_bytes_per_element=activation,
        output_bytes_per_element=2.0,
        cached_share=np.where(share >= 1, 1.0, PARTLY_HELD * share**2),
    )
    if kernels is None:
        return time
    converted = kernels.quantise_s + kernels.quantise_passes * m * k / machine.reached_memory_bytes_per_s
    time = np.maximum(time + converted, kernels.launch_s)
    return time


def product_device(
    card: Accelerator, compute: str, constants: Efficiency, kernels: ProductEfficiency | None
) -> Device:
    """The card at the rate that an engine's products in a format reach."""
    machine = device(card, compute, constants)
    return machine if kernels is None else replace(machine, matmul_share=kernels.matmul_share)


def _product(words: dict[str, str], sizes: dict[str, Column]) -> tuple[Column, Column, str, Likeness]:
    card, dtype = card_of(words["system"]), words["gemm_dtype"]
    if dtype not in PRODUCTS:
        raise FarthingError(f"no such product: {dtype}")
    constants = catalog.efficiency(card)
    kernels = None
    if dtype != "bfloat16":
        kernels = catalog.product_efficiency(words["backend"], dtype, constants.id)
    time = product_time_s(sizes, dtype, words["backend"], card, constants, kernels)
    compute, weight, activation = PRODUCTS[dtype]
    m, n, k = sizes["m"], sizes["n"], sizes["k"]
    simple = np.maximum(
        2 * m * n * k / peak_flop_per_s(card, compute),
        (n * k * weight + m * k * activation + m * n * 2) / card.memory_bytes_per_s,
    )
    likeness = Likeness(what="matrix product", engine=words["backend"], hardware=constants.id, regime=dtype)
    return time, simple, f"matrix products, {card.name}", likeness
