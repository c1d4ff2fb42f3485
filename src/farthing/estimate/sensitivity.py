"""What a 10% better part would give."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Final

from farthing.records.estimate import Sensitivity
from farthing.records.hardware import Accelerator, Cluster, HostGroup, Link

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


def _with_links(cluster: Cluster, change: Callable[[Link], Link]) -> Cluster:
    def group(old: HostGroup) -> HostGroup:
        network = change(old.network) if old.network else None
        return dataclasses.replace(old, intra_link=change(old.intra_link), network=network)

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
    yield (
        "compute rate",
        _with_cards(cluster, lambda c: dataclasses.replace(c, **{r: getattr(c, r) * BETTER for r in _RATES})),
    )
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
            _with_links(cluster, lambda k: dataclasses.replace(k, bytes_per_s=k.bytes_per_s * BETTER)),
        )
        yield (
            "link latency",
            _with_links(cluster, lambda k: dataclasses.replace(k, latency_s=k.latency_s / BETTER)),
        )


def sensitivities(
    cluster: Cluster, throughput: float, time_s: float, repeat: Callable[[Cluster], tuple[float, float]]
) -> tuple[Sensitivity, ...]:
    """Throughput and time with each better part, over those without."""
    found = []
    for part, better in better_clusters(cluster):
        more, less = repeat(better)
        found.append(Sensitivity(part=part, throughput_factor=more / throughput, time_factor=less / time_s))
    return tuple(found)
