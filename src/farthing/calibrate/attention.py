"""Refits the constants of fused attention, of the architectures and of the engines' own kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from farthing.calibrate.rows import columns_of, error_of, grouped, versions
from farthing.calibrate.search import least, rounded
from farthing.errors import FarthingError
from farthing.evidence.kernels import (
    ATTENTION_NUMBERS,
    ATTENTION_WORDS,
    MOST_KV_SHARE,
    attention_format,
    attention_kernel_time_s,
    card_of,
)
from farthing.records.comparison import Case
from farthing.records.efficiency import AttentionEfficiency, Efficiency

SHARED: Final = {
    "attention_share": (0.1, 1.0),
    "attention_block_s": (0.05e-6, 10e-6),
    "unit_score_s": (1e-11, 2e-10),
    "unit_read_bytes_per_s": (1e10, 5e11),
}
"""Constants of an architecture, and where they may lie."""

STARTS: Final = ((0.7, 2e-6, 3.3e-11, 6e10), (0.9, 3e-6, 2.2e-11, 1e11))

OWN: Final = {"rate_share": (0.2, 3.0), "start_s": (1e-6, 40e-6)}
"""Constants of an engine's kernels of one format and phase; prompts reach no more than the peak."""

SHARES: Final = (0.6, 1.0)
"""Rates of an engine to start from: rows with windows and rows without can hold a search apart."""


def fit_attention(
    cases: Sequence[Case], system: str, start: Efficiency
) -> tuple[dict[str, Any], list[AttentionEfficiency]]:
    """Constants of the architecture of one card, and rows of the engines that were measured on it."""
    card = card_of(system)
    kinds = grouped(cases, "backend", "attn_dtype", "kv_cache_dtype", "phase")
    tables = {
        kind: [
            (dict(zip(ATTENTION_WORDS, words, strict=True)), *columns_of(own, ATTENTION_NUMBERS))
            for words, own in sorted(grouped(rows, *ATTENTION_WORDS).items())
        ]
        for kind, rows in sorted(kinds.items())
    }
    rows = {
        kind: AttentionEfficiency(
            engine=kind[0],
            format=attention_format({"attn_dtype": kind[1], "kv_cache_dtype": kind[2]}),
            architecture=start.id,
            phase=kind[3],
            rate_share=1.0,
            start_s=9e-6,
            fitted_on=f"{len(kinds[kind])} calls on {card.name} ({versions(kinds[kind])})",
        )
        for kind in sorted(kinds)
    }

    def loss_of(
        kind: tuple[str, ...], constants: Efficiency, base: AttentionEfficiency, values: dict[str, Any]
    ) -> float:
        row = replace(base, **values)
        found = [
            error_of(attention_kernel_time_s(sizes, words, card, constants, row), measured) * len(measured)
            for words, sizes, measured in tables[kind]
        ]
        return sum(found) / sum(len(measured) for _, _, measured in tables[kind])

    def together(own: dict[Any, AttentionEfficiency], values: dict[str, Any]) -> float:
        constants = replace(start, kv_share=start.memory_share, **values)
        return float(np.mean([loss_of(kind, constants, row, {}) for kind, row in own.items()]))

    best: tuple[float, dict[str, Any], dict[Any, AttentionEfficiency]] | None = None
    for values in STARTS:
        shared: dict[str, Any] = dict(zip(SHARED, values, strict=True))
        own = dict(rows)
        loss = np.inf
        for _ in range(6):
            constants = replace(start, kv_share=start.memory_share, **shared)
            for kind, row in own.items():
                most = 1 / constants.attention_share if row.phase == "context" else OWN["rate_share"][1]
                bounds = {**OWN, "rate_share": (OWN["rate_share"][0], most)}
                fits = [
                    least(
                        partial(loss_of, kind, constants, row),
                        {"rate_share": share, "start_s": row.start_s},
                        bounds,
                    )
                    for share in sorted({*SHARES, min(row.rate_share, most)})
                ]
                own[kind] = replace(row, **min(fits, key=lambda found: found[1])[0])
            shared, reached = least(partial(together, own), shared, SHARED)
            if reached > loss - 1e-4:
                break
            loss = reached
        if best is None or loss < best[0]:
            best = (loss, shared, own)
    if best is None:
        raise FarthingError("no start to fit attention from")
    return normalised(best[1], list(best[2].values()), start.memory_share)


def typical(rows: Sequence[AttentionEfficiency]) -> list[AttentionEfficiency]:
    """What stands for engines, and for architectures, that nobody measured."""
    found = []
    for architecture in [*sorted({row.architecture for row in rows}), "*"]:
        mine = [row for row in rows if architecture in ("*", row.architecture)]
        for format_, phase in sorted({(row.format, row.phase) for row in mine}):
            own = [row for row in mine if (row.format, row.phase) == (format_, phase)]
            found.append(
                AttentionEfficiency(
                    engine="*",
                    format=format_,
                    architecture=architecture,
                    phase=phase,
                    rate_share=float(np.median([row.rate_share for row in own])),
                    start_s=float(np.median([row.start_s for row in own])),
                    fitted_on=f"none: median of {len(own)} measured",
                )
            )
    return found


def normalised(
    shared: dict[str, Any], rows: Sequence[AttentionEfficiency], memory_share: float
) -> tuple[dict[str, Any], list[AttentionEfficiency]]:
    """The typical 16-bit engine's rates become the architecture's; rows hold factors on them."""

    def middle(phase: str) -> float:
        return float(
            np.median(
                [row.rate_share for row in rows if (row.format, row.phase) == ("bfloat16/bfloat16", phase)]
            )
        )

    attention_share = rounded(shared["attention_share"] * middle("context"))
    kv_share = rounded(min(memory_share * middle("generation"), MOST_KV_SHARE))
    factors = {
        "context": shared["attention_share"] / attention_share,
        "generation": memory_share / kv_share,
    }
    found = {
        **shared,
        "attention_share": attention_share,
        "kv_share": kv_share,
        "attention_s": float(np.median([row.start_s for row in rows])),
    }
    return found, [replace(row, rate_share=rounded(row.rate_share * factors[row.phase])) for row in rows]
