"""farthing plans where large language models run."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

__version__ = "0.1.0"
__all__ = [
    "CatalogError",
    "FarthingError",
    "Infeasible",
    "InvalidInput",
    "UnknownName",
    "__version__",
    "compare",
    "design",
    "infer",
    "infer_disaggregated",
    "launch",
    "plan",
    "price_build",
    "search",
    "simulate_faults",
    "simulate_serving",
    "sweep",
    "train",
    "validate",
]

from farthing.errors import CatalogError, FarthingError, Infeasible, InvalidInput, UnknownName

if TYPE_CHECKING:
    from farthing.api import (
        design,
        infer,
        infer_disaggregated,
        launch,
        price_build,
        search,
        simulate_faults,
        simulate_serving,
        sweep,
        train,
        validate,
    )
    from farthing.planning import compare, plan


_FRONT: Final = (
    "design",
    "infer",
    "infer_disaggregated",
    "launch",
    "price_build",
    "search",
    "simulate_faults",
    "simulate_serving",
    "sweep",
    "train",
    "validate",
)
"""Functions of the front door."""

_PLANNING: Final = ("compare", "plan")
"""Those that ask the front door."""


class _Package(ModuleType):
    """A package in which a function of the front door keeps its name beside a subpackage called alike."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _FRONT or not isinstance(value, ModuleType):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    # NumPy takes a tenth of a second to import: --help does without.
    if name in _PLANNING:
        from farthing import planning

        return getattr(planning, name)
    if name in _FRONT:
        from farthing import api

        return getattr(api, name)
    raise AttributeError(f"module 'farthing' has no attribute {name!r}")
