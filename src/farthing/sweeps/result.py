"""What became of a sweep."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from farthing.errors import InvalidInput
from farthing.records.search import Task
from farthing.sweeps.answer import Row
from farthing.sweeps.columns import Cell
from farthing.sweeps.table import pandas_frame, polars_frame, read_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """A finished sweep.

    Attributes
    ----------
    task
        ``training`` or ``inference``.
    columns
        Type of the cells by column, in the order of the columns.
    questions
        Rows of the table.
    resumed
        Of these, rows that an earlier, interrupted run had answered.
    fitting, errors
        Rows whose plan fits, and rows that say why the question cannot be asked.
    machines
        On Ray: rows of each machine that this run answered, by Ray's id.
    seconds
        This run took.
    out
        The file that holds the rows; None where they are in memory.
    """

    task: Task
    columns: Mapping[str, type]
    questions: int
    resumed: int
    fitting: int
    errors: int
    machines: Mapping[str, int]
    seconds: float
    out: Path | None
    _rows: tuple[Row, ...] = field(default=(), repr=False)

    @property
    def rows(self) -> list[dict[str, Cell]]:
        """The rows by column, in the order of the questions; read from ``out`` where that holds them."""
        return [dict(zip(self.columns, row, strict=True)) for row in self._cells()]

    def frame(self, package: Literal["polars", "pandas"] = "polars") -> Any:
        """The rows as a data frame of ``polars`` or ``pandas``.

        Raises
        ------
        InvalidInput
            The package is not installed, or is another.
        """
        frames = {"polars": polars_frame, "pandas": pandas_frame}
        if package not in frames:
            raise InvalidInput(f"a frame must be one of {', '.join(frames)}, not {package!r}")
        return frames[package](self.columns, self._cells(), f"a frame of {package}")

    def _cells(self) -> Iterator[Row]:
        return iter(self._rows) if self.out is None else read_table(self.out, self.columns)
