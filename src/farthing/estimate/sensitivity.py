"""What a 10% better part would give."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from farthing.predict.fabric import host_memory_bytes_per_s
from farthing.records.estimate import InferenceEstimate, Sensitivity, TrainingEstimate
from farthing.records.hardware import Accelerator, Cluster, HostGroup, Link

Estimate: TypeAlias = InferenceEstimate | TrainingEstimate

BETTER: Final = 1.1
_RATES: Final = (
    "fp32_flop_per_s",
    "tf32_flop_per_s",
    "fp16_flop_per_s",
    "fp16_fp32_accumulate_flop_per_s",
    "bf16_flop_per_s",
    "fp8_flop_per_s",
    "fp4_flop_per_s",
    "int8_op_per_s",
)


def _with_cards(cluster: Cluster, change: Callable[[Accelerator], Accelerator]) -> Cluster:
    groups = tuple(dataclasses.replace(g, accelerator=change(g.accelerator)) for g in cluster.groups)
    return dataclasses.replace(cluster, groups=groups)


def _faster(card: Accelerator) -> Accelerator:
    """Higher rates, and the power that clocks so much higher take: under load power sets the clock."""
    rates = {rate: getattr(card, rate) * BETTER for rate in _RATES}
    return dataclasses.replace(card, tdp_w=card.tdp_w * BETTER**3, **rates)


def _with_links(
    cluster: Cluster, change: Callable[[Link], Link], copy: Callable[[HostGroup], HostGroup]
) -> Cluster:
    """Every link changed, and the way through the host's memory where cards have no other."""

    def group(old: HostGroup) -> HostGroup:
        network = change(old.network) if old.network else None
        return copy(dataclasses.replace(old, intra_link=change(old.intra_link), network=network))

    network = change(cluster.network) if cluster.network else None
    return dataclasses.replace(cluster, groups=tuple(map(group, cluster.groups)), network=network)


def better_clusters(cluster: Cluster) -> Iterator[tuple[str, Cluster]]:
    """The cluster with one kind of part 10% better, for each kind.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> [name for name, _ in better_clusters(parse_cluster("1x8:rtx-4090"))][:2]
    ['compute rate', 'memory bandwidth']
    """
    yield ("compute rate", _with_cards(cluster, _faster))
    yield (
        "memory bandwidth",
        _with_cards(
            cluster, lambda c: dataclasses.replace(c, memory_bytes_per_s=c.memory_bytes_per_s * BETTER)
        ),
    )
    yield (
        "memory size",
        _with_cards(cluster, lambda c: dataclasses.replace(c, memory_bytes=c.memory_bytes * BETTER)),
    )
    if cluster.count > 1:
        yield (
            "link bandwidth",
            _with_links(
                cluster,
                lambda k: dataclasses.replace(k, bytes_per_s=k.bytes_per_s * BETTER),
                lambda g: dataclasses.replace(g, host_memory_bytes_per_s=host_memory_bytes_per_s(g) * BETTER),
            ),
        )
        yield (
            "link latency",
            _with_links(
                cluster,
                lambda k: dataclasses.replace(k, latency_s=k.latency_s / BETTER),
                lambda g: dataclasses.replace(g, host_copy_latency_s=g.host_copy_latency_s / BETTER),
            ),
        )


def _per_cost(estimate: Estimate) -> float:
    """USD a million tokens over USD a second."""
    if not estimate.costs:
        return 0.0
    return estimate.costs[0].usd_per_million_tokens / estimate.costs[0].usd_per_s


def _time_s(estimate: Estimate) -> float:
    return estimate.tpot_s if isinstance(estimate, InferenceEstimate) else estimate.step_s


def sensitivities(
    found: Estimate, cluster: Cluster, repeat: Callable[[Cluster], Estimate]
) -> tuple[Sensitivity, ...]:
    """Throughput, time and money with each better part, over those without.

    Money counts the same costs per second: what a better part costs, or draws, is not known.
    """
    usd = _per_cost(found)
    rows = []
    for part, better in better_clusters(cluster):
        other = repeat(better)
        rows.append(
            Sensitivity(
                part=part,
                throughput_factor=other.tokens_per_s / found.tokens_per_s,
                time_factor=_time_s(other) / _time_s(found),
                usd_factor=_per_cost(other) / usd if usd else 1.0,
            )
        )
    if found.costs:
        cost = found.costs[0]
        saved = cost.hardware_usd_per_s * (1 - 1 / BETTER)
        rows.append(
            Sensitivity(
                part="price of the cards",
                throughput_factor=1.0,
                time_factor=1.0,
                usd_factor=1 - saved / cost.usd_per_s,
            )
        )
    return tuple(rows)
