"""Work that a model owes to its tokens, whatever runs it: what MFU is counted from."""

from __future__ import annotations

import numpy as np

from farthing.predict.kv_cache import attention_shape
from farthing.predict.parameters import layer_parameters
from farthing.predict.stages import layer_kinds, predictor_kind, stages
from farthing.predict.trace import Number, formula
from farthing.records.model import LayerKind, Model


@formula(reference="kaplan-2020")
def forward_flop(parameters: Number, tokens: Number) -> Number:
    """Work of a forward pass by the rule of thumb: ``2 × parameters × tokens``.

    Parameters
    ----------
    parameters
        Active matrix parameters, scalar or column.
    tokens
        Tokens that pass, scalar or column.

    Returns
    -------
    Number
        [FLOP], scalar or column; attention's own products are left out.

    References
    ----------
    kaplan-2020

    Examples
    --------
    >>> forward_flop(70e9, 1024)
    143360000000000.0
    """
    return 2 * parameters * tokens


@formula(reference="kaplan-2020")
def training_flop(parameters: Number, tokens: Number) -> Number:
    """Work of training by the rule of thumb: ``6 × parameters × tokens``.

    A multiplication and an addition each in the forward pass, for the gradient of the input and for that of
    the weight.

    Parameters
    ----------
    parameters
        Active matrix parameters, scalar or column.
    tokens
        Tokens that are trained on, scalar or column.

    Returns
    -------
    Number
        [FLOP], scalar or column; attention's own products and recomputation are left out.

    References
    ----------
    kaplan-2020

    Examples
    --------
    >>> training_flop(70e9, 2e12)
    8.4e+23
    """
    return 6 * parameters * tokens


@formula(reference="chowdhery-2022", name="MFU", unit="")
def mfu(work_flop: Number, time_s: Number, *, peak_flop_per_s: Number, accelerators: Number = 1) -> Number:
    """Share of the peak that goes into the model's own work: ``work / (time × accelerators × peak)``.

    Parameters
    ----------
    work_flop
        What the model owes, nothing recomputed [FLOP], scalar or column.
    time_s
        Wall-clock time, or with one accelerator the sum of all their times [s], scalar or column.
    peak_flop_per_s
        Dense peak of one accelerator [FLOP/s], scalar or column.
    accelerators
        How many work at it, scalar or column.

    Returns
    -------
    Number
        Share, 0..1, scalar or column.

    References
    ----------
    chowdhery-2022

    Examples
    --------
    >>> round(mfu(8.4e23, 1.7e6 * 3600, peak_flop_per_s=312e12), 3)
    0.44
    """
    return work_flop / (time_s * accelerators * peak_flop_per_s)


def model_flop(model: Model, tokens: Number, sequence_tokens: Number, *, predictors: int = 0) -> Number:
    """Work that a training step owes to the model: forward and backward, nothing recomputed.

    Six per active matrix parameter and token, and the whole square of attention, as the papers that print MFU
    count it.

    Parameters
    ----------
    model
        The model.
    tokens
        Tokens of the step, scalar or column.
    sequence_tokens
        Length of a sequence.
    predictors
        Layers of multi-token prediction, each with a product with the LM head of its own.

    Returns
    -------
    Number
        [FLOP]

    References
    ----------
    korthikanti-2022, kaplan-2020

    Examples
    --------
    >>> from farthing.catalog import model
    >>> round(model_flop(model("llama-2-70b"), 1, 4096) / 6e9, 1)
    74.1
    """
    per_token: Number = 0.0
    for kind, layers in zip(layer_kinds(model), stages(model, 1)[0].counts, strict=True):
        per_token = per_token + layers * layer_flop_per_token(model, kind, sequence_tokens)
    if predictors:
        joined = 2 * 2 * model.hidden**2
        per_token = per_token + predictors * (
            layer_flop_per_token(model, predictor_kind(model), sequence_tokens) + joined
        )
    return 3 * tokens * (per_token + (1 + predictors) * 2 * model.vocab * model.hidden)


def layer_flop_per_token(model: Model, kind: LayerKind, sequence_tokens: Number) -> Number:
    """Forward work of one layer for one token.

    Parameters
    ----------
    model, kind
        The layer.
    sequence_tokens
        Length of a sequence: attention counts as the whole square.

    Returns
    -------
    Number
        [FLOP]

    References
    ----------
    korthikanti-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> round(layer_flop_per_token(model("llama-2-70b"), LayerKind("full", "dense"), 4096) / 1e9, 2)
    1.85
    """
    held = layer_parameters(model, kind)
    active = held.total - held.norms - held.biases - held.routed_experts
    active += model.experts_per_token * held.expert
    work = 2.0 * active
    if kind.mixer in ("full", "window"):
        heads, _, qk_dim, v_dim = attention_shape(model, kind.mixer)
        seen = sequence_tokens
        if kind.mixer == "window":
            seen = np.minimum(sequence_tokens, model.window)
        work = work + 2.0 * seen * heads * (qk_dim + v_dim)
    elif kind.mixer == "linear":
        work = work + 6.0 * model.linear_value_heads * model.linear_key_head_dim * model.linear_value_head_dim
    return work
