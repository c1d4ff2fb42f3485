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
    weight_formats, kv_formats
        Space-separated ids of number formats that it loads; empty means the 16-bit ones only.
    tensor_parallel, pipeline_parallel, expert_parallel, data_parallel
        Whether it can split a model so.
    mixed_accelerators
        Whether unlike cards can share one model.
    memory_reserve_share
        Share of device memory that its default settings leave unused.
    """

    id: str
    name: str
    version: str
    kind: str
    vendors: str
    weight_formats: str = ""
    kv_formats: str = ""
    tensor_parallel: bool = False
    pipeline_parallel: bool = False
    expert_parallel: bool = False
    data_parallel: bool = False
    mixed_accelerators: bool = False
    memory_reserve_share: float = 0.0
    notes: str = ""
    source: str = ""
