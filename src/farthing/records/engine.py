"""The software that runs a plan, and how well hardware does under it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """A serving or training engine.

    Attributes
    ----------
    version
        The one that the facts were read from.
    kind
        ``serving`` or ``training``.
    vendors
        Space-separated accelerator vendors that it runs on.
    unsupported
        Space-separated architectures of these that it does not run on.
    weight_formats, kv_formats
        Space-separated ids of number formats that it loads; empty means the 16-bit ones only.
    tensor_parallel, pipeline_parallel, expert_parallel, data_parallel
        Whether it can split a model so.
    mixed_accelerators
        Whether unlike cards can share one model.
    memory_reserve_share
        Share of device memory that its default settings leave unused.
    gradient_copy_bytes
        Of a parameter: 16-bit gradients that it keeps beside those that it accumulates in fp32 [byte].
    step_copy_bytes
        Of a parameter that a card updates: copies of its gradient that the optimizer's step makes, in 16 bits
        and in fp32 [byte].
    bucket_bytes
        Of the bucket in which sharded optimizers reduce gradients [byte].
    eager_loss
        Whether the loss runs as operations with a tensor each, though the layers are compiled.
    wide_inputs
        Whether inputs of 8-bit products are kept in 16 bits and cut again in the backward pass.
    dispatches_once
        Whether training sends a token of a mixture to a card once, however many of its experts are there.
    disaggregates
        Whether workers of one kind can read prompts and hand their keys and values to workers that decode.
    """

    id: str
    name: str
    version: str
    kind: str
    vendors: str
    unsupported: str = ""
    weight_formats: str = ""
    kv_formats: str = ""
    tensor_parallel: bool = False
    pipeline_parallel: bool = False
    expert_parallel: bool = False
    data_parallel: bool = False
    mixed_accelerators: bool = False
    memory_reserve_share: float = 0.0
    gradient_copy_bytes: float = 0.0
    step_copy_bytes: float = 0.0
    bucket_bytes: float = 1e8
    eager_loss: bool = False
    wide_inputs: bool = False
    dispatches_once: bool = False
    disaggregates: bool = False
    notes: str = ""
    source: str = ""
