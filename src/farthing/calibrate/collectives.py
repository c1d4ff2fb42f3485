"""Refits the constants of collectives inside a host, of the architectures and of the engines' own kernels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from farthing.calibrate.rows import columns_of, error_of, grouped
from farthing.calibrate.search import least
from farthing.evidence.kernels import (
    COLLECTIVE_WORDS,
    ELEMENT_BYTES,
    LIBRARIES,
    Column,
    card_of,
    collective_time_s,
)
from farthing.records.comparison import Case
from farthing.records.efficiency import CollectiveEfficiency, Efficiency

LIBRARY: Final = {
    "collective_s": (1e-6, 4e-5),
    "ring_step_s": (1e-8, 5e-6),
    "ring_share": (0.5, 1.0),
    "collective_ramp_s": (1e-6, 2e-4),
    "collective_copied": (0.01, 1.0),
}
"""Constants of a library on an architecture, and where they may lie."""

STARTS: Final = ((6e-6, 5e-7, 0.95, 3e-5, 0.4), (1e-5, 1e-6, 0.9, 5e-5, 0.3))

DIRECT: Final = {"direct_s": (1e-6, 2e-5), "direct_share": (0.2, 1.0)}

Table = list[tuple[dict[str, str], Column, Column]]


def fit_collectives(
    cases: Sequence[Case], system: str, start: Efficiency
) -> tuple[dict[str, Any], list[CollectiveEfficiency]]:
    """Constants of the architecture of one card, and rows of the engines that were measured on it."""
    card = card_of(system)

    def loss_of(table: Table, constants: Efficiency, row: CollectiveEfficiency | None) -> float:
        found = [
            error_of(collective_time_s(message, words, card, constants, row), measured) * len(measured)
            for words, message, measured in table
        ]
        return sum(found) / sum(len(measured) for _, _, measured in table)

    libraries = _table([case for case in cases if case.cells["library"] in LIBRARIES])
    if not libraries:
        return {}, []

    def library_loss(values: dict[str, Any]) -> float:
        return loss_of(libraries, replace(start, **values), None)

    def direct_loss(constants: Efficiency, table: Table, values: dict[str, Any]) -> float:
        return loss_of(table, replace(constants, **values), None)

    fits = [least(library_loss, dict(zip(LIBRARY, values, strict=True)), LIBRARY) for values in STARTS]
    best: dict[str, Any] = min(fits, key=lambda found: found[1])[0]
    constants = replace(start, **best)
    own = grouped([case for case in cases if case.cells["library"] not in LIBRARIES], "library")
    rows, shares = [], []
    for name, mine in sorted(own.items()):
        own_loss = partial(direct_loss, constants, _table(mine, quickest=True))
        values, _ = least(own_loss, {"direct_s": 4e-6, "direct_share": 0.6}, DIRECT)
        shares.append(values["direct_share"])
        rows.append(
            CollectiveEfficiency(
                library=name,
                architecture=start.id,
                start_s=values["direct_s"],
                fitted_on=f"{len(mine)} all-reduces on {card.name} ({_versions(mine)})",
            )
        )
    best["direct_s"] = float(np.median([row.start_s for row in rows]))
    best["direct_share"] = float(np.median(shares))
    return best, rows


def _table(cases: Sequence[Case], *, quickest: bool = False) -> Table:
    """Columns of cases that share their words; of the same message the quickest way alone, where asked."""
    found: Table = []
    for words, own in sorted(grouped(cases, *COLLECTIVE_WORDS).items()):
        columns, measured = columns_of(own, ("message_size",))
        named = dict(zip(COLLECTIVE_WORDS, words, strict=True))
        message = columns["message_size"] * ELEMENT_BYTES[named["dtype"]]
        if quickest:
            # Engines were also measured without graphs, which the rows do not tell apart.
            kept = np.array(
                [measured[i] < 1.5 * measured[message == message[i]].min() for i in range(len(own))]
            )
            message, measured = message[kept], measured[kept]
        found.append((named, message, measured))
    return found


def _versions(cases: Sequence[Case]) -> str:
    return ", ".join(sorted({f"{c.cells['library']} {c.cells['library_version']}" for c in cases}))
