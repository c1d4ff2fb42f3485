"""What an estimate is about: model, cluster, formats and engine, looked up and checked."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Final, TypeVar

import numpy as np

from farthing import catalog
from farthing.catalog.cluster import find_cluster
from farthing.catalog.shapes import find_model
from farthing.errors import InvalidInput
from farthing.predict.device import Device, device
from farthing.records.efficiency import IDEAL, Efficiency
from farthing.records.engine import Engine
from farthing.records.engine_efficiency import NO_OVERHEAD, EngineEfficiency
from farthing.records.hardware import Accelerator, Cluster, NumberFormat
from farthing.records.model import Model
from farthing.records.wiring import Wiring
from farthing.records.workload import InferenceWorkload

T = TypeVar("T")

WHOLE_MODEL_FAMILIES: Final = ("gguf-file", "gguf-tensor", "mlx", "exl2", "exl3")
"""Formats that also store the embedding and the head; the others leave those in 16 bits."""

EXPERT_FAMILIES: Final = ("microscaling", "integer")
"""Families whose 4-bit checkpoints of a mixture store its routed experts, and all else in 16 bits."""

NO_ENGINE: Final = Engine(id="", name="no particular engine", version="", kind="", vendors="")


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model on a cluster, with the constants that apply."""

    model: Model
    cluster: Cluster
    devices: tuple[Device, ...]
    efficiencies: tuple[Efficiency, ...]
    weights: NumberFormat
    dense: NumberFormat
    narrow: frozenset[str]
    kv: NumberFormat
    engine: Engine
    overheads: EngineEfficiency
    wiring: Wiring

    @property
    def head_bytes(self) -> float:
        """Bytes of one parameter of embedding and head."""
        if self.dense is not self.weights:
            return self.dense.bytes_per_element
        if self.weights.family in WHOLE_MODEL_FAMILIES:
            return self.weights.bytes_per_element
        return max(2.0, self.weights.bytes_per_element if self.weights.family == "float" else 2.0)


def resolve_model(model: str | Model) -> Model:
    """The model of a name, file or hub id; a record passes through."""
    if isinstance(model, str):
        return find_model(model)
    if not isinstance(model, Model):
        raise InvalidInput(f"model must be a name, a file or a Model, not {model!r}")
    return model


def resolve_cluster(cluster: str | Cluster) -> Cluster:
    """The cluster of a text or file; a record passes through."""
    if isinstance(cluster, str):
        return find_cluster(cluster)
    if not isinstance(cluster, Cluster):
        raise InvalidInput(f"cluster must be a text such as 1x8:rtx-4090 or a Cluster, not {cluster!r}")
    return cluster


def storage_format(name: str, role: str) -> NumberFormat:
    """The number format of that id, if it can hold ``weights``, ``activations`` or a ``kv_cache``."""
    found = catalog.number_format(name)
    if not getattr(found, role):
        able = [f.id for f in catalog.formats().values() if getattr(f, role)]
        what = {"kv_cache": "a KV cache", "weights": "weights", "activations": "activations"}[role]
        raise InvalidInput(f"{found.id} cannot hold {what}; what can: {', '.join(able)}")
    return found


def subject(
    model: Model,
    cluster: Cluster,
    *,
    weight_format: str,
    compute_format: str,
    kv_format: str = "fp16",
    dense_format: str = "",
    engine: str = "",
    ideal: bool = False,
    sustained: bool = False,
    overheads: EngineEfficiency | None = None,
) -> Subject:
    """Look up formats, engine and efficiency constants; ``sustained`` for hours of full load.

    ``overheads`` stands in for the engine's constants of the table, where those are what is sought.
    """
    weights = storage_format(weight_format, "weights")
    narrow: frozenset[str] = frozenset()
    if not dense_format and keeps_wide_layers(model, weights):
        dense_format, narrow = "bf16", catalog.narrow_products(model.id, weights.id)
    dense = storage_format(dense_format, "weights") if dense_format else weights
    compute = storage_format(compute_format, "activations").compute if compute_format else weights.compute
    if compute == "fp32" and weights.id not in ("fp32", "tf32") and not compute_format:
        compute = "fp16"
    efficiencies = tuple(
        IDEAL if ideal else catalog.efficiency(group.accelerator) for group in cluster.groups
    )
    if sustained:
        efficiencies = tuple(
            _sustained(constants, group.accelerator)
            for constants, group in zip(efficiencies, cluster.groups, strict=True)
        )
    given = NO_OVERHEAD if ideal else overheads
    engines = [
        given or catalog.engine_efficiency(engine, group.accelerator, weights) for group in cluster.groups
    ]
    if ideal and engine:
        # Paper arithmetic takes the units that the engine's kernels use.
        engines = [
            replace(own, compute=catalog.engine_efficiency(engine, group.accelerator, weights).compute)
            for own, group in zip(engines, cluster.groups, strict=True)
        ]
    devices = tuple(
        device(group.accelerator, (not compute_format and own.compute) or compute, constants, own)
        for group, constants, own in zip(cluster.groups, efficiencies, engines, strict=True)
    )
    if dense.compute != weights.compute and not compute_format:
        devices = tuple(
            _with_wide(card, group.accelerator, constants, engine, dense, given)
            for card, group, constants in zip(devices, cluster.groups, efficiencies, strict=True)
        )
    return Subject(
        model=model,
        cluster=cluster,
        devices=devices,
        efficiencies=efficiencies,
        weights=weights,
        dense=dense,
        narrow=narrow,
        kv=storage_format(kv_format, "kv_cache"),
        engine=catalog.engine(engine) if engine else NO_ENGINE,
        overheads=engines[0],
        wiring=catalog.wiring(engine),
    )


def keeps_wide_layers(model: Model, weights: NumberFormat) -> bool:
    """Whether only the routed experts are stored in the format: so are the 4-bit checkpoints of mixtures."""
    return model.is_moe and weights.bits < 5 and weights.family in EXPERT_FAMILIES


@functools.lru_cache(maxsize=1024)
def _with_wide(
    card: Device,
    accelerator: Accelerator,
    constants: Efficiency,
    engine: str,
    dense: NumberFormat,
    given: EngineEfficiency | None,
) -> Device:
    own = given or catalog.engine_efficiency(engine, accelerator, dense)
    return replace(card, wide=device(accelerator, own.compute or dense.compute, constants, own))


def _sustained(efficiency: Efficiency, card: Accelerator) -> Efficiency:
    """The constants of long runs: power grows with the cube of the clock, so the clock with its cube root.

    The peak that a vendor prints for a card of other clocks plays no part in what its power allows.
    """
    share = efficiency.sustained_share
    if efficiency.unit_w and card.tdp_w and card.compute_units:
        power = card.tdp_w / card.compute_units / efficiency.unit_w
        peak = card.bf16_flop_per_s / card.compute_units / efficiency.unit_flop_per_s
        share = min(share * power ** (1 / 3) / peak, 1.0)
    return replace(
        efficiency,
        matmul_share=efficiency.matmul_share * share,
        matmul_share_8bit=efficiency.matmul_share_8bit * share,
        matmul_share_4bit=efficiency.matmul_share_4bit * share,
        attention_share=efficiency.attention_share * share,
    )


def plain(value: Any) -> Any:
    """NumPy's numbers and arrays, and ranges, as Python's own: callers have them, records hold numbers.

    Examples
    --------
    >>> plain(np.int64(8)), plain(np.array([4, 8])), plain(range(1, 3)), plain("bf16")
    (8, [4, 8], [1, 2], 'bf16')
    """
    if isinstance(value, range):
        return list(value)
    return value.tolist() if isinstance(value, (np.generic, np.ndarray)) else value


def filled(record: T | None, kind: type[T], options: dict[str, Any]) -> T:
    """A record with some fields replaced; takes what it knows out of ``options``."""
    if record is not None and not isinstance(record, kind):
        raise InvalidInput(f"{kind.__name__} needed, not {record!r}; give a record, or its fields as options")
    known = kind.__dataclass_fields__  # type: ignore[attr-defined]
    mine = {name: plain(options.pop(name)) for name in list(options) if name in known}
    if record is None:
        return kind(**mine)
    return replace(record, **mine) if mine else record  # type: ignore[type-var]


def serving_load(
    model: Model, workload: InferenceWorkload | None, options: dict[str, Any]
) -> InferenceWorkload:
    """The load of some options, whose defaults follow from the model; takes what it knows out of them."""
    if workload is not None:
        return filled(workload, InferenceWorkload, options)
    if model.encoder:
        # It puts nothing out: what is timed is reading.
        options.setdefault("output_tokens", 0)
    written, context = options.get("output_tokens", 256), options.get("context_tokens", 0)
    if isinstance(written, int) and isinstance(context, int):  # the record says what is wrong with others
        if context:
            # A context alone: the prompt is what the output leaves of it.
            options.setdefault("prompt_tokens", max(1, context - written))
        elif model.max_context < 1280:
            # A short model: the default prompt must leave room for the output.
            options.setdefault("prompt_tokens", max(1, model.max_context - written))
    return filled(None, InferenceWorkload, options)


def refuse_unknown(options: Iterable[str], *kinds: type) -> None:
    """Raise for options that no record knows."""
    for name in options:
        known = [field.name for kind in kinds for field in fields(kind)]
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        advice = f"did you mean {', '.join(near)}?" if near else f"known: {', '.join(known)}"
        raise InvalidInput(f"unknown option {name!r}; {advice}")


def cuts_heads(model: Model, tp: int) -> bool:
    """Whether so many cards share the heads evenly: query heads divided, KV heads divided or repeated."""
    if not model.heads:
        return True
    return model.heads % tp == 0 and (model.kv_heads % tp == 0 or tp % model.kv_heads == 0)


def check_tensor_parallel(model: Model, tp: int) -> None:
    """Tensor parallelism cuts whole heads."""
    if not cuts_heads(model, tp):
        good = [size for size in range(1, min(model.heads, 64) + 1) if cuts_heads(model, size)]
        raise InvalidInput(
            f"tp={tp} does not divide the {model.heads} heads ({model.kv_heads} for keys and values) of "
            f"{model.id}; use one of "
            f"{', '.join(map(str, good))}"
        )


def check_stages(model: Model, pp: int, interleave: int = 1) -> None:
    """Each (virtual) stage needs a layer; of many virtual ones the embedding and the head may fill two."""
    if pp * interleave > model.layers + (2 if interleave > 1 else 0):
        what = f"pp={pp}" if interleave == 1 else f"pp={pp} x interleave={interleave}"
        raise InvalidInput(
            f"{what} needs at least {pp * interleave} layers; {model.id} has {model.layers}: lower it"
        )


def check_expert_parallel(model: Model, ep: int, over: int, axes: str) -> None:
    """Expert parallelism deals out whole experts over existing cards."""
    if ep == 1:
        return
    if not model.is_moe:
        raise InvalidInput(f"ep={ep} needs a mixture-of-experts model; {model.id} is dense: leave ep at 1")
    if model.experts % ep:
        raise InvalidInput(
            f"ep={ep} does not divide the {model.experts} experts of {model.id}; use a divisor"
        )
    if over % ep:
        raise InvalidInput(f"ep={ep} must divide {axes} ({over})")


def check_cards(cluster: Cluster, needed: int, expression: str) -> None:
    """A plan cannot use more cards than there are."""
    if needed > cluster.count:
        raise InvalidInput(
            f"the plan needs {expression} = {needed} cards; {cluster.name} has {cluster.count}: "
            "lower a size, or name more cards"
        )


def efficiency_note(efficiency: Efficiency) -> str:
    """What the efficiency constants rest on."""
    if efficiency.id == IDEAL.id:
        return "ideal: every efficiency is 1 and no kernel takes time of its own"
    basis = efficiency.fitted_on
    if basis.startswith("none: "):
        return f"{efficiency.id}: efficiency constants assumed, not measured: {basis.removeprefix('none: ')}"
    return f"{efficiency.id}: efficiency constants from {basis}"


def refitted_note(about: Subject) -> list[str]:
    """Whether a user's own runs changed the constants."""
    basis = about.overheads.fitted_on
    return [f"constants refitted to {basis}"] if basis.startswith("your ") else []


def computed_wider(about: Subject) -> list[str]:
    """Cards without a unit for the format, whose products run in a wider one."""
    compute = about.weights.compute
    field = {"bf16": "bf16_flop_per_s", "fp8": "fp8_flop_per_s", "fp4": "fp4_flop_per_s"}.get(compute, "")
    cards = {group.accelerator.name: group.accelerator for group in about.cluster.groups}
    return [
        f"{name} has no {compute} units: products run in the next format that it has"
        for name, card in cards.items()
        if field and not getattr(card, field)
    ]


def hardware_notes(cluster: Cluster) -> list[str]:
    """What the user should know about the hardware."""
    notes = []
    for group in cluster.groups:
        card = group.accelerator
        if not card.datacenter_licence:
            notes.append(f"{card.name}: the driver's licence forbids deployment in data centres")
        if group.host_copy and group.accelerators_per_host > 1:
            notes.append(f"{card.name}: no peer-to-peer over PCIe; cards exchange data through host memory")
    return list(dict.fromkeys(notes))
