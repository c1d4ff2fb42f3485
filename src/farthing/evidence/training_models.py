"""The model that a training row was measured on: from the catalogue, corrected by the row's own columns."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.evidence import names
from farthing.records.model import Model

GPT_VOCAB: Final = 51_200
"""Megatron's padded GPT-2 vocabulary."""

GPT_NAMES: Final = r"gpt[ -]?[0-9]|gpt[- ]?[l(]|gpt$|bloom|opt|megatron|turing"

LLAMA_VOCAB: Final = 32_000

NEMOTRON_VOCAB: Final = 256_000

SHAPE: Final = ("layers", "hidden", "ffn_hidden", "heads", "kv_heads", "vocab", "experts", "top_k")


def training_model(cells: Mapping[str, str]) -> Model:
    """The model of a row.

    Raises
    ------
    InvalidInput
        The row says too little about it.
    """
    columns = tuple(cells.get(name, "") for name in SHAPE)
    scale = re.fullmatch(r"(\d+)b model", cells.get("model", "").lower())
    if scale and "maxtext" in cells.get("framework", "").lower() and not any(columns):
        return _maxtext(int(scale.group(1)))
    return _model(cells.get("model_id", ""), cells.get("model", ""), cells.get("params_b", ""), columns)


@functools.lru_cache(maxsize=4096)
def _model(model_id: str, name: str, billions: str, columns: tuple[str, ...]) -> Model:
    given = {field: int(float(value)) for field, value in zip(SHAPE, columns, strict=True) if value}
    base = _catalogued(model_id, name, billions)
    if base is not None:
        return _corrected(base, given)
    if "hidden" not in given or "layers" not in given:
        size = float(billions) * 1e9 if billions else 0.0
        if not size or not re.match(GPT_NAMES, name.lower()):
            raise InvalidInput("the model's shape is not known")
        given = _gpt_sizes(size, given) | given
    return _gpt(name, given) if re.match(GPT_NAMES, name.lower()) else _llama(name, given)


@functools.lru_cache(maxsize=32)
def _maxtext(scale: int) -> Model:
    """MaxText's own model of a ``global_parameter_scale``, which its examples are named after.

    Doubling the scale three times doubles layers, width, heads and the network inside each; single steps
    double heads and network first, then the width (get_individual_scales in MaxText's configs/types.py, the
    model of scale 1 in its configs/base.yml).
    """
    steps = scale.bit_length() - 1
    if scale != 1 << steps:
        raise InvalidInput("the model's shape is not known")
    whole, rest = divmod(steps, 3)
    wider, heads = whole + (rest > 1), 16 << (whole + (rest > 0))
    return Model(
        id=f"maxtext-{scale}b",
        layers=16 << whole,
        hidden=2048 << wider,
        heads=heads,
        kv_heads=heads,
        head_dim=128,
        vocab=LLAMA_VOCAB,
        max_context=2048,
        ffn_hidden=7168 << (whole + (rest > 0)),
    )


def _catalogued(model_id: str, name: str, billions: str) -> Model | None:
    models = catalog.models()
    if model_id:
        return models.get(model_id)
    bare = re.sub(r"truncated.*|-like", "", name)
    found = names.model_of(bare, float(billions) if billions else 0.0)
    return models[found] if found else None


def _corrected(base: Model, given: Mapping[str, int]) -> Model:
    """The catalogue's model with what the row says otherwise."""
    own = dict(given)
    if base.is_moe:
        # The column is the width of an expert there.
        own["moe_ffn_hidden"] = own.pop("ffn_hidden", base.moe_ffn_hidden)
        own["experts_per_token"] = own.pop("top_k", base.experts_per_token)
        # A model cut short keeps its mixture.
        own["dense_layers"] = math.ceil(base.dense_layers * own.get("layers", base.layers) / base.layers)
    else:
        own.pop("experts", None)
        own.pop("top_k", None)
    if base.is_mla:
        own.pop("kv_heads", None)
    changes: dict[str, Any] = {field: value for field, value in own.items() if getattr(base, field) != value}
    if "heads" in changes and base.kv_heads == base.heads:
        changes.setdefault("kv_heads", changes["heads"])
    if changes.keys() & {"heads", "hidden"} and not base.is_mla:
        hidden, heads = changes.get("hidden", base.hidden), changes.get("heads", base.heads)
        if base.head_dim * base.heads == base.hidden:
            changes["head_dim"] = max(hidden // heads, 1)
    return replace(base, **changes) if changes else base


def _gpt_sizes(size: float, given: Mapping[str, int]) -> dict[str, int]:
    """Layers and width of a GPT of so many parameters, about 128 times as wide as deep."""
    vocab = given.get("vocab", GPT_VOCAB)
    if "hidden" in given:
        hidden = given["hidden"]
    else:
        deep = given.get("layers") or (size / (12 * 128**2)) ** (1 / 3)
        hidden = round((size / (12 * deep)) ** 0.5 / 128) * 128
    layers = given.get("layers") or max(round((size - vocab * hidden) / (12 * hidden**2)), 1)
    return {"hidden": hidden, "layers": layers}


def _llama(name: str, given: Mapping[str, int]) -> Model:
    """A Llama-like model: gated, rotary, RMSNorm. Nemotron's feed-forward network has no gate."""
    hidden = given["hidden"]
    heads = given.get("heads") or max(hidden // 128, 1)
    return Model(
        id=name or "llama",
        layers=given["layers"],
        hidden=hidden,
        heads=heads,
        kv_heads=given.get("kv_heads") or heads,
        head_dim=max(hidden // heads, 1),
        vocab=given.get("vocab") or (NEMOTRON_VOCAB if "nemotron" in name.lower() else LLAMA_VOCAB),
        max_context=4096,
        ffn_hidden=given.get("ffn_hidden") or round(hidden * 8 / 3 / 256) * 256,
        gated_ffn="nemotron" not in name.lower(),
        experts=given.get("experts", 0),
        experts_per_token=given.get("top_k", 0),
        moe_ffn_hidden=given.get("ffn_hidden", 0) if given.get("experts") else 0,
        ffn_pattern="m" if given.get("experts") else "d",
    )


def _gpt(name: str, given: Mapping[str, int]) -> Model:
    """A Megatron GPT: four times as wide inside, learned positions, LayerNorm, biases, one embedding."""
    hidden = given["hidden"]
    # Heads of about 128, in eights, which tensor parallelism can share.
    heads = given.get("heads") or max(round(hidden / 1024) * 8, 1)
    return Model(
        id=name or "gpt",
        family="gpt",
        layers=given["layers"],
        hidden=hidden,
        heads=heads,
        kv_heads=given.get("kv_heads") or heads,
        head_dim=max(hidden // heads, 1),
        vocab=given.get("vocab") or GPT_VOCAB,
        max_context=2048,
        ffn_hidden=given.get("ffn_hidden") or 4 * hidden,
        gated_ffn=False,
        position="learned",
        norm="layernorm",
        tied_embeddings=True,
        qkv_bias=True,
        output_bias=True,
        ffn_bias=True,
    )
