"""What low-rank adapters and frozen low-bit weights add to the time of a layer in training."""

from __future__ import annotations

from farthing.predict.compute import elementwise_time_s
from farthing.predict.device import Device
from farthing.predict.layer import LayerTime, Shards, products
from farthing.predict.trace import Number, named
from farthing.records.model import LayerKind, Model

KERNELS_FORWARD = 3
"""Down, up and addition to the frozen product; dropout and scale run in kernels of their own where eager."""

KERNELS_BACKWARD = 5


def adapter_time(
    model: Model, kind: LayerKind, device: Device, shards: Shards, *, rows: Number, backward: bool
) -> LayerTime:
    """Low-rank adapters beside each dense matrix of a layer.

    Their products are so thin that traffic alone counts: forward reads the input and adds to the output;
    backward reads input and gradient twice and adds to the gradient of the input.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    device, shards
        The card, and how the layer is cut.
    rows
        Tokens of the micro-batch on this card, scalar or column.
    backward
        The backward pass; else the forward pass.

    Returns
    -------
    LayerTime
        [s]

    References
    ----------
    hu-2021-lora

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> ideal = Device(matmul_flop_per_s=312e12, attention_flop_per_s=312e12,
    ...                memory_bytes=80e9, memory_bytes_per_s=2e12)
    >>> time = adapter_time(model("llama-2-7b"), LayerKind("full", "dense"), ideal, Shards(), rows=4096,
    ...                     backward=False)
    >>> round(time.total_s * 1e3, 2), time.kernels
    (0.44, 12.0)
    """
    matrices = products(model, kind, shards)
    inputs = sum(product.inputs for product in matrices)
    outputs = sum(product.outputs for product in matrices)
    elements = 3 * inputs + 2 * outputs if backward else inputs + 2 * outputs
    each = KERNELS_BACKWARD if backward else KERNELS_FORWARD
    kernels = each * len(matrices) * device.elementwise_factor
    moved = rows * device.activation_bytes * elements
    time = elementwise_time_s(moved, device=device, kernels=kernels)
    return LayerTime(matmul_s=0.0, attention_s=0.0, elementwise_s=named("adapters_s", time), kernels=kernels)


def conversion_time(
    model: Model, kind: LayerKind, device: Device, shards: Shards, *, stored_bytes: float
) -> LayerTime:
    """Turning a layer's frozen low-bit weights into 16 bits before a pass uses them.

    Each weight is read as stored, written in 16 bits, and read again by the product.

    Parameters
    ----------
    model, kind
        The model, and which of its layer kinds.
    device, shards
        The card, and how the layer is cut.
    stored_bytes
        Of one weight [byte].

    Returns
    -------
    LayerTime
        [s]

    References
    ----------
    dettmers-2023-qlora

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.records.model import LayerKind
    >>> ideal = Device(matmul_flop_per_s=312e12, attention_flop_per_s=312e12,
    ...                memory_bytes=80e9, memory_bytes_per_s=2e12)
    >>> time = conversion_time(model("llama-2-7b"), LayerKind("full", "dense"), ideal, Shards(),
    ...                        stored_bytes=0.5)
    >>> round(time.total_s * 1e3, 2)
    0.25
    """
    matrices = products(model, kind, shards)
    weights = sum(product.inputs * product.outputs for product in matrices)
    if kind.feed_forward == "moe":
        width = (model.moe_hidden or model.hidden) * model.moe_ffn_hidden / shards.expert_tp
        weights = weights + (3 if model.gated_ffn else 2) * width * model.experts / shards.expert_groups
    moved = weights * (stored_bytes + 2.0) / device.conversion_share
    time = elementwise_time_s(moved, device=device, kernels=len(matrices))
    return LayerTime(
        matmul_s=named("weights to 16 bits_s", time),
        attention_s=0.0,
        elementwise_s=0.0,
        kernels=len(matrices),
    )
