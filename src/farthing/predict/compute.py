"""Time of matrix products and element-wise work on one accelerator.

Everything here is the roofline with its corrections: work comes in whole tiles and waves of tiles, a tile
takes its time, and no kernel is free.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from farthing.predict.device import CACHE_SPEED, Device, Tiling
from farthing.predict.trace import Number, formula, larger, named, select

TILES: Final = ((256, 128), (128, 128), (64, 128), (64, 64))
"""Rows and columns of an output tile that one compute unit makes; kernels pick the shape that suits."""

AT_ONCE: Final = 1024
"""Products up to which the shapes of a tile are tried side by side: the columns stay in the fastest cache."""

SPLIT_WIDTH: Final = 256
"""Least inner width of one part where the inner dimension is split among units."""

VECTOR_ROWS: Final = 8
"""Most tokens of a pass that engines multiply on vector units, reading each weight once for all of them."""

# The same formula either way; Python's own functions take a tenth of the time on plain numbers.
_SCALAR: Final[tuple[Callable[..., Any], ...]] = (max, min, math.ceil)
_COLUMN: Final[tuple[Callable[..., Any], ...]] = (np.maximum, np.minimum, np.ceil)


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
    return larger(work_flop / peak_flop_per_s, traffic_bytes / memory_bytes_per_s)


@formula(
    reference="nvidia-2020-gemm-guide",
    name="time of whole tiles",
    shows="waves of output tiles at the reached matrix rate, fill and drain of each wave",
)
def tiles_time_s(
    m: Number,
    n: Number,
    k: Number,
    *,
    flop_per_s: Number,
    tiling: Tiling,
    weight_bytes_per_element: Number = 2.0,
    activation_bytes_per_element: Number = 2.0,
    count: Number = 1,
) -> Number:
    """Time in which the compute units make a product tile by tile, its operands at hand in the cache.

    Each unit makes one tile at a time, or a few at a share of its rate each, in steps along the inner
    dimension: a step takes as long as its arithmetic, as loading its operands, or as the units' latency
    allows, whichever is longest. Idle units of the last wave are paid in part, since kernels choose among
    tile shapes. Where tiles are fewer than units the inner dimension may be split among these, which then add
    their parts.

    Parameters
    ----------
    m, n, k
        Sizes of the product, scalar or column.
    flop_per_s
        Rate of all units with full tiles [FLOP/s].
    tiling
        The units and their constants.
    weight_bytes_per_element, activation_bytes_per_element
        [byte]
    count
        Such products in one grouped kernel.

    Returns
    -------
    Number
        [s], never below ``2 m n k / rate``.

    References
    ----------
    nvidia-2020-gemm-guide

    Examples
    --------
    A 4096 x 4096 result is 512 tiles of 256 x 128: 4.74 waves of 108 units, so 5 are paid.

    >>> units = Tiling(units=108, load_bytes_per_s=5e10)
    >>> round(tiles_time_s(4096, 4096, 4096, flop_per_s=300e12, tiling=units) / (2 * 4096**3 / 300e12), 3)
    1.055
    """
    sizes = (m, n, k, count, weight_bytes_per_element, activation_bytes_per_element, flop_per_s)
    if np.ndarray not in map(type, sizes):
        return _remembered_time_s(*sizes, tiling)
    products = np.broadcast(*sizes)
    if products.size > AT_ONCE:
        return _tiles_time_s(*sizes, tiling, TILES, _COLUMN)
    # Few numbers take less time than the calls that work on them: one call takes all shapes of a tile.
    return _tiles_time_s(*sizes, tiling, _side_by_side(products.ndim), _COLUMN).min(axis=0)


@functools.lru_cache(maxsize=8)
def _side_by_side(dimensions: int) -> Sequence[tuple[Number, Number]]:
    """All shapes of a tile as one pair of columns, along an axis before those of the products."""
    rows, columns = np.array(TILES).T.reshape(2, -1, *(1,) * dimensions)
    return ((rows, columns),)


def _tiles_time_s(
    m: Number,
    n: Number,
    k: Number,
    count: Number,
    weight_bytes: Number,
    activation_bytes: Number,
    flop_per_s: Number,
    tiling: Tiling,
    shapes: Sequence[tuple[Number, Number]],
    functions: tuple[Callable[..., Any], ...],
) -> Number:
    at_least, at_most, ceil = functions
    # A few rows need no tile: vector units take up to 7 as they are, tensor units multiples of 16 or so.
    height = select(m < 8, m, ceil(m / tiling.rows) * tiling.rows)
    adding = m * n * count * 8 / tiling.cache_bytes_per_s
    slots = tiling.units * tiling.unit_tiles
    best: Number = math.inf
    for full_rows, full_columns in shapes:
        rows, columns = at_most(full_rows, height), at_most(full_columns, n)
        tiles = ceil(m / full_rows) * ceil(n / full_columns) * count
        step = at_least(
            at_least(
                rows * columns * (2.0 * slots) / flop_per_s,
                (rows * activation_bytes + columns * weight_bytes) / tiling.load_bytes_per_s,
            ),
            tiling.step_s * activation_bytes,
        )
        full = tiles / slots
        waves = at_least(full + tiling.tail_share * (ceil(full) - full), 1.0)
        whole = waves * (tiling.wave_s + k * step)
        if not tiling.splits:
            best = at_most(best, whole)
            continue
        parts = at_least(at_most(1 / full, k / SPLIT_WIDTH), 1.0)
        split = tiling.wave_s + k / parts * step + tiling.split_s + adding * parts
        best = at_most(best, select(parts >= 2, at_most(whole, split), whole))
    return at_least(best, 2.0 * m * n * k * count / flop_per_s)


@functools.lru_cache(maxsize=65_536)
def _remembered_time_s(
    m: float, n: float, k: float, count: float, weight: float, activation: float, rate: float, tiling: Tiling
) -> float:
    """`_tiles_time_s` of plain numbers: layers and repeated questions share their shapes."""
    return float(_tiles_time_s(m, n, k, count, weight, activation, rate, tiling, TILES, _SCALAR))


@formula(reference="nvidia-2020-gemm-guide")
def matmul_time_s(
    m: Number,
    n: Number,
    k: Number,
    *,
    device: Device,
    weight_bytes_per_element: Number = 2.0,
    activation_bytes_per_element: Number = 2.0,
    output_bytes_per_element: Number = 0.0,
    count: Number = 1,
    cached_share: Number = 0.0,
) -> Number:
    """Time of a matrix product: its tiles and its traffic, and one kernel's fixed time.

    Parameters
    ----------
    m, n, k
        Tokens, output width, inner width; scalar or column.
    device
        The accelerator.
    weight_bytes_per_element, activation_bytes_per_element
        [byte]
    output_bytes_per_element
        Of the result; 0 for that of the activations [byte].
    count
        Such products in one grouped kernel (experts).
    cached_share
        Share of the traffic that the last-level cache serves: none of a model's weights, most of a small
        product that a benchmark repeats.

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
    written = output_bytes_per_element or activation_bytes_per_element
    traffic = k * n * weight_bytes_per_element + m * (k * activation_bytes_per_element + n * written)
    served = 1 - cached_share * (1 - 1 / CACHE_SPEED)
    return _kernel_time_s(
        m,
        n,
        k,
        traffic * count * served,
        device,
        weight_bytes_per_element,
        activation_bytes_per_element,
        count,
    )


def _kernel_time_s(
    m: Number,
    n: Number,
    k: Number,
    traffic: Number,
    device: Device,
    weight_bytes: Number,
    activation_bytes: Number,
    count: Number,
    share: float = 1.0,
) -> Number:
    """Computing at a share of the reached rate, reading and writing, and a kernel's fixed time [s].

    Ideal hardware does both at once; tiles wait for each other where both take long, and the root of the
    powers lies between the longer of the two and their sum.
    """
    moving = named("reading and writing_s", traffic / device.reached_memory_bytes_per_s)
    if not device.tiling.units:
        work = 2.0 * m * n * k * count
        computing = named("computing_s", work / (device.reached_matmul_flop_per_s * share))
        return larger(computing, moving) + device.kernel_start_s
    computing = tiles_time_s(
        m,
        n,
        k,
        flop_per_s=device.reached_matmul_flop_per_s * share,
        tiling=device.tiling,
        weight_bytes_per_element=weight_bytes,
        activation_bytes_per_element=activation_bytes,
        count=count,
    )
    power = device.overlap_power
    taken = (computing**power + moving**power) ** (1 / power)
    if device.vector_s:
        vector = m * n * k * count * device.vector_s
        taken = select(m <= VECTOR_ROWS, (vector**2 + moving**2) ** 0.5, taken)
    return taken + device.kernel_start_s


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
def experts_touched(
    experts: Number, experts_per_token: Number, tokens: Number, *, spread: float = 0.0
) -> Number:
    """Experts that at least one of so many tokens is routed to, on average.

    Under even routing ``E (1 - (1 - k/E)^tokens)``. Where some experts are more popular than others, later
    tokens hit the same ones more often: with popularities of a gamma distribution, ``(1 - k/E)^n`` becomes
    ``(1 + spread n k/E)^(-1/spread)``.

    Parameters
    ----------
    experts, experts_per_token, tokens
        Counts, scalar or column.
    spread
        Variance of the experts' popularity over its squared mean; 0 is even routing.

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
    >>> round(experts_touched(256, 8, 32)), round(experts_touched(256, 8, 32, spread=0.5))
    (163, 143)
    """
    if not spread:
        return experts * (1 - (1 - experts_per_token / experts) ** tokens)
    untouched = (1 + spread * (tokens - 1) * experts_per_token / experts) ** (-1 / spread)
    return experts - (experts - experts_per_token) * untouched


@formula(reference="deepseek-2024-v3", unit="")
def ranks_reached(experts_per_token: Number, ranks: Number) -> Number:
    """Cards of an expert-parallel group that hold at least one of a token's experts, on average.

    ``r (1 - (1 - 1/r)^k)``: a token goes once to each of these, however many of its experts they hold.

    Parameters
    ----------
    experts_per_token, ranks
        k and r; scalar or column.

    Returns
    -------
    Number
        Between 1 and the smaller of both.

    References
    ----------
    deepseek-2024-v3

    Examples
    --------
    >>> ranks_reached(8, 1), round(ranks_reached(8, 2), 2), round(ranks_reached(8, 64), 2)
    (1.0, 1.99, 7.58)
    """
    return ranks * (1 - (1 - 1 / ranks) ** experts_per_token)


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
    output_bytes_per_element: Number = 0.0,
    least_rows: Number = 1.0,
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
    output_bytes_per_element
        Of the result; 0 for that of the activations [byte].
    least_rows
        Rows of an expert that are computed at least, filled or not.

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
    written = output_bytes_per_element or activation_bytes_per_element
    traffic = active_experts * k * n * weight_bytes_per_element + token_slots * (
        k * activation_bytes_per_element + n * written
    )
    # Tiles of all experts share the waves.
    return _kernel_time_s(
        larger(token_slots / active_experts, least_rows)
        if device.tiling.units
        else token_slots / active_experts,
        n,
        k,
        traffic,
        device,
        weight_bytes_per_element,
        activation_bytes_per_element,
        active_experts,
        device.expert_share,
    )


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
