"""One size of the batch on the curve of throughput against latency."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPoint:
    """What a plan does with a batch of another size.

    Attributes
    ----------
    batch_size
        Sequences decoded together, over the whole cluster.
    fits
        Whether memory suffices for so many.
    memory_bytes
        On the fullest card.
    ttft_s, batch_prefill_s, tpot_s
        As in an `InferenceEstimate`: one prompt alone, all prompts of the batch, a token of each sequence.
    tokens_per_s, served_tokens_per_s, requests_per_s
        As in an `InferenceEstimate`: while decoding, and with the prompts read in between.
    usd_per_million_tokens
        By the first way of paying that an estimate lists; None where no price is known.
    """

    batch_size: int
    fits: bool
    memory_bytes: float
    ttft_s: float
    batch_prefill_s: float
    tpot_s: float
    tokens_per_s: float
    served_tokens_per_s: float
    requests_per_s: float
    usd_per_million_tokens: float | None
