"""What a provider asks for the tokens of an open model."""

from __future__ import annotations

import math
from dataclasses import dataclass

from farthing.errors import InvalidInput


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiPrice:
    """What a provider asked for the tokens of a model on some day.

    Attributes
    ----------
    model
        Id of the model in the catalogue.
    provider
        Who serves it.
    usd_per_million_input, usd_per_million_output
        Price of a million tokens of prompts, and of answers [USD], without discounts for caches and batches.
    weight_format
        Id of the number format of its weights, where the provider says it.
    date
        Day of the list that the price was read in; the provider may have set it earlier.
    source
        Where it is from, and what the provider calls the model.
    """

    model: str
    provider: str
    usd_per_million_input: float
    usd_per_million_output: float
    date: str
    source: str
    weight_format: str = ""

    def __post_init__(self) -> None:
        for field in ("usd_per_million_input", "usd_per_million_output"):
            value = getattr(self, field)
            if not 0 < value < math.inf:
                what = f"price of {self.model!r} at {self.provider!r}"
                raise InvalidInput(f"{what}: {field} must be a positive number, not {value}")
