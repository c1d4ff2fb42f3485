"""No prediction of a single kernel beats the card, whatever the shape, the card, the engine and the format.

The bounds are worked out here anew: FLOPs over the dense peak of the format that the products run in, bytes
over the peak bandwidth, the last-level cache's part at its own rate, and what each card must send or receive
over its link.
"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from farthing.catalog.cluster import parse_cluster
from farthing.evidence.kernels import PRODUCTS, cached_share, card_of, compare
from farthing.predict.device import CACHE_SPEED, peak_flop_per_s
from farthing.records.comparison import Case
from farthing.records.hardware import Accelerator

SLACK = 1 + 1e-9
SYSTEMS = st.sampled_from(
    (
        "a100_sxm",
        "h100_sxm",
        "h200_sxm",
        "b200_sxm",
        "gb300",
        "l40s",
        "rtx_pro_6000_server",
        "rtx_4090",
        "b60",
    )
)
ENGINES = st.sampled_from(("vllm", "sglang", "trtllm", "another"))
sizes = st.integers(1, 40_000)


def predicted_s(kind: str, **cells: str) -> float:
    (found,) = compare([Case(file="", id="1", source="us", kind=kind, cells={"latency_ms": "1", **cells})])
    assert found.predicted > 0, found.reason
    return found.predicted * 1e-3


def reading_s(card: Accelerator, traffic: float, touched: float) -> float:
    """Least time of the traffic, where the cache serves the part of it that it holds of what is touched."""
    held = float(cached_share(np.array(touched), card))
    return traffic * (1 - held * (1 - 1 / CACHE_SPEED)) / card.memory_bytes_per_s


@given(SYSTEMS, ENGINES, st.sampled_from(sorted(PRODUCTS)), sizes, sizes, sizes)
def test_products(system: str, engine: str, dtype: str, m: int, n: int, k: int) -> None:
    card = card_of(system)
    compute, weight, activation = PRODUCTS[dtype]
    time = predicted_s("gemm", system=system, backend=engine, gemm_dtype=dtype, m=str(m), n=str(n), k=str(k))
    assert time * SLACK >= 2 * m * n * k / peak_flop_per_s(card, compute)
    # A benchmark turns over one copy of the operands at least, so the cache holds no larger a part.
    traffic = n * k * weight + m * k * activation + m * n * 2
    assert time * SLACK >= reading_s(card, traffic, traffic)


@given(
    SYSTEMS,
    ENGINES,
    st.sampled_from(("context", "generation")),
    st.sampled_from((("bfloat16", "bfloat16"), ("bfloat16", "fp8"), ("fp8", "fp8"))),
    st.integers(1, 512),
    st.integers(1, 16_384),
    st.sampled_from(((1, 1), (8, 1), (64, 1), (96, 2), (32, 8), (40, 40))),
    st.sampled_from((64, 128, 192, 256)),
    st.sampled_from((0, 128, 1024)),
    st.integers(0, 65_536),
)
def test_attention(
    system: str,
    engine: str,
    phase: str,
    formats: tuple[str, str],
    batch: int,
    tokens: int,
    heads: tuple[int, int],
    width: int,
    window: int,
    cached: int,
) -> None:
    card = card_of(system)
    new = tokens if phase == "context" else 1
    if phase == "generation":
        formats = ("bfloat16", formats[1])
    time = predicted_s(
        "attention",
        system=system,
        backend=engine,
        phase=phase,
        attn_dtype=formats[0],
        kv_cache_dtype=formats[1],
        batch_size=str(batch),
        isl=str(new),
        step=str(cached),
        num_heads=str(heads[0]),
        num_key_value_heads=str(heads[1]),
        head_dim=str(width),
        window_size=str(window or ""),
    )
    positions = np.arange(cached + 1, cached + new + 1, dtype=float)
    seen = float(np.minimum(positions, window or np.inf).sum())
    peak = peak_flop_per_s(card, "fp8" if formats[0] == "fp8" else "bf16")
    assert time * SLACK >= 4 * batch * heads[0] * width * seen / peak
    kept = min(cached + new, window + new - 1 if window else np.inf)
    stored = 1.0 if formats[1] == "fp8" else 2.0
    read = batch * 2 * width * (kept * heads[1] * stored + new * heads[0] * 2.0)
    assert time * SLACK >= reading_s(card, read, read)


@given(
    SYSTEMS,
    st.sampled_from(("nccl", "oneccl", "vllm", "custom_vllm", "custom_trtllm", "custom_sglang")),
    st.sampled_from(("all_reduce", "all_gather", "reduce_scatter", "alltoall")),
    st.sampled_from((2, 4, 8)),
    st.integers(1, 2**30),
)
def test_collectives(system: str, library: str, operation: str, ranks: int, elements: int) -> None:
    """A card sends (n-1)/n of the message, and twice that where sums are scattered and gathered."""
    time = predicted_s(
        "collective",
        system=system,
        library=library,
        op_name=operation,
        dtype="half",
        num_gpus=str(ranks),
        message_size=str(elements),
    )
    link = parse_cluster(f"1x{ranks}:{card_of(system).id}").groups[0].intra_link
    share = (1 - 1 / ranks) * (2 if operation == "all_reduce" else 1)
    assert time * SLACK >= share * 2 * elements / link.bytes_per_s
    assert time * SLACK >= link.latency_s
