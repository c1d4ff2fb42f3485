"""Reads files of measurements: the kind follows from the header, every cell stays text."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Mapping, Sequence
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


def kind_of(header: Sequence[str], file: str) -> str:
    """The kind of measurement that a header announces."""
    for kind, columns in COLUMNS.items():
        if columns <= set(header):
            return kind
    nearest, columns = max(COLUMNS.items(), key=lambda item: len(item[1] & set(header)) / len(item[1]))
    missing = ", ".join(sorted(columns - set(header)))
    if not columns & set(header):
        raise InvalidInput(
            f"{file}: the first line is the header of no kind of measurement; kinds: {', '.join(COLUMNS)} "
            "(see: farthing validate --help)"
        )
    raise InvalidInput(
        f"{file}: the header is of no known kind; the nearest, {nearest}, also needs {missing}"
    )


def read_cases(text: str, file: str) -> list[Case]:
    """All rows of a CSV text."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[list[str]] = []
    try:
        for row in reader:
            if row:
                rows.append([cell.strip() for cell in row])
    except csv.Error as error:
        raise InvalidInput(f"{file}: row {len(rows)} cannot be read as CSV: {error}") from None
    if not rows:
        raise InvalidInput(f"{file} is empty: it needs a header and a row for each measurement")
    header = rows[0]
    twice = [name for name, times in Counter(header).items() if times > 1]
    if twice:
        raise InvalidInput(f"{file}: the header names {twice[0] or 'an empty column'} twice")
    kind = kind_of(header, file)
    cases = []
    for number, row in enumerate(rows[1:], start=1):
        if len(row) != len(header):
            raise InvalidInput(
                f"{file}: row {number} has {len(row)} of the header's {len(header)} cells: is it cut short?"
                if len(row) < len(header)
                else f"{file}: row {number} has {len(row)} cells, the header {len(header)}"
            )
        cells = dict(zip(header, row, strict=True))
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


def read_file(path: Path, name: str = "") -> list[Case]:
    """All rows of a file, under a name that by default is the file's.

    Raises
    ------
    InvalidInput
        A file that cannot be read, an unknown header, a row that is cut short.
    """
    try:
        return read_cases(path.read_text("utf-8-sig"), name or path.name)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8 text: save it as CSV") from None


def read_files(paths: Sequence[Path]) -> list[Case]:
    """All rows of files; those of the same name go by their paths."""
    paths = list(dict.fromkeys(paths))
    names = Counter(path.name for path in paths)
    found: list[Case] = []
    for path in paths:
        found += read_file(path, path.name if names[path.name] == 1 else str(path))
    return found


def shipped(kind: str) -> list[Case]:
    """The cases of one kind that come with farthing."""
    file = resources.files("farthing.evidence") / "cases" / f"{kind}.csv"
    return read_cases(file.read_text("utf-8"), f"{kind}.csv")


def all_shipped() -> list[Case]:
    """The cases of all kinds that come with farthing."""
    return [case for kind in COLUMNS for case in shipped(kind)]
