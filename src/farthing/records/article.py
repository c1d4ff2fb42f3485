"""A number of the article that farthing began with, and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from farthing.records.term import Term

SECTIONS: Final[Mapping[str, str]] = {
    "train": "Training",
    "infer": "Inference",
    "cost": "Cost of serving",
    "design": "Cheap builds",
    "chip": "Cost of the chips",
}
"""Parts of the article, with their titles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleRow:
    """One number of the article.

    Attributes
    ----------
    id, section, what
        Which number; ``section`` is ``train infer cost design chip``.
    unit
        Of all three values, SI unless the article's own unit is kept (``GPU``, ``month``); ``1`` for a ratio.
    printed
        What the article prints; None where it prints nothing.
    recomputed
        What farthing computes under the article's own assumptions.
    realistic
        What farthing computes with the catalogue's facts; None where that makes no sense.
    note
        Where the article slips, and what the realistic value rests on.
    explanation
        The derivation of ``recomputed``.
    """

    id: str
    section: str
    what: str
    unit: str
    printed: float | None
    recomputed: float
    realistic: float | None
    note: str
    explanation: Term

    @property
    def recomputed_ratio(self) -> float | None:
        """Recomputed over printed; None where nothing is printed."""
        return self.recomputed / self.printed if self.printed else None

    @property
    def realistic_ratio(self) -> float | None:
        """Realistic over printed; None where either is missing."""
        return self.realistic / self.printed if self.printed and self.realistic is not None else None
