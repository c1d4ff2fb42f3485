"""How a model is split and run.

Sizes are ints for one plan, or NumPy columns of ints for many: prediction functions take both. Words
(schedule, recompute, formats) are always scalars; a search loops over them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from farthing.errors import InvalidInput

Schedule = Literal["gpipe", "1f1b", "interleaved", "zero-bubble"]
Recompute = Literal["none", "selective", "operations", "full"]
Offload = Literal["none", "optimizer", "optimizer+weights"]
OffloadTo = Literal["memory", "nvme"]
RankOrder = Literal["tp-cp-dp-pp", "tp-cp-pp-dp"]


def _sizes(**values: Any) -> None:
    """Whole numbers from 1; a column (anything with a ``dtype``) is the search's own and passes."""
    for field, value in values.items():
        if hasattr(value, "dtype"):
            continue
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidInput(f"plan: {field} must be a whole number, not {value!r}")
        if value < 1:
            raise InvalidInput(f"plan: {field} must be at least 1, not {value}")


def _words(**values: tuple[Any, Any]) -> None:
    """One of the words of a ``Literal``."""
    for field, (value, choices) in values.items():
        if value not in get_args(choices):
            raise InvalidInput(f"plan: {field} must be one of {', '.join(get_args(choices))}, not {value!r}")


def _flags(**values: Any) -> None:
    for field, value in values.items():
        if not (hasattr(value, "dtype") or isinstance(value, bool)):
            raise InvalidInput(f"plan: {field} must be true or false, not {value!r}")


def _names(**values: Any) -> None:
    for field, value in values.items():
        if not isinstance(value, str):
            raise InvalidInput(f"plan: {field} must be the name of a number format or engine, not {value!r}")


def _shares(**values: Any) -> None:
    for field, value in values.items():
        if hasattr(value, "dtype"):
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and 0 <= value <= 1):
            raise InvalidInput(f"plan: {field} must be in 0..1, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """A split of a training run.

    Attributes
    ----------
    tp, pp, dp, cp, ep
        Tensor, pipeline, data, context and expert parallel sizes.
    expert_tp
        Tensor parallel size inside an expert; 0 means ``tp``. ``ep * expert_tp`` divides ``tp * cp * dp``.
    sequence_parallel
        Norms and dropouts between tensor-parallel regions hold 1/tp of the sequence.
    zero_stage
        0 replicates, 1 shards the optimizer over dp, 2 also gradients, 3 also weights (FSDP).
    schedule, interleave
        Pipeline schedule and virtual stages a device.
    first_spared, last_spared
        Layers that the first and the last stage hold fewer than an even split of the pipeline gives them.
    rank_order
        How ranks are numbered, the axis of neighbouring ranks first: where each axis lies on the hosts.
    micro_batch_size
        Sequences of one micro-batch.
    recompute, recompute_layers, recompute_share
        Activations recomputed in the backward pass: ``selective`` the scores of attention, ``operations``
        every second product and all that is cheap; with ``full``, ``recompute_layers`` layers form a group
        whose input alone is kept, in this share of all layers.
    flash_attention
        The score matrix is never stored.
    loss_chunks
        Pieces of the micro-batch whose logits are made, used and dropped one after the other.
    weight_format, compute_format, gradient_format
        Numbers of the stored weights (QLoRA: ``bnb-nf4``), of the matrix products, and of the accumulated
        gradients (Megatron accumulates in ``fp32``).
    offload, offload_to
        What lives outside the device, in the host's ``memory`` or on ``nvme``.
    overlap_data_parallel, overlap_tensor_parallel, overlap_expert_parallel
        Share of the compute under which that traffic may hide.
    engine
        Id of the engine whose efficiency counts; empty for none in particular.
    """

    tp: Any = 1
    pp: Any = 1
    dp: Any = 1
    cp: Any = 1
    ep: Any = 1
    expert_tp: Any = 0
    sequence_parallel: bool = True
    zero_stage: int = 1
    schedule: Schedule = "1f1b"
    interleave: Any = 1
    first_spared: int = 0
    last_spared: int = 0
    rank_order: RankOrder = "tp-cp-dp-pp"
    micro_batch_size: Any = 1
    recompute: Recompute = "selective"
    recompute_layers: Any = 1
    recompute_share: float = 1.0
    flash_attention: bool = True
    loss_chunks: Any = 1
    weight_format: str = "bf16"
    compute_format: str = "bf16"
    gradient_format: str = "bf16"
    offload: Offload = "none"
    offload_to: OffloadTo = "memory"
    overlap_data_parallel: float = 1.0
    overlap_tensor_parallel: float = 0.0
    overlap_expert_parallel: float = 0.0
    engine: str = ""

    def __post_init__(self) -> None:
        _sizes(
            tp=self.tp,
            pp=self.pp,
            dp=self.dp,
            cp=self.cp,
            ep=self.ep,
            interleave=self.interleave,
            micro_batch_size=self.micro_batch_size,
            recompute_layers=self.recompute_layers,
            loss_chunks=self.loss_chunks,
        )
        if not hasattr(self.expert_tp, "dtype") and self.expert_tp != 0:
            _sizes(expert_tp=self.expert_tp)
        _words(
            schedule=(self.schedule, Schedule),
            recompute=(self.recompute, Recompute),
            offload=(self.offload, Offload),
            offload_to=(self.offload_to, OffloadTo),
            rank_order=(self.rank_order, RankOrder),
        )
        _flags(sequence_parallel=self.sequence_parallel, flash_attention=self.flash_attention)
        for field in ("first_spared", "last_spared"):
            if getattr(self, field) != 0:
                _sizes(**{field: getattr(self, field)})
        _names(
            weight_format=self.weight_format,
            compute_format=self.compute_format,
            gradient_format=self.gradient_format,
            engine=self.engine,
        )
        _shares(
            recompute_share=self.recompute_share,
            overlap_data_parallel=self.overlap_data_parallel,
            overlap_tensor_parallel=self.overlap_tensor_parallel,
            overlap_expert_parallel=self.overlap_expert_parallel,
        )
        if self.zero_stage not in (0, 1, 2, 3):
            raise InvalidInput(f"plan: zero_stage must be 0, 1, 2 or 3, not {self.zero_stage!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferencePlan:
    """A split of a serving load.

    Attributes
    ----------
    tp, pp, dp, ep
        Tensor and pipeline parallel sizes, replicas, and expert parallel size (divides ``tp * dp``; experts
        are split inside by ``tp`` where ``ep`` is smaller).
    stage_layers
        Layers of each pipeline stage; empty divides them evenly over like cards, and by memory bandwidth over
        unlike ones.
    micro_batches
        Batches in flight in the pipeline; 0 means one for each stage where the batch allows.
    weight_format, kv_format, compute_format
        Ids of number formats; ``compute_format`` empty means what the weights' format computes in.
    dense_format
        What all weights but the routed experts' are stored in, embedding and head included; empty means as
        the weights' format has it.
    engine
        Id of the engine whose overheads count; empty for none in particular.
    overlap_communication
        Share of the tensor-parallel traffic that hides under the compute of another batch (double buffering).
    chunk_tokens
        Tokens of a prefill chunk; 0 prefills each prompt at once.
    """

    tp: Any = 1
    pp: Any = 1
    dp: Any = 1
    ep: Any = 1
    stage_layers: tuple[int, ...] = ()
    micro_batches: Any = 0
    weight_format: str = "bf16"
    kv_format: str = "fp16"
    compute_format: str = ""
    dense_format: str = ""
    engine: str = ""
    overlap_communication: float = 0.0
    chunk_tokens: Any = 0

    def __post_init__(self) -> None:
        _sizes(tp=self.tp, pp=self.pp, dp=self.dp, ep=self.ep)
        _names(
            weight_format=self.weight_format,
            kv_format=self.kv_format,
            compute_format=self.compute_format,
            dense_format=self.dense_format,
            engine=self.engine,
        )
        _shares(overlap_communication=self.overlap_communication)
        if self.stage_layers:
            _sizes(**{f"stage_layers[{i}]": layers for i, layers in enumerate(self.stage_layers)})
        for field in ("micro_batches", "chunk_tokens"):
            value = getattr(self, field)
            if hasattr(value, "dtype") or value != 0:
                _sizes(**{field: value})


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Cards that one side of a disaggregated deployment has: as many in each of some like hosts.

    Attributes
    ----------
    group
        Which group of the cluster's hosts, from 0.
    hosts, accelerators_per_host
        How many hosts, and how many cards of each.
    """

    group: int = 0
    hosts: int = 1
    accelerators_per_host: int = 1

    def __post_init__(self) -> None:
        _sizes(hosts=self.hosts, accelerators_per_host=self.accelerators_per_host)
        if isinstance(self.group, bool) or not isinstance(self.group, int) or self.group < 0:
            raise InvalidInput(f"plan: group must be a whole number of at least 0, not {self.group!r}")

    @property
    def count(self) -> int:
        """All cards."""
        return self.hosts * self.accelerators_per_host


@dataclass(frozen=True, slots=True, kw_only=True)
class DisaggregatedPlan:
    """Workers that read prompts, and others that decode.

    Attributes
    ----------
    prefill, decode
        The split of each side; ``dp`` counts its workers, or ranks that share experts.
    prefill_pool, decode_pool
        The cards of each side.
    """

    prefill: InferencePlan
    decode: InferencePlan
    prefill_pool: Pool
    decode_pool: Pool
