"""Time of matrix products and element-wise work on one accelerator.

Everything here is the roofline with its two corrections: work comes in whole tiles and whole waves of
tiles, and no kernel is free.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from farthing.predict.device import Device
from farthing.predict.trace import Number, formula, named, select

_TILES: Final = ((256, 128, 1.0), (128, 128, 1.0), (128, 64, 0.85), (64, 64, 0.7))
"""Rows and columns of an output tile that one compute unit makes, and the share of the peak that such tiles
allow: a small one loads more operands for each product."""


VECTOR_ROWS: Final = 8
"""Most tokens of a pass that engines multiply on vector units, reading each weight once for all of them."""

# The same formula either way; Python's own functions take a tenth of the time on plain numbers.
_SCALAR: Final[tuple[Callable[..., Any], ...]] = (max, min, math.ceil, math.floor)
_COLUMN: Final[tuple[Callable[..., Any], ...]] = (np.maximum, np.minimum, np.ceil, np.floor)


@formula(reference="kaplan-2020")
def matmul_flop(m: Number, n: Number, k: Number) -> Number:
    """Work of an (m x k) by (k x n) product: one multiplication and one addition each.

    Parameters
    ----------
    m, n, k
        Sizes, scalar or column.

    Returns
    -------
    Number
        [FLOP]

    References
    ----------
    kaplan-2020

    Examples
    --------
    >>> matmul_flop(8, 8192, 8192)
    1073741824
    """
    return 2 * m * n * k


@formula(reference="williams-2009")
def matmul_bytes(
    m: Number,
    n: Number,
    k: Number,
    *,
    weight_bytes_per_element: Number = 2.0,
    activation_bytes_per_element: Number = 2.0,
) -> Number:
    """Least memory traffic of a product: both operands read once, the result written once.

    Parameters
    ----------
    m, n, k
        Sizes, scalar or column; k x n is the weight.
    weight_bytes_per_element, activation_bytes_per_element
        [byte]

    Returns
    -------
    Number
        [byte]

    References
    ----------
    williams-2009

    Examples
    --------
    >>> matmul_bytes(1, 8192, 8192)
    134250496.0
    """
    return k * n * weight_bytes_per_element + m * (k + n) * activation_bytes_per_element


@formula(reference="williams-2009")
def roofline_time_s(
    work_flop: Number, traffic_bytes: Number, *, peak_flop_per_s: Number, memory_bytes_per_s: Number
) -> Number:
    """The least time that the peaks allow: the longer of computing and moving.

    Parameters
    ----------
    work_flop, traffic_bytes
        [FLOP], [byte], scalar or column.
    peak_flop_per_s, memory_bytes_per_s
        [FLOP/s], [byte/s]

    Returns
    -------
    Number
        [s]

    References
    ----------
    williams-2009

    Examples
    --------
    >>> roofline_time_s(330e12, 0.5e12, peak_flop_per_s=330e12, memory_bytes_per_s=1e12)
    1.0
    """
    return np.maximum(work_flop / peak_flop_per_s, traffic_bytes / memory_bytes_per_s)


@formula(
    reference="nvidia-2020-gemm-guide",
    name="work in whole tiles",
    shows="2 m n k with m and n rounded up to tiles, tiles to waves",
)
def quantised_flop(m: Number, n: Number, k: Number, compute_units: int) -> Number:
    """Work that whole tiles in whole waves occupy, as FLOP at the full rate of all units.

    The best of four tile shapes counts. Fewer tiles than units leave units idle, unless the inner dimension
    is long enough to be split among them.

    Parameters
    ----------
    m, n, k
        Sizes of the product, scalar or column.
    compute_units
        Units that each make one tile at a time; 0 returns the plain work.

    Returns
    -------
    Number
        [FLOP], never below ``2 m n k``.

    References
    ----------
    nvidia-2020-gemm-guide

    Examples
    --------
    A 4096 x 4096 result is 512 tiles of 256 x 128: 4.74 waves of 108 units, so 5 are paid.

    >>> round(quantised_flop(4096, 4096, 4096, 108) / (2 * 4096**3), 3)
    1.055
    """
    if not compute_units:
        return 2.0 * m * n * k
    if any(isinstance(size, np.ndarray) for size in (m, n, k)):
        return _tiled_flop(m, n, k, compute_units, _COLUMN)
    return _remembered_flop(m, n, k, compute_units)


def _tiled_flop(
    m: Number, n: Number, k: Number, compute_units: int, functions: tuple[Callable[..., Any], ...]
) -> Number:
    at_least, at_most, ceil, floor = functions
    # A few rows need no tile: vector units take up to 7 as they are, tensor units multiples of 8.
    height = select(m < 8, m, ceil(m / 8) * 8)
    best: Number = math.inf
    for full_rows, columns, share in _TILES:
        rows = at_most(full_rows, height)
        tiles = ceil(m / rows) * ceil(n / columns)
        splits = at_least(floor(at_most(compute_units / tiles, k / 512)), 1)
        waves = ceil(tiles * splits / compute_units) / splits
        best = at_most(best, waves * (compute_units * rows * columns * 2.0 / share) * k)
    return at_least(best, 2.0 * m * n * k)


@functools.lru_cache(maxsize=65_536)
def _remembered_flop(m: float, n: float, k: float, compute_units: int) -> float:
    """`_tiled_flop` of plain numbers: layers and repeated questions share their shapes."""
    return float(_tiled_flop(m, n, k, compute_units, _SCALAR))


@formula(reference="nvidia-2020-gemm-guide")
def matmul_time_s(
    m: Number,
    n: Number,
    k: Number,
    *,
    device: Device,
    weight_bytes_per_element: Number = 2.0,
    activation_bytes_per_element: Number = 2.0,
    count: Number = 1,
) -> Number:
    """Time of a matrix product: the longer of its tiles and its traffic, and one kernel's fixed time.

    Parameters
    ----------
    m, n, k
        Tokens, output width, inner width; scalar or column.
    device
        The accelerator.
    weight_bytes_per_element, activation_bytes_per_element
        [byte]
    count
        Such products in one grouped kernel (experts).

    Returns
    -------
    Number
        [s]

    References
    ----------
    nvidia-2020-gemm-guide, williams-2009

    Examples
    --------
    >>> from farthing.predict.device import Device
    >>> ideal = Device(matmul_flop_per_s=330e12, attention_flop_per_s=330e12,
    ...                memory_bytes=24e9, memory_bytes_per_s=1e12)
    >>> round(matmul_time_s(1, 8192, 8192, device=ideal) * 1e6, 1)
    134.3
    """
    work = quantised_flop(m, n, k, device.compute_units) * count
    if device.vector_s:
        work = _vector_work(work, m, m * n * k * count, device)
    traffic = (k * n * weight_bytes_per_element + m * (k + n) * activation_bytes_per_element) * count
    return _kernel_time_s(work, traffic, device)


def _vector_work(work: Number, m: Number, products: Number, device: Device) -> Number:
    """Work of a product, no less than what its few rows cost on the vector units [FLOP]."""
    vector = products * device.vector_s * device.reached_matmul_flop_per_s
    return select(m <= VECTOR_ROWS, np.maximum(work, vector), work)


def _kernel_time_s(work: Number, traffic: Number, device: Device) -> Number:
    """The longer of computing and of reading and writing, and a kernel's fixed time [s]."""
    computing = named("computing_s", work / device.reached_matmul_flop_per_s)
    moving = named("reading and writing_s", traffic / device.reached_memory_bytes_per_s)
    return np.maximum(computing, moving) + device.kernel_start_s


@formula(reference="williams-2009")
def elementwise_time_s(traffic_bytes: Number, *, device: Device, kernels: Number = 1) -> Number:
    """Time of norms, activations, residuals, copies: all are bound by memory.

    Parameters
    ----------
    traffic_bytes
        Bytes read and written [byte], scalar or column.
    device
        The accelerator.
    kernels
        Launches that it takes.

    Returns
    -------
    Number
        [s]

    References
    ----------
    williams-2009

    Examples
    --------
    >>> from farthing.predict.device import Device
    >>> ideal = Device(matmul_flop_per_s=330e12, attention_flop_per_s=330e12,
    ...                memory_bytes=24e9, memory_bytes_per_s=1e12)
    >>> elementwise_time_s(2e9, device=ideal)
    0.002
    """
    return traffic_bytes / device.reached_memory_bytes_per_s + device.kernel_start_s * kernels


@formula(reference="fedus-2022", unit="")
def experts_touched(experts: Number, experts_per_token: Number, tokens: Number) -> Number:
    """Experts that at least one of so many tokens is routed to, on average under even routing.

    ``E (1 - (1 - k/E)^tokens)``.

    Parameters
    ----------
    experts, experts_per_token, tokens
        Counts, scalar or column.

    Returns
    -------
    Number
        Between ``experts_per_token`` and ``experts``.

    References
    ----------
    fedus-2022

    Examples
    --------
    >>> experts_touched(8, 2, 1), round(experts_touched(8, 2, 16), 2)
    (2.0, 7.92)
    """
    return experts * (1 - (1 - experts_per_token / experts) ** tokens)


@formula(reference="fedus-2022")
def experts_matmul_time_s(
    token_slots: Number,
    active_experts: Number,
    n: Number,
    k: Number,
    *,
    device: Device,
    weight_bytes_per_element: Number = 2.0,
    activation_bytes_per_element: Number = 2.0,
) -> Number:
    """Time of one grouped product over the experts of a card.

    Each expert that any token reached is read once; its tokens fill tiles of their own.

    Parameters
    ----------
    token_slots
        Tokens times experts per token that this card handles, scalar or column.
    active_experts
        Experts of this card that are touched.
    n, k
        Output and inner width of an expert's matrix.
    device
        The accelerator.
    weight_bytes_per_element, activation_bytes_per_element
        [byte]

    Returns
    -------
    Number
        [s]

    References
    ----------
    fedus-2022, nvidia-2020-gemm-guide

    Examples
    --------
    >>> from farthing.predict.device import Device
    >>> ideal = Device(matmul_flop_per_s=1e15, attention_flop_per_s=1e15,
    ...                memory_bytes=80e9, memory_bytes_per_s=1e12)
    >>> round(experts_matmul_time_s(2, 2, 14336, 4096, device=ideal) * 1e6, 1)
    235.0
    """
    per_expert = np.maximum(token_slots / active_experts, 1.0)
    # Tiles of all experts share the waves: rows are padded expert by expert, units are not.
    step = select(per_expert < 8, 1, select(per_expert < 64, 8, 64))
    rows = np.ceil(per_expert / step) * step if device.compute_units else per_expert
    padded = quantised_flop(rows * active_experts, n, k, device.compute_units)
    if device.expert_share != 1:
        padded = padded / device.expert_share
    if device.vector_s:
        padded = _vector_work(padded, per_expert, token_slots * n * k, device)
    traffic = (
        active_experts * k * n * weight_bytes_per_element
        + token_slots * (k + n) * activation_bytes_per_element
    )
    return _kernel_time_s(padded, traffic, device)


@formula(reference="pope-2022", unit="")
def balance_tokens(
    *, peak_flop_per_s: Number, memory_bytes_per_s: Number, weight_bytes_per_element: Number = 2.0
) -> Number:
    """Tokens in one step at which computing takes as long as reading the weights.

    ``2 P tokens / peak = P bytes / bandwidth``.

    Parameters
    ----------
    peak_flop_per_s, memory_bytes_per_s
        [FLOP/s], [byte/s], scalar or column.
    weight_bytes_per_element
        [byte]

    Returns
    -------
    Number
        Tokens.

    References
    ----------
    pope-2022, li-2023-article

    Examples
    --------
    >>> balance_tokens(peak_flop_per_s=330e12, memory_bytes_per_s=1e12)
    330.0
    """
    return peak_flop_per_s / memory_bytes_per_s * weight_bytes_per_element / 2
