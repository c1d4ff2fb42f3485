"""All candidates of a search as columns."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from numpy.typing import NDArray

from farthing.errors import Infeasible, InvalidInput
from farthing.records.estimate import InferenceEstimate, Sensitivity, TrainingEstimate
from farthing.records.search import SearchResult

Column = NDArray[Any]
FrameKind = Literal["polars", "pandas"]


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length, one row a candidate.

    Examples
    --------
    >>> import numpy as np
    >>> table = Table({"tp": np.array([1, 2, 4]), "tpot_s": np.array([0.3, 0.2, 0.1])})
    >>> len(table), table["tp"].tolist(), table.where(table["tpot_s"] < 0.25)["tp"].tolist()
    (3, [1, 2, 4], [2, 4])
    """

    columns: dict[str, Column]

    def __len__(self) -> int:
        return len(next(iter(self.columns.values()), ()))

    def __getitem__(self, name: str) -> Column:
        if name not in self.columns:
            raise InvalidInput(f"the table has no column {name!r}; it has {', '.join(self.columns)}")
        return self.columns[name]

    def where(self, rows: NDArray[Any]) -> Table:
        """The rows of a mask or of indices."""
        return Table({name: column[rows] for name, column in self.columns.items()})

    def row(self, index: int) -> dict[str, Any]:
        """One candidate as plain numbers and words."""
        return {name: column[index].item() for name, column in self.columns.items()}

    def frame(self, kind: FrameKind = "polars") -> Any:
        """A data frame of polars or pandas, where that is installed.

        Raises
        ------
        InvalidInput
            Another kind, or a package that is missing.
        """
        if kind not in ("polars", "pandas"):
            raise InvalidInput(f"frame: kind must be polars or pandas, not {kind!r}")
        try:
            package = importlib.import_module(kind)
        except ModuleNotFoundError as error:
            raise InvalidInput(f"a frame needs {kind}: pip install {kind}") from error
        return package.DataFrame(dict(self.columns))


class Search:
    """What a search found: a plain record of it, and all candidates that it evaluated.

    The table is made when it is first asked for.

    Attributes
    ----------
    result
        Plain values that JSON can hold.
    seconds
        The search took.
    more_memory
        Time of the best plan on cards with a tenth more memory, over that of the best; 1 where unknown.
    """

    def __init__(
        self,
        result: SearchResult,
        table: Callable[[], Table],
        *,
        seconds: float = 0.0,
        more_memory: float = 1.0,
    ) -> None:
        self.result = result
        self.seconds = seconds
        self.more_memory = more_memory
        self._make = table

    @functools.cached_property
    def table(self) -> Table:
        """Inputs and figures of each candidate, ``fits``, and in inference the ``reason`` where it does not.

        In training the best plan of each combination of sizes; its figures are infinite where none fits.
        """
        return self._make()

    @property
    def best(self) -> TrainingEstimate | InferenceEstimate:
        """The estimate of the best plan.

        Raises
        ------
        Infeasible
            No plan keeps the limits.
        """
        found = self.result
        if not found.best:
            nearest = f": the nearest {found.miss.breaks}" if found.miss else ""
            raise Infeasible(
                f"no plan of {found.model} on {found.cluster} keeps the limits{nearest}",
                {removed.rule: removed.candidates for removed in found.removed},
            )
        estimate = found.best[0].training or found.best[0].inference
        assert estimate is not None  # the best of each kind are of workers that do both
        return estimate

    def tell_sensitivity(
        self, ask: Callable[[TrainingEstimate | InferenceEstimate], tuple[Sensitivity, ...]]
    ) -> None:
        """Put into the best plan's estimate what a 10% better part gives it."""
        best, estimate = self.result.best[0], self.best
        rows = []
        for row in ask(estimate):
            factor = self.more_memory
            if row.part == "memory size" and factor < 1:
                # The plan itself gains nothing of it: another one would.
                row = dataclasses.replace(
                    row, throughput_factor=1 / factor, time_factor=factor, usd_factor=factor
                )
            rows.append(row)
        told = dataclasses.replace(estimate, sensitivity=tuple(rows))
        own: dict[str, Any] = {self.result.task: told}
        self.result = dataclasses.replace(
            self.result, best=(dataclasses.replace(best, **own), *self.result.best[1:])
        )

    def __repr__(self) -> str:
        found = self.result
        return (
            f"<Search: {found.evaluated:,} of {found.candidates:,} plans of {found.model} on "
            f"{found.cluster} evaluated, {found.fitting:,} fit>"
        )
