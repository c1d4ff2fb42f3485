"""Refits the constants of the architectures from the fitted quarter of the kernel measurements."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np

from farthing import catalog
from farthing.calibrate.attention import fit_attention, typical
from farthing.calibrate.collectives import fit_collectives
from farthing.calibrate.rows import columns_of, error_of, grouped, versions
from farthing.calibrate.search import least, rounded
from farthing.catalog.load import si_field
from farthing.evidence.kernels import card_of, product_time_s
from farthing.evidence.load import shipped
from farthing.evidence.split import is_fitted
from farthing.records.comparison import Case
from farthing.records.efficiency import (
    AttentionEfficiency,
    CollectiveEfficiency,
    Efficiency,
    ProductEfficiency,
)

SIZES: Final = ("m", "n", "k")

TILES: Final = {
    "matmul_share": (0.3, 1.0),
    "memory_share": (0.5, 0.95),
    "kernel_s": (0.5e-6, 5e-6),
    "wave_s": (0.1e-6, 5e-6),
    "tail_share": (0.05, 1.0),
    "unit_load_bytes_per_s": (2e10, 5e11),
    "inner_step_s": (0.1e-9, 5e-9),
    "split_s": (0.5e-6, 6e-6),
}
"""Constants of 16-bit products, and where they may lie."""

STARTS: Final = (
    (0.85, 0.8, 2e-6, 0.8e-6, 0.6, 6e10, 1e-9, 2e-6),
    (0.8, 0.85, 1.6e-6, 0.4e-6, 0.4, 1.6e11, 0.6e-9, 3e-6),
)

NEVER_SPLIT_S: Final = 5e-5
"""Where to look for kernels that do not split the inner width: no split would pay."""

QUANTISED: Final = {
    "matmul_share": (0.1, 1.0),
    "quantise_s": (0.1e-6, 40e-6),
    "quantise_row_s": (1e-11, 5e-8),
    "quantise_passes": (0.1, 30.0),
    "split_s": (0.5e-6, 2e-4),
    "launch_s": (0.1e-6, 600e-6),
}

ENGINES_WITHOUT_GRAPHS: Final = (("vllm", "fp8_block"),)
"""Products that were issued one by one by the host, not replayed from a graph."""

INHERITED: Final = (
    "kernel_s",
    "wave_s",
    "tail_share",
    "unit_load_bytes_per_s",
    "inner_step_s",
    "split_s",
    "attention_s",
    "attention_block_s",
    "unit_score_s",
    "unit_read_bytes_per_s",
    "ring_share",
    "ring_step_s",
    "collective_s",
    "collective_ramp_s",
    "collective_copied",
    "direct_s",
    "direct_share",
)
"""What the compute units of related architectures have in common."""

ATTENTION_LIKE: Final = ("blackwell-rtx", "blackwell-gb10")
"""Architectures without measurements whose attention is assumed to reach what that of their relative does."""

RELATIVES: Final = {
    "volta": "ampere",
    "ampere-ga10x": "ada",
    "ampere-ga10x-geforce": "ada",
    "ada-geforce": "ada",
    "blackwell-rtx": "ada",
    "blackwell-rtx-geforce": "ada",
    "cdna2": "ampere",
    "cdna3": "hopper",
    "cdna4": "hopper",
    "gpu": "ampere",
    "blackwell-gb10": "ada",
    "orin": "ada",
}
"""The nearest measured architecture of those without measurements."""

PRODUCT_COLUMNS: Final = (
    "engine",
    "format",
    "architecture",
    "matmul_share",
    "quantise_us",
    "quantise_row_us",
    "quantise_passes",
    "split_us",
    "launch_us",
    "fitted_on",
)
ATTENTION_COLUMNS: Final = (
    "engine",
    "format",
    "architecture",
    "phase",
    "rate_share",
    "start_us",
    "fitted_on",
)

ORDER: Final = ("format", "architecture", "engine", "library", "phase")
"""Columns that the rows are sorted by."""

COLLECTIVE_COLUMNS: Final = ("library", "architecture", "start_us", "fitted_on")

DATA: Final = Path(str(resources.files("farthing.catalog"))) / "data" / "efficiency"


def fit() -> None:
    """Rewrite ``architectures.csv`` and ``products.csv`` from the fitted quarter of the kernels' rows."""
    rows = [case for case in shipped("gemm") if is_fitted(case)]
    calls = grouped([case for case in shipped("attention") if is_fitted(case)], "system")
    exchanges = grouped([case for case in shipped("collective") if is_fitted(case)], "system")
    attention: list[AttentionEfficiency] = []
    collectives: list[CollectiveEfficiency] = []
    bases: dict[str, str] = {}
    found: dict[str, dict[str, Any]] = {}
    products: list[ProductEfficiency] = []
    for system, cases in grouped(rows, "system").items():
        card = card_of(system)
        start = catalog.efficiency(card)
        dense = [case for case in cases if case.cells["gemm_dtype"] == "bfloat16"]
        constants = _fit_tiles(dense, system, start)
        for (engine, dtype), own in grouped(cases, "backend", "gemm_dtype").items():
            if dtype != "bfloat16":
                products.append(_fit_product(own, system, engine, dtype, replace(start, **constants)))
        shared, own_rows = fit_attention(calls[system], system, replace(start, **constants))
        attention += own_rows
        links, link_rows = fit_collectives(exchanges.get(system, []), system, start)
        collectives += link_rows
        found[start.id] = {**constants, **shared, **links}
        parts = [f"{len(dense)} bf16 products", f"{len(calls[system])} calls of attention"]
        if links:
            parts.append(f"{len(exchanges[system])} collectives")
        bases[start.id] = f"{', '.join(parts)} on {card.name} (aiconfigurator-core 0.12.0)"
    products += _typical_rows(products)
    _write_rows("products.csv", PRODUCT_COLUMNS, products)
    _write_rows("attention.csv", ATTENTION_COLUMNS, attention + typical(attention))
    _write_rows("collectives.csv", COLLECTIVE_COLUMNS, collectives)
    _write_architectures(found, products, bases)


def _fit_tiles(cases: Sequence[Case], system: str, start: Efficiency) -> dict[str, Any]:
    card = card_of(system)
    parts = [(*columns_of(own, SIZES), engine) for engine, own in sorted(grouped(cases, "backend").items())]

    def loss(constants: dict[str, Any]) -> float:
        tried = replace(start, **constants)
        return sum(
            error_of(product_time_s(sizes, "bfloat16", engine, card, tried, None), measured)
            for sizes, measured, engine in parts
        )

    fits = [least(loss, dict(zip(TILES, values, strict=True)), TILES) for values in STARTS]
    return min(fits, key=lambda found: found[1])[0]


def _fit_product(
    cases: Sequence[Case], system: str, engine: str, dtype: str, constants: Efficiency
) -> ProductEfficiency:
    card = card_of(system)
    sizes, measured = columns_of(cases, SIZES)
    issued = (engine, dtype) in ENGINES_WITHOUT_GRAPHS
    row = ProductEfficiency(engine=engine, format=dtype, architecture=constants.id, matmul_share=1.0)

    def loss(values: dict[str, Any]) -> float:
        return error_of(
            product_time_s(sizes, dtype, engine, card, constants, replace(row, **values)), measured
        )

    fits = []
    begins = ((0.85, 2e-6), (0.6, 6e-6), (0.6, 10e-6))
    for (share, fixed_s), split_s in itertools.product(begins, (constants.split_s, NEVER_SPLIT_S)):
        start = {
            "matmul_share": constants.matmul_share * share,
            "quantise_s": fixed_s,
            "quantise_row_s": 1e-9,
            "quantise_passes": 3.0,
            "split_s": split_s,
        }
        if issued:
            start["launch_s"] = float(np.percentile(measured, 20))
        fits.append(least(loss, start, QUANTISED))
    values: dict[str, Any] = min(fits, key=lambda found: found[1])[0]
    return replace(row, **values, fitted_on=f"{len(cases)} products on {card.name} ({versions(cases)})")


def _text(value: float) -> str:
    return f"{rounded(value):g}"


def _write_rows(file: str, columns: Sequence[str], rows: Sequence[Any]) -> None:
    with (DATA / file).open("w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output, lineterminator="\n")
        writer.writerow(columns)
        for row in sorted(
            rows, key=lambda row: [str(getattr(row, name)) for name in ORDER if hasattr(row, name)]
        ):
            fields = [(getattr(row, name), factor) for name, factor in map(si_field, columns)]
            writer.writerow([value if isinstance(value, str) else _text(value / f) for value, f in fields])


def _typical_rows(rows: list[ProductEfficiency]) -> list[ProductEfficiency]:
    """What stands for engines, and for architectures, that nobody measured."""
    pairs = sorted({(row.architecture, row.format) for row in rows})
    formats = sorted({row.format for row in rows})
    return [_typical(rows, architecture, dtype, "*", architecture) for architecture, dtype in pairs] + [
        _typical(rows, "", dtype, "*", "*") for dtype in formats
    ]


def _typical(
    rows: list[ProductEfficiency], architecture: str, dtype: str, engine: str, named: str
) -> ProductEfficiency:
    own = [row for row in rows if row.format == dtype and architecture in ("", row.architecture)]
    return ProductEfficiency(
        engine=engine,
        format=dtype,
        architecture=named,
        matmul_share=float(np.median([row.matmul_share for row in own])),
        quantise_s=float(np.min([row.quantise_s for row in own])),
        quantise_row_s=float(np.median([row.quantise_row_s for row in own])),
        split_s=float(np.median([row.split_s for row in own])),
        quantise_passes=float(np.median([row.quantise_passes for row in own])),
        fitted_on=f"none: median of {len(own)} measured, the quickest conversion, replayed from a graph",
    )


def _write_architectures(
    found: Mapping[str, Mapping[str, float]], tables: Sequence[ProductEfficiency], bases: Mapping[str, str]
) -> None:
    """Put measured constants into their rows, and those of units into rows of architectures like them."""
    path = DATA / "architectures.csv"
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or []), list(reader)
    for row in rows:
        measured = found.get(RELATIVES.get(row["id"], row["id"]))
        if measured is None:
            continue
        own = row["id"] in found
        basis, _, sustained = row["fitted_on"].partition("; sustained share")
        if own:
            basis = bases[row["id"]]
        else:
            basis = f"{basis.partition('; compute units')[0]}; compute units as {RELATIVES[row['id']]}"
        row["fitted_on"] = basis + (f"; sustained share{sustained}" if sustained else "")
        for column in columns:
            name, factor = si_field(column)
            same = own or name in INHERITED or (name == "attention_share" and row["id"] in ATTENTION_LIKE)
            if name in measured and same:
                row[column] = _text(measured[name] / factor)
        if own:
            for column, formats in (("matmul_share_8bit", ("fp8", "sq")), ("matmul_share_4bit", ("nvfp4",))):
                shares = [
                    t.matmul_share
                    for t in tables
                    if (t.architecture, t.engine) == (row["id"], "*") and t.format in formats
                ]
                if shares:
                    row[column] = _text(shares[0])
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
