"""Figures of serving that follow from others, with their arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from farthing.records.estimate import InferenceEstimate
from farthing.records.term import Term

TITLES: Final = {
    "power_w": "power at the meter",
    "energy_per_token_j": "energy a token",
    "costs": "price of a million tokens",
    "tokens_per_s_per_sequence": "tokens a second of each stream",
    "served_tokens_per_s": "tokens put out while prompts are read in between",
    "largest_batch_size": "largest batch that fits",
    "own_usd_per_s": "cost of owning",
    "rent_usd_per_s": "cost of renting",
    "own_usd_per_million_tokens": "price of a million tokens, owned",
    "rent_usd_per_million_tokens": "price of a million tokens, rented",
}

MEANINGS: Final = {
    "power_w": "What the whole cluster draws at the meter while it decodes: its cards at the load of their "
    "units and their memory, its hosts, and what the building adds (PUE).",
    "energy_per_token_j": "Energy of the whole cluster for each token that it decodes.",
    "costs": "What the cluster costs over the tokens that it puts out with prompts read in between, always "
    "busy. Owned is the purchase spread over the years and the electricity, rented the listed rate.",
    "tokens_per_s_per_sequence": "Tokens decoded a second of one stream.",
    "served_tokens_per_s": "Tokens put out a second when the reading of each request's prompt takes its "
    "share of the time; prices count these.",
    "largest_batch_size": "Sequences of the longest context whose keys and values fit beside the weights.",
    "memory": "What the card with the least room holds.",
}


def derived(estimate: InferenceEstimate, number: str) -> Iterator[Term]:
    """The arithmetic of a figure, by its name or that of one way of paying.

    Examples
    --------
    >>> from farthing import api
    >>> found = api.infer("llama-2-7b", "rtx-4090", batch_size=4)
    >>> next(derived(found, "energy_per_token_j")).formula
    'power at the meter / tokens a second'
    """
    e = estimate
    if number == "energy_per_token_j" and e.tokens_per_s:
        yield Term(
            name=TITLES[number],
            value=e.energy_per_token_j,
            unit="J",
            formula="power at the meter / tokens a second",
            numbers=f"{e.power_w:.4g} / {e.tokens_per_s:.4g}",
        )
    if number == "tokens_per_s_per_sequence":
        yield Term(
            name=TITLES[number],
            value=e.tokens_per_s_per_sequence,
            unit="token/s",
            formula="tokens a second / batch",
            numbers=f"{e.tokens_per_s:.4g} / {e.workload.batch_size}",
        )
    for cost in e.costs:
        if number in ("costs", f"{cost.way}_usd_per_million_tokens") and cost.tokens_per_usd:
            yield Term(
                name=f"{cost.way}: a million tokens",
                value=cost.usd_per_million_tokens,
                unit="USD",
                formula="USD a second / tokens put out a second × 1e6",
                numbers=f"{cost.usd_per_s:.4g} / {cost.usd_per_s * cost.tokens_per_usd:.4g} × 1e6",
            )
        if number in ("costs", f"{cost.way}_usd_per_s"):
            yield Term(name=f"{cost.way}: an hour", value=cost.usd_per_s, unit="USD/s")
