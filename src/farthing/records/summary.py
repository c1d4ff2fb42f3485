"""What follows from a shape alone."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.records.model import FeedForward, Mixer, Model


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerGroup:
    """Layers that are alike.

    Attributes
    ----------
    count
        How many.
    mixer, feed_forward
        What each is made of.
    parameters
        Of one layer.
    kv_bytes_per_token
        Of one layer, in 16 bits [byte/token].
    """

    count: int
    mixer: Mixer
    feed_forward: FeedForward
    parameters: int
    kv_bytes_per_token: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model's size, cache and work.

    Attributes
    ----------
    model
        The shape.
    parameters, active_parameters
        All, and those that one token passes.
    kv_bytes_per_token, kv_cache_bytes
        Of a sequence, over all layers, in 16 bits: added by one token (windowed layers included), and held at
        the longest context.
    state_bytes
        Recurrent state of a sequence, whatever its length.
    forward_flop_per_token
        Work of a forward pass, attention over past tokens aside.
    layer_groups
        The unlike layers, in order of first appearance.
    """

    model: Model
    parameters: int
    active_parameters: int
    kv_bytes_per_token: float
    kv_cache_bytes: float
    state_bytes: float
    forward_flop_per_token: float
    layer_groups: tuple[LayerGroup, ...]
