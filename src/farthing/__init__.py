"""farthing plans where large language models run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = [
    "CatalogError",
    "FarthingError",
    "Infeasible",
    "InvalidInput",
    "UnknownName",
    "__version__",
    "infer",
    "infer_disaggregated",
    "train",
    "validate",
]

from farthing.errors import CatalogError, FarthingError, Infeasible, InvalidInput, UnknownName

if TYPE_CHECKING:
    from farthing.api import infer, infer_disaggregated, train, validate


def __dir__() -> list[str]:
    return sorted(__all__)


def __getattr__(name: str) -> Any:
    # NumPy takes a tenth of a second to import: --help does without.
    if name in ("infer", "infer_disaggregated", "train", "validate"):
        from farthing import api

        return getattr(api, name)
    raise AttributeError(f"module 'farthing' has no attribute {name!r}")
