"""What one card of each kind does with a model, by the best plan on the fewest cards that hold it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from farthing.records.search import Choice, Task


@dataclass(frozen=True, slots=True, kw_only=True)
class CardPlan:
    """The best plan of a task on the fewest cards of one host that hold the model, and what one card does.

    Attributes
    ----------
    accelerator
        Id of the card.
    task, lora_rank
        What was asked; a rank above 0 trains adapters alone.
    choice
        The plan; None where none fits.
    misfit
        Why none fits; empty where one does.
    tokens_per_s_per_accelerator
        Tokens put out with their prompts read in between (an encoder: tokens read), or trained on, by one
        card [token/s].
    tokens_per_s_per_usd
        The same for each dollar of a card's purchase price [token/s/USD]; 0 where that is unknown.
    rented_tokens_per_usd
        Tokens for a dollar of a card's rent [token/USD]; 0 where that is unknown.
    relative_to, relative
        The card that the figures are held against, and their ratios to its figures by name; one is missing
        where either figure is unknown.
    """

    accelerator: str
    task: Task
    lora_rank: int = 0
    choice: Choice | None = None
    misfit: str = ""
    tokens_per_s_per_accelerator: float = 0.0
    tokens_per_s_per_usd: float = 0.0
    rented_tokens_per_usd: float = 0.0
    relative_to: str = ""
    relative: Mapping[str, float] = field(default_factory=dict)
