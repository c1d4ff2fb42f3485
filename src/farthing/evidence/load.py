"""Reads files of measurements: the kind follows from the header, every cell stays text."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Final

from farthing.errors import InvalidInput
from farthing.records.comparison import Case

COLUMNS: Final[Mapping[str, frozenset[str]]] = {
    "training": frozenset({"global_batch", "micro_batch", "seq_len", "step_time_s"}),
    "inference": frozenset({"weight_dtype", "input_len", "output_len", "metric", "value"}),
    "serving_online": frozenset({"isl", "osl", "silicon_ttft_ms", "silicon_tpot_ms"}),
    "consumer": frozenset({"quant", "prompt_len", "gen_len", "metric", "value"}),
    "cluster": frozenset({"hardware", "link_gbps", "link_rtt_ms", "metric", "value"}),
    "gemm": frozenset({"gemm_dtype", "m", "n", "k", "latency_ms"}),
    "attention": frozenset({"phase", "isl", "num_heads", "step", "latency_ms"}),
    "collective": frozenset({"op_name", "num_gpus", "message_size", "latency_ms"}),
}
"""Columns that tell a kind of measurement from the others."""


def kind_of(header: list[str], file: str) -> str:
    """The kind of measurement that a header announces."""
    for kind, columns in COLUMNS.items():
        if columns <= set(header):
            return kind
    nearest, columns = max(COLUMNS.items(), key=lambda item: len(item[1] & set(header)) / len(item[1]))
    missing = ", ".join(sorted(columns - set(header)))
    raise InvalidInput(
        f"{file}: the header is of no known kind; the nearest, {nearest}, also needs {missing}"
    )


def read_cases(text: str, file: str) -> list[Case]:
    """All rows of a CSV text."""
    reader = csv.DictReader(text.splitlines())
    header = [column.strip() for column in reader.fieldnames or []]
    if not header:
        raise InvalidInput(f"{file} is empty: it needs a header and a row for each measurement")
    kind = kind_of(header, file)
    cases = []
    for number, row in enumerate(reader, start=1):
        if None in row or None in row.values():
            raise InvalidInput(f"{file}: row {number} has more or fewer cells than the header")
        cells = {name.strip(): cell.strip() for name, cell in row.items()}
        source = cells.get("source") or source_of(kind, cells)
        cases.append(
            Case(file=file, id=cells.get("id") or str(number), source=source, kind=kind, cells=cells)
        )
    return cases


def source_of(kind: str, cells: Mapping[str, str]) -> str:
    """Who measured, where the layout has no column for it."""
    if kind == "serving_online":
        return " ".join(filter(None, (cells.get("backend"), cells.get("system"), cells.get("precision"))))
    if kind == "collective":
        return " ".join(filter(None, (cells.get("library"), cells.get("system"))))
    return " ".join(filter(None, (cells.get("backend"), cells.get("system"))))


def read_file(path: Path) -> list[Case]:
    """All rows of a file.

    Raises
    ------
    InvalidInput
        A file that cannot be read, an unknown header, a row that is cut short.
    """
    try:
        return read_cases(path.read_text("utf-8-sig"), path.name)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text: save it as CSV") from None


def shipped(kind: str) -> list[Case]:
    """The cases of one kind that come with farthing."""
    file = resources.files("farthing.evidence") / "cases" / f"{kind}.csv"
    return read_cases(file.read_text("utf-8"), f"{kind}.csv")
