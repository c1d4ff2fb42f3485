"""Kits and copies as what estimates and prices take: hosts whose links are columns, copies by kit and row."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from farthing.design.copies import PERFECT, Copies, joined_hosts
from farthing.design.machines import SYSTEM_BYTES
from farthing.design.pricing import Copy, Kits
from farthing.predict.fabric import host_memory_bytes_per_s
from farthing.records.hardware import Cluster, HostGroup, Link


def copy_of(kits: Kits, rows: Copies) -> Copy:
    """What pricing needs of copies on each of some kits."""
    widths, place = np.unique(kits.cards, return_inverse=True)
    hosts = np.stack([joined_hosts(rows, int(cards)) for cards in widths])[place]
    return Copy(
        cards=rows.cards,
        tokens_per_s=rows.tokens_per_s,
        ttft_s=rows.ttft_s,
        tpot_s=rows.tpot_s,
        busy_w=rows.busy_w,
        least_busy_w=rows.least_busy_w,
        idle_w=np.full(len(rows), rows.idle_w),
        hosts=hosts,
        legal=rows.weight_bytes[None, :] + SYSTEM_BYTES <= kits.memory_bytes[:, None],
    )


def cluster_of(groups: Sequence[HostGroup], hosts: int) -> Cluster:
    """Hosts whose links and cards are columns, a row for each of some groups.

    Copies that lie in one host have no network, and never use one.
    """
    first = groups[0]
    networks = [one.network or PERFECT for one in groups]
    group = dataclasses.replace(
        first,
        hosts=hosts,
        accelerators_per_host=_numbers([one.accelerators_per_host for one in groups]),
        intra_link=_column([one.intra_link for one in groups]),
        network=_column(networks),
        nics_per_host=_numbers([one.nics_per_host for one in groups]),
        host_memory_bytes_per_s=_numbers([host_memory_bytes_per_s(one) for one in groups]),
        host=None,
    )
    return Cluster(name=first.accelerator.id, groups=(group,), network=group.network)


def _numbers(values: Sequence[float]) -> Any:
    """A column; one number where all are alike."""
    return values[0] if len(set(values)) == 1 else np.array(values)


def _column(links: Sequence[Link]) -> Link:
    """Links as one whose rates are columns."""
    return dataclasses.replace(
        links[0],
        bytes_per_s=cast(Any, np.array([link.bytes_per_s for link in links])),
        latency_s=_numbers([link.latency_s for link in links]),
        efficiency=_numbers([link.efficiency for link in links]),
    )
