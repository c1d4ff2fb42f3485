"""Which pipeline stage of a served model lies on which hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from farthing.predict.device import Device
from farthing.predict.stages import Stage, even_layers, single_stages, stages
from farthing.predict.trace import Number, larger, rounded_up, select, untraced
from farthing.records.efficiency import Efficiency
from farthing.records.hardware import Cluster, HostGroup
from farthing.records.model import Model
from farthing.records.plan import InferencePlan

USABLE_SHARE: Final = 0.9
"""Share of a card that layers may fill when they are split over unlike cards; the rest is left for cache and
activations, which the memory check then counts. An assumption."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Pipeline stages that are alike, on hosts that are alike.

    Attributes
    ----------
    stage, group, device, efficiency
        What lies there, and on what.
    hops_inside, hops_across
        How many transfers to the next stage stay in a host, and how many leave it, over all copies.
    """

    stage: Stage
    group: HostGroup
    device: Device
    efficiency: Efficiency
    hops_inside: Number
    hops_across: Number


def weighted_layers(layers: int, speeds: Sequence[float], capacities: Sequence[float]) -> tuple[int, ...]:
    """Layers of each stage on unlike cards: in proportion to speed, as far as memory reaches.

    Parameters
    ----------
    layers
        Of the model.
    speeds
        Of the stages, in any unit: at small batch the memory bandwidth.
    capacities
        Layers that each stage can hold.

    Returns
    -------
    tuple of int
        At least 1 each. Where the layers do not fit at all, the last assignment before giving up: the memory
        check tells by how much.

    References
    ----------
    borzunov-2023

    Examples
    --------
    >>> weighted_layers(80, [1008, 1008, 800], [10, 99, 99])
    (10, 39, 31)
    """
    held = [1] * len(speeds)
    while sum(held) < layers:
        open_stages = [i for i in range(len(held)) if held[i] < int(capacities[i])] or range(len(held))
        # The stage that stays the quickest with one layer more gets it.
        best = min(open_stages, key=lambda i: ((held[i] + 1) / speeds[i], i))
        held[best] += 1
    return tuple(held)


def places(
    model: Model,
    cluster: Cluster,
    plan: InferencePlan,
    devices: Sequence[Device],
    efficiencies: Sequence[Efficiency],
    *,
    layer_bytes: float = 0.0,
    by_memory: bool = False,
) -> tuple[Place, ...]:
    """Where the stages lie: on one kind of host (columns allowed), or in order over unlike ones (scalars).

    Cards are numbered tensor parallel first, then pipeline, then replicas.

    Parameters
    ----------
    model, cluster, plan
        Records.
    devices, efficiencies
        For each group of the cluster.
    layer_bytes
        Weights and cache of one layer, to split layers over unlike cards [byte].
    by_memory
        Unlike cards get layers in proportion to their memory, not to their speed.

    Returns
    -------
    tuple of Place

    References
    ----------
    pope-2022

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.predict.device import device
    >>> from farthing.records.efficiency import IDEAL
    >>> cluster = parse_cluster("2x4:rtx-4090@25gbe")
    >>> card = device(cluster.groups[0].accelerator, "fp16")
    >>> [(p.stage.layers, p.hops_inside, p.hops_across)
    ...  for p in places(model("llama-2-70b"), cluster, InferencePlan(tp=4, pp=2), [card], [IDEAL])]
    [(40, 0.0, 1.0), (40, 0.0, 0.0)]
    """
    if len(cluster.groups) == 1:
        group = cluster.groups[0]
        tp, pp = untraced(plan.tp), untraced(plan.pp)
        in_host = larger(group.accelerators_per_host // tp, 1)
        crossing = rounded_up(pp / in_host) - 1
        found = []
        for index, stage in enumerate(stages(model, pp, plan.stage_layers)):
            found.append(
                Place(
                    stage=stage,
                    group=group,
                    device=devices[0],
                    efficiency=efficiencies[0],
                    hops_inside=select(index == 0, pp - 1 - crossing, 0.0),
                    hops_across=select(index == 0, crossing, 0.0),
                )
            )
        return tuple(found)
    slots = [
        (number, host)
        for number, group in enumerate(cluster.groups)
        for host in range(group.hosts)
        for _ in range(max(group.accelerators_per_host // plan.tp, 1))
    ][: plan.pp]
    split = plan.stage_layers
    if not split:
        speeds = [
            devices[g].memory_bytes if by_memory else devices[g].memory_bytes_per_s * devices[g].memory_share
            for g, _ in slots
        ]
        capacities = [
            max(devices[g].memory_bytes * USABLE_SHARE * plan.tp / layer_bytes, 1)
            if layer_bytes
            else model.layers
            for g, _ in slots
        ]
        split = (
            weighted_layers(model.layers, speeds, capacities)
            if len(slots) == plan.pp
            else even_layers(model.layers, plan.pp)
        )
    single = []
    for place in range(plan.pp):
        # One stage of a pipeline cut as given: the stage of that index, alone.
        stage = single_stages(model, tuple(split))[place]
        number, host = slots[min(place, len(slots) - 1)]
        last = place == plan.pp - 1
        same = not last and slots[min(place + 1, len(slots) - 1)] == (number, host)
        single.append(
            Place(
                stage=stage,
                group=cluster.groups[number],
                device=devices[number],
                efficiency=efficiencies[number],
                hops_inside=float(same),
                hops_across=float(not same and not last),
            )
        )
    return tuple(single)
