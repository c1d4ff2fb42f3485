"""Like workers of an online service."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """How many (0: the row does not say), and how each is split."""

    count: int
    tp: int
    dp: int
    ep: int

    @property
    def cards(self) -> int:
        """Of one worker."""
        return self.tp * self.dp


def split(cards: int, *, ep: int, attention_dp: bool, count: int = 1) -> Workers:
    """Workers of that many cards, as engines are told: data-parallel attention gives each card users.

    Examples
    --------
    >>> split(8, ep=8, attention_dp=True), split(8, ep=1, attention_dp=False).tp
    (Workers(count=1, tp=1, dp=8, ep=8), 8)
    """
    spread = ep > 1 or attention_dp
    tp, dp = (1, cards) if attention_dp else (cards, 1)
    return Workers(count=count, tp=tp, dp=dp, ep=cards if spread else 1)
