"""What llama.cpp sends to a remote card beside activations: the graph, and the mask of attention."""

from __future__ import annotations

from typing import Final

import numpy as np

from farthing.predict.trace import Number, larger, untraced
from farthing.records.model import LayerKind, Model

CACHE_PADDING: Final = 256
"""Cells of the cache that a mask covers are rounded up to a multiple of this."""


def graph_tensors(model: Model, kind: LayerKind) -> int:
    """Tensors of a layer in llama.cpp's graph: results of operations, weights, and the cache.

    A plain layer has 41: 16 for queries, keys and values, 10 for attention and its output, 15 for
    the feed-forward and the sums. Norms add 3 each (norm, product, weight), biases 2 (sum, bias); a mixture
    selects in 12, and views and adds up each expert's output; latents add 20.

    Parameters
    ----------
    model, kind
        Records.

    Returns
    -------
    int

    References
    ----------
    gerganov-2023

    Examples
    --------
    >>> from farthing.catalog import model
    >>> [graph_tensors(model(id), model(id).layer_kinds[-1]) for id in ("llama-2-7b", "qwen3-30b-a3b")]
    [41, 75]
    """
    tensors = (
        41 + 3 * (model.norms_per_layer - 2) + 6 * model.qk_norm + 6 * model.qkv_bias + 20 * model.is_mla
    )
    if kind.feed_forward == "moe":
        shared = 8 if model.shared_experts else 0
        tensors += 12 + 2 * model.experts_per_token + shared
    return int(tensors)


def mask_bytes(model: Model, tokens: Number, context: Number, *, rows: int) -> Number:
    """Masks of a step in 32 bits: a row for each token, a column for each cell of the cache.

    Parameters
    ----------
    model
        One with windows has a mask for these layers too.
    tokens, context
        Of the step, and in the cache with them; scalar or column.
    rows
        Rows at least; 0 where no mask is sent.

    Returns
    -------
    Number
        [byte]

    References
    ----------
    gerganov-2023

    Examples
    --------
    >>> from farthing.catalog import model
    >>> float(mask_bytes(model("llama-2-7b"), 1, 4000, rows=64))
    1048576.0
    """
    if not rows:
        return 0.0
    mixers = {kind.mixer for kind in model.layer_kinds}
    masks = 2 if "window" in mixers and len(mixers) > 1 else 1
    cells = np.ceil(untraced(context) / CACHE_PADDING) * CACHE_PADDING
    return 4.0 * masks * larger(tokens, rows) * cells
