"""The machines of a cluster in the order in which a pipeline goes through them."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence

from farthing.records.hardware import Cluster


def reordered(cluster: Cluster, stages: Sequence[int], slots: Sequence[int]) -> Cluster:
    """The machines that serve stages, in order, and then all others.

    Parameters
    ----------
    cluster
        All machines.
    stages
        The group that each stage lies on; those of a group follow each other.
    slots
        Stages that a host of each group has room for.

    Returns
    -------
    Cluster
        The same one where it is in that order already.

    Examples
    --------
    Three stages lie on an H100 and on one of two hosts with A100.

    >>> from farthing.catalog.cluster import parse_cluster
    >>> cluster = parse_cluster("2x2:a100-sxm-80gb+1x1:h100-sxm@ib-ndr")
    >>> [(group.hosts, group.accelerator.id) for group in reordered(cluster, [0, 0, 1], [2, 1]).groups]
    [(1, 'a100-sxm-80gb'), (1, 'h100-sxm'), (1, 'a100-sxm-80gb')]
    """
    serving, waiting = [], []
    used = _hosts(stages, slots)
    for number, hosts in used.items():
        group = cluster.groups[number]
        if number == stages[-1] or hosts == group.hosts:
            # Stages end before the last group's other hosts.
            serving.append(group)
        else:
            serving.append(dataclasses.replace(group, hosts=hosts))
            waiting.append(dataclasses.replace(group, hosts=group.hosts - hosts))
    waiting += [group for number, group in enumerate(cluster.groups) if number not in used]
    groups = (*serving, *waiting)
    return cluster if groups == cluster.groups else dataclasses.replace(cluster, groups=groups)


def unused(cluster: Cluster, stages: Sequence[int], slots: Sequence[int], tp: int) -> Iterator[str]:
    """Machines that serve no stage, and cards of those that do, in words.

    Parameters
    ----------
    cluster, stages, slots
        As in `reordered`.
    tp
        Cards of a stage.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> cluster = parse_cluster("2x2:a100-sxm-80gb+1x1:h100-sxm@ib-ndr")
    >>> for words in unused(cluster, [0], [2, 1], 1):
    ...     print(words)
    1 of 2 hosts with 2 x a100-sxm-80gb
    1 of 2 cards of 1 host with a100-sxm-80gb
    1 host with 1 x h100-sxm
    """
    used = _hosts(stages, slots)
    for number, group in enumerate(cluster.groups):
        card = group.accelerator.id
        hosts = used.get(number, 0)
        if hosts < group.hosts:
            of = f" of {group.hosts}" if hosts else ""
            which = f"{group.hosts - hosts}{of} host{'s' * (group.hosts > 1)}"
            yield f"{which} with {group.accelerators_per_host} x {card}"
        cards = hosts * group.accelerators_per_host
        idle = cards - Counter(stages)[number] * tp
        if idle:
            yield f"{idle} of {cards} cards of {hosts} host{'s' * (hosts > 1)} with {card}"


def _hosts(stages: Sequence[int], slots: Sequence[int]) -> dict[int, int]:
    """Hosts that stages lie on, by group in order."""
    return {number: math.ceil(count / slots[number]) for number, count in Counter(stages).items()}
