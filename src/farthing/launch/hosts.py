"""Which cards of which hosts a plan takes."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.records.hardware import Accelerator, Cluster

VISIBLE = {"NVIDIA": "CUDA_VISIBLE_DEVICES", "AMD": "HIP_VISIBLE_DEVICES", "Intel": "ZE_AFFINITY_MASK"}
"""The variable that shows a process only some of the cards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """Cards of one host.

    Attributes
    ----------
    host
        Number of the host, from 1.
    first, cards
        The first card, from 0, and how many follow it with it.
    whole
        These are all cards of the host.
    accelerator
        What they are.
    """

    host: int
    first: int
    cards: int
    whole: bool
    accelerator: Accelerator

    @property
    def address(self) -> str:
        """What stands for the host's address."""
        return address(self.host)


def address(host: int) -> str:
    """What stands for the address of a host, from 1.

    Examples
    --------
    >>> address(2)
    'HOST_2'
    """
    return f"HOST_{host}"


def shares(cluster: Cluster, cards: int, *, skip: int = 0) -> tuple[Share, ...]:
    """The first ``cards`` cards of a cluster behind the first ``skip``, host by host.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> cluster = parse_cluster("4x8:h100-sxm@ib-ndr")
    >>> [(share.host, share.first, share.cards, share.whole) for share in shares(cluster, 12)]
    [(1, 0, 8, True), (2, 0, 4, False)]
    >>> [(share.host, share.first, share.cards) for share in shares(cluster, 4, skip=12)]
    [(2, 4, 4)]
    """
    found: list[Share] = []
    host = 0
    for group in cluster.groups:
        for _ in range(group.hosts):
            host += 1
            there = group.accelerators_per_host
            first = min(skip, there)
            taken = min(there - first, cards)
            skip, cards = skip - first, cards - taken
            if taken:
                found.append(
                    Share(
                        host=host,
                        first=first,
                        cards=taken,
                        whole=taken == there,
                        accelerator=group.accelerator,
                    )
                )
    return tuple(found)


def where(hosts: list[int], all_hosts: int) -> str:
    """Hosts in words.

    Examples
    --------
    >>> where([1], 1), where([1, 2], 2), where([2, 3, 4], 4), where([3], 4), where([1, 3], 4)
    ('this host', 'every host', 'hosts 2 to 4', 'host 3', 'hosts 1, 3')
    """
    if all_hosts == 1:
        return "this host"
    if len(hosts) == all_hosts:
        return "every host"
    if len(hosts) == 1:
        return f"host {hosts[0]}"
    if hosts == list(range(hosts[0], hosts[-1] + 1)):
        return f"hosts {hosts[0]} to {hosts[-1]}"
    return f"hosts {', '.join(map(str, hosts))}"


def visible(share: Share) -> dict[str, str]:
    """The variable that shows a process its cards alone; empty where it has the whole host.

    Examples
    --------
    >>> from farthing.catalog.cluster import parse_cluster
    >>> visible(shares(parse_cluster("1x8:h100-sxm"), 2, skip=2)[0])
    {'CUDA_VISIBLE_DEVICES': '2,3'}
    """
    name = VISIBLE.get(share.accelerator.vendor)
    if share.whole or name is None:
        return {}
    return {name: ",".join(str(share.first + card) for card in range(share.cards))}


def address_note(count: int) -> str:
    """What to put for the placeholders of addresses."""
    return (
        f"HOST_1 to HOST_{count} stand for the addresses of the hosts, in the order of the cluster: "
        "the network that the cards use."
    )
