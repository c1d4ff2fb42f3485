"""A question about faults as a run to simulate: what was given, what is known, what is assumed."""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from farthing.catalog.fault_presets import fault_preset
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, ways
from farthing.estimate.subject import filled, refuse_unknown, resolve_cluster, resolve_model
from farthing.estimate.training import CHECKPOINT_BYTES_PER_S
from farthing.records.fault_preset import FaultPreset
from farthing.records.fault_rates import HARDWARE, FaultRates
from farthing.records.fault_run import (
    Checkpointing,
    FaultCause,
    FaultRun,
    Recovery,
    Stragglers,
    Strikes,
)
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.simulate.faults import presets
from farthing.simulate.faults.lifetimes import failing_often
from farthing.units import DAY, HOUR, format_bytes, format_bytes_per_s, format_seconds

EACH: Final[dict[Strikes, str]] = {
    "card": "each card",
    "host": "each host without its cards",
    "link": "each card's NIC, cable or switch port",
    "job": "the software on each host",
}
"""Whose failures the usual rates are."""

DURATION_S: Final = 30 * DAY
"""Of a run of which nothing else is said."""


def scenario(
    preset: str,
    model: str | Model,
    cluster: str | Cluster,
    *,
    duration_s: float | None,
    causes: tuple[FaultCause, ...],
    options: dict[str, Any],
) -> FaultRun:
    """The run that a question describes; takes what it knows out of ``options``, and refuses the rest.

    Parameters
    ----------
    preset
        Id of a published run, or empty.
    model, cluster
        Names or records; empty takes the preset's.
    duration_s
        Time to simulate [s]; None takes the preset's, or 30 days.
    causes
        What fails; empty takes the preset's, or what is usual.
    options
        Fields of `FaultRates`, `Checkpointing`, `Recovery` and `Stragglers`, ``host_bytes_per_s`` and
        ``usd_per_accelerator_hour``.

    Examples
    --------
    >>> run = scenario("", "llama-3.1-8b", "4x8:h100-sxm@ib-ndr", duration_s=None, causes=(), options={})
    >>> run.hosts, [cause.fault_parts for cause in run.causes]
    (4, [32, 4, 32, 4])
    """
    base = fault_preset(preset) if preset else None
    if base is None and not cluster:
        raise InvalidInput(
            "say what is simulated: a preset such as llama-3-405b, or a model and a cluster (--model, --on)"
        )
    stored = options.get("stored_bytes")
    if base is None and not model and stored is None:
        raise InvalidInput("say which model is trained (--model), or how large a checkpoint is")
    machines = resolve_cluster(cluster or (base.cluster if base else ""))
    counted_on = resolve_cluster(base.cluster if base else fault_preset(presets.COUNTED).cluster)
    shape = (
        resolve_model(model or (base.model if base else "")) if model or (base and stored is None) else None
    )
    asked = {*options, *(name for name, value in (("model", model), ("cluster", cluster)) if value)}
    notes = [one.words for one in base.assumptions if not asked & set(one.about)] if base else []
    idle = sorted((asked - {"failure_factor"}) & set(FaultRates.__dataclass_fields__))
    if causes and idle:
        raise InvalidInput(f"{idle[0]} and causes contradict each other: change the causes themselves")
    rates = _rates(base, options)
    failing = causes or _causes(base, counted_on, machines, rates, asked, notes)
    failing = tuple(_changed(cause, rates, asked, own=bool(causes)) for cause in failing)
    checkpointing = _checkpointing(base, shape, machines, options, notes)
    recovery = _recovery(base, options, notes)
    slow = _stragglers(machines, options, notes)
    usd_per_s = _price(machines, options, notes)
    refuse_unknown(options, FaultRates, Checkpointing, Recovery, Stragglers)
    name = base.name if base and not (model or cluster) else _name(base, shape, machines)
    return FaultRun(
        name=name,
        hosts=machines.hosts,
        cards=machines.count,
        duration_s=duration_s if duration_s is not None else base.duration_s if base else DURATION_S,
        causes=failing,
        checkpointing=checkpointing,
        recovery=recovery,
        stragglers=slow,
        cards_usd_per_s=usd_per_s,
        assumptions=tuple(notes),
    )


def _name(base: FaultPreset | None, shape: Model | None, machines: Cluster) -> str:
    what = shape.name if shape else "a checkpoint of given size"
    return f"{what} on {machines.name}" + (f", failing like {base.id}" if base else "")


def _rates(base: FaultPreset | None, options: dict[str, Any]) -> FaultRates:
    start = FaultRates()
    if base:
        start = dataclasses.replace(start, hosts_per_rack=base.hosts_per_rack, repair_s=base.repair_s)
    return filled(start, FaultRates, options)


def _causes(
    base: FaultPreset | None,
    counted_on: Cluster,
    machines: Cluster,
    rates: FaultRates,
    asked: set[str],
    notes: list[str],
) -> tuple[FaultCause, ...]:
    """The preset's causes or the usual ones, with those in their place that the question states."""
    if base:
        found = list(presets.published_causes(base, counted_on, machines))
    else:
        found = list(presets.usual_causes(counted_on, machines, rates))
        told = ", ".join(
            f"{EACH[one.strikes]} in {presets.mean_life(one.part_mtbf_s)}"
            for one in found
            if presets.RATED[one.strikes] not in asked
        )
        if told:
            notes.append(
                f"a failure of {told}: as counted over 54 days of 16,384 H100 (meta-2024-llama3); other "
                "hardware and software may fail otherwise"
            )
    for kind, field in presets.RATED.items():
        mtbf_s = getattr(rates, field)
        if not mtbf_s:
            continue
        stated = presets.stated_cause(machines, kind, mtbf_s, rates, basis="given")
        if kind == "job":
            # The software of a whole job, as one part.
            stated = dataclasses.replace(stated, fault_parts=1)
        found = [one for one in found if one.strikes != kind]
        found.append(stated)
    if any(one.hosts_out for one in found) and "repair_s" not in asked and base is None:
        notes.append(f"a host that failed is repaired within {format_seconds(rates.repair_s)}")
    return tuple(found)


def _changed(cause: FaultCause, rates: FaultRates, asked: set[str], *, own: bool) -> FaultCause:
    """A cause as the question changes it."""
    changes: dict[str, Any] = {}
    if cause.strikes != "job" and not own:
        changes |= {name: getattr(rates, name) for name in HARDWARE if name in asked}
        if not cause.hosts_out:
            changes.pop("repair_s", None)
    return failing_often(dataclasses.replace(cause, **changes), rates.failure_factor)


def _checkpointing(
    base: FaultPreset | None,
    shape: Model | None,
    machines: Cluster,
    options: dict[str, Any],
    notes: list[str],
) -> Checkpointing:
    given = dict(options)
    host_rate = options.pop("host_bytes_per_s", None)
    if host_rate is not None:
        if "write_bytes_per_s" in given:
            raise InvalidInput("give write_bytes_per_s or host_bytes_per_s (of each host), not both")
        options["write_bytes_per_s"] = host_rate * machines.hosts if _is_number(host_rate) else host_rate
    if "write_bytes_per_s" in options:
        options.setdefault("read_bytes_per_s", options["write_bytes_per_s"])
    usual = CHECKPOINT_BYTES_PER_S * machines.hosts
    start: dict[str, Any] = {"checkpoint_mode": base.checkpoint_mode} if base else {}
    start["write_bytes_per_s"] = (base.write_bytes_per_s if base else 0.0) or usual
    start["read_bytes_per_s"] = (base.read_bytes_per_s if base else 0.0) or start["write_bytes_per_s"]
    if not (base and base.write_bytes_per_s) and "write_bytes_per_s" not in options:
        notes.append(
            f"storage takes {format_bytes_per_s(CHECKPOINT_BYTES_PER_S)} of each host, "
            f"{format_bytes_per_s(usual)} in all"
        )
    if "stored_bytes" not in options and shape is not None:
        start["stored_bytes"] = presets.stored_bytes_of(shape)
        notes.append(
            f"a checkpoint holds 14 bytes a parameter, {format_bytes(start['stored_bytes'])}: 16-bit "
            "weights and Adam's states in fp32, once"
        )
    for name, value in start.items():
        options.setdefault(name, value)
    asynchronous = options.get("checkpoint_mode") == "async"
    found = filled(None, Checkpointing, options)
    if asynchronous and "snapshot_s" not in given:
        notes.append(f"the job waits {format_seconds(found.snapshot_s)} for the snapshot of a checkpoint")
    if not asynchronous and "snapshot_s" in given:
        raise InvalidInput("snapshot_s is of asynchronous checkpoints: give checkpoint_mode async with it")
    if found.memory_interval_s:
        words = [
            f"{format_seconds(getattr(found, name))} to {verb} one"
            for name, verb in (("memory_snapshot_s", "make"), ("memory_load_s", "load"))
            if name not in given
        ]
        if words:
            notes.append(f"checkpoints in the memory of other hosts take {' and '.join(words)}")
        if not found.interval_s:
            notes.append(
                "storage gets a checkpoint every 3 h besides, or at Daly's interval for failures that take "
                "the memory, whichever is sooner"
            )
    elif "memory_snapshot_s" in given or "memory_load_s" in given:
        raise InvalidInput(
            "memory_snapshot_s and memory_load_s need memory_interval_s, how often that is done"
        )
    return found


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _recovery(base: FaultPreset | None, options: dict[str, Any], notes: list[str]) -> Recovery:
    given = set(options)
    start = Recovery()
    if base:
        counted = sum(cause.events for cause in base.causes)
        start = Recovery(
            detection_s=base.detection_s,
            detection_spread=base.detection_spread,
            restart_s=base.restart_s,
            manual_share=base.manual_events / counted if counted else 0.0,
            manual_s=base.manual_s,
            maintenance_per_day=base.planned_events / base.duration_s * DAY,
            maintenance_s=base.maintenance_s,
        )
    found = filled(start, Recovery, options)
    if base is None:
        if "detection_s" not in given:
            notes.append(
                f"{format_seconds(found.detection_s)} on average until a failure is noticed and found "
                "(ByteDance reports less than 10 minutes: jiang-2024-megascale)"
            )
        if "restart_s" not in given:
            notes.append(
                f"{format_seconds(found.restart_s)} to schedule and start all processes, then the checkpoint"
            )
    if "spare_hosts" not in given and base is None:
        notes.append("a spare host is always there")
    if found.elastic_replicas and found.spare_hosts is None:
        raise InvalidInput("elastic_replicas matters where spares are few: give spare_hosts too, e.g. 0")
    if found.maintenance_s and not found.maintenance_per_day:
        raise InvalidInput("maintenance_s needs maintenance_per_day, how often that is")
    return found


def _stragglers(machines: Cluster, options: dict[str, Any], notes: list[str]) -> Stragglers | None:
    mine = {"slowdown", "notice_s", "straggler_parts"} & set(options)
    if "straggler_mtbf_s" not in options:
        if mine:
            raise InvalidInput(f"{sorted(mine)[0]} needs straggler_mtbf_s: how long until a card turns slow")
        return None
    given = set(options)
    options.setdefault("straggler_parts", machines.count)
    found = filled(None, Stragglers, options)
    if "slowdown" not in given:
        notes.append(f"a slow card makes every step take {found.slowdown:g} times as long")
    if "notice_s" not in given:
        notes.append(f"{format_seconds(found.notice_s)} on average until a slow card is noticed")
    return found


def _price(machines: Cluster, options: dict[str, Any], notes: list[str]) -> float:
    """What all cards cost a second [USD/s]; 0 where nobody knows."""
    basis = CostBasis()
    own = options.pop("usd_per_accelerator_hour", None)
    if own is not None:
        if not _is_number(own):
            raise InvalidInput(f"usd_per_accelerator_hour must be a number, not {own!r}")
        basis = dataclasses.replace(basis, usd_per_accelerator_hour=own)
        if not own:
            return 0.0
    rent = next((way for way in ways(machines, basis) if way.name == "rent"), None)
    if rent is None:
        return 0.0
    if own is None:
        hourly = rent.hardware_usd_per_s * HOUR / machines.count
        notes.append(f"a card costs ${hourly:,.2f} an hour, the catalogue's rent: {rent.words}")
    return rent.hardware_usd_per_s
