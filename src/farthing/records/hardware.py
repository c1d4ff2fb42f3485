"""Accelerators, links, hosts and the clusters made of them."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Final, Literal

from farthing.errors import InvalidInput

STALE_AFTER_DAYS: Final = 183
"""Half a year: rental prices have halved within one."""

AcceleratorKind = Literal["gpu", "soc", "cpu", "tpu", "npu"]
LinkKind = Literal[
    "nvlink", "xgmi", "pcie", "ici", "memory", "ethernet", "roce", "infiniband", "thunderbolt", "wan"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accelerator:
    """A card, a chip or a whole processor that computes.

    Rates are dense peaks in FLOP/s (or op/s for integers); 0 means that the format has no unit of its own
    there. Bandwidths are bytes/s.

    Attributes
    ----------
    id, name, vendor, architecture, year, kind, form
        Catalogue id, the vendor's name, and what it is. ``architecture`` (``ada``, ``hopper``, ``cdna3``,
        ``apple-m2`` ...) selects the efficiency constants.
    memory_bytes, memory_bytes_per_s
        Size and peak bandwidth of the device's memory. Vendors' "GB" of device memory are GiB.
    fp32_flop_per_s, tf32_flop_per_s
        Plain and tensor-core single precision.
    fp16_flop_per_s
        Tensor fp16 at the fastest accumulation.
    fp16_fp32_accumulate_flop_per_s, bf16_flop_per_s
        Tensor 16-bit with fp32 accumulation: what training uses. GeForce halves it.
    fp8_flop_per_s, fp4_flop_per_s, int8_op_per_s
        Narrow formats.
    compute_units
        Streaming multiprocessors, compute units or cores; 0 where unknown.
    fast_units, slow_unit_speed
        Of a processor with two kinds of core: how many are of the faster one, and the arithmetic of one of
        the others over theirs. 0 and 1 where all are alike.
    exponential_speed
        Exponentials that a compute unit takes in a clock, over those of the card that its architecture's
        constants were measured on.
    l2_bytes
        Last-level cache; 0 where unknown.
    link
        Id of the catalogue's link between cards of one host; empty means PCIe.
    pcie_generation, pcie_lanes
        How the card sits in a host; 0 where it has none.
    peer_to_peer
        Cards can write each other's memory over PCIe. GeForce since the RTX 4090 cannot.
    unified_memory
        Memory is shared with the host's processor.
    tdp_w, idle_w
        Power limit and draw at rest; ``idle_w`` 0 where unknown.
    launch_price_usd
        0 where none was published.
    datacenter_licence
        False where the driver's licence forbids data-centre deployment.
    notes, source
        Caveats, and where the row comes from.
    """

    id: str
    name: str
    vendor: str
    architecture: str
    year: int
    kind: AcceleratorKind
    form: str = ""
    memory_bytes: float
    memory_bytes_per_s: float
    fp32_flop_per_s: float = 0.0
    tf32_flop_per_s: float = 0.0
    fp16_flop_per_s: float = 0.0
    fp16_fp32_accumulate_flop_per_s: float = 0.0
    bf16_flop_per_s: float = 0.0
    fp8_flop_per_s: float = 0.0
    fp4_flop_per_s: float = 0.0
    int8_op_per_s: float = 0.0
    compute_units: int = 0
    fast_units: int = 0
    slow_unit_speed: float = 1.0
    exponential_speed: float = 1.0
    l2_bytes: float = 0.0
    link: str = ""
    pcie_generation: int = 0
    pcie_lanes: int = 0
    peer_to_peer: bool = True
    unified_memory: bool = False
    tdp_w: float = 0.0
    idle_w: float = 0.0
    launch_price_usd: float = 0.0
    datacenter_licence: bool = True
    notes: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for field in ("memory_bytes", "memory_bytes_per_s"):
            if not getattr(self, field) > 0:
                raise InvalidInput(f"accelerator {self.id!r}: {field} must be positive")
        if not max(self.fp32_flop_per_s, self.fp16_flop_per_s, self.bf16_flop_per_s, self.int8_op_per_s) > 0:
            raise InvalidInput(f"accelerator {self.id!r}: at least one peak rate must be positive")

    @property
    def training_flop_per_s(self) -> float:
        """Dense 16-bit peak with fp32 accumulation; 0 where the card has none [FLOP/s]."""
        return self.bf16_flop_per_s or self.fp16_fp32_accumulate_flop_per_s or self.fp16_flop_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A way for data from one card or host to another.

    Attributes
    ----------
    bytes_per_s
        Peak one-way rate of one port (for NVLink: of one card's links together).
    latency_s
        One-way time of a small message between two applications, protocol stack included.
    efficiency
        Share of the peak that large transfers reach.
    per_accelerator
        A host has one port for each card (InfiniBand rails) and not one for all.
    domain
        Cards that its switches join across hosts (72 in an NVL72 rack); 0 means those of one host.
    """

    id: str
    name: str
    kind: LinkKind
    bytes_per_s: float
    latency_s: float
    efficiency: float = 1.0
    per_accelerator: bool = False
    domain: int = 0
    source: str = ""

    def __post_init__(self) -> None:
        if hasattr(self.bytes_per_s, "dtype"):
            # A column of links that a design tries, each of which was checked.
            return
        if not self.bytes_per_s > 0:
            raise InvalidInput(f"link {self.id!r}: bytes_per_s must be positive")
        if not self.latency_s >= 0:
            raise InvalidInput(f"link {self.id!r}: latency_s cannot be negative")
        if not 0 < self.efficiency <= 1:
            raise InvalidInput(f"link {self.id!r}: efficiency must be in (0, 1]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Nic:
    """A network card."""

    id: str
    name: str
    link: str
    ports: int
    pcie_generation: int = 0
    pcie_lanes: int = 0
    power_w: float = 0.0
    price_usd: float = 0.0
    price_date: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """A network switch; ``bytes_per_s`` is the one-way rate of one of its ``ports`` main ports."""

    id: str
    name: str
    kind: LinkKind
    ports: int
    bytes_per_s: float
    power_w: float = 0.0
    price_usd: float = 0.0
    price_date: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A machine without its accelerators.

    Attributes
    ----------
    slots
        Accelerators that fit.
    pcie_generation, pcie_lanes_per_slot
        What each of them gets when all slots are filled.
    memory_bytes, memory_bytes_per_s
        Main memory.
    storage_bytes_per_s
        Sequential rate of the local drive.
    psu_w
        What the power supplies deliver.
    idle_w, load_w
        Draw of the machine without accelerators; ``load_w`` with processors and fans busy.
    accelerators
        Ids, separated by spaces, of the only accelerators that it takes; empty means any PCIe card.
    cards_included
        Accelerators that its price includes.
    extra_slots, extra_pcie_generation, extra_pcie_lanes
        Slots for network cards beside those for accelerators, and what each of them has when all are filled.
    onboard_link, onboard_ports
        Id of the catalogue's link that the ports on the board speak, and how many there are.
    rack_units
        Height in a rack; 0 means that it is not made for one.
    """

    id: str
    name: str
    kind: str
    slots: int
    pcie_generation: int
    pcie_lanes_per_slot: int
    memory_bytes: float
    memory_bytes_per_s: float
    storage_bytes_per_s: float = 0.0
    psu_w: float = 0.0
    idle_w: float = 0.0
    load_w: float = 0.0
    accelerators: str = ""
    cards_included: int = 0
    extra_slots: int = 0
    extra_pcie_generation: int = 0
    extra_pcie_lanes: int = 0
    onboard_link: str = ""
    onboard_ports: int = 0
    rack_units: int = 0
    price_usd: float = 0.0
    price_date: str = ""
    notes: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What something cost somewhere on some day.

    Attributes
    ----------
    item
        Id of an accelerator, host, network card, switch or part.
    """

    item: str
    kind: Literal["rental", "purchase", "used", "launch"]
    usd: float
    per: Literal["accelerator-hour", "unit"]
    provider: str = ""
    spot: bool = False
    region: str = ""
    date: str = ""
    source: str = ""

    def is_stale(self, today: datetime.date) -> bool:
        """Whether the price is more than half a year old (`is_stale_date`)."""
        return is_stale_date(self.date, today)


def is_stale_date(date: str, today: datetime.date) -> bool:
    """Whether a price seen on a day is more than half a year old; undated it is.

    A date without day or month counts from its beginning.

    Examples
    --------
    >>> is_stale_date("2026-03", datetime.date(2026, 8, 30)), is_stale_date("", datetime.date(2026, 8, 30))
    (False, True)
    """
    if not date:
        return True
    year, month, day = (*map(int, date.split("-")), 1, 1)[:3]
    return (today - datetime.date(year, month, day)).days > STALE_AFTER_DAYS


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberFormat:
    """How numbers are stored.

    Attributes
    ----------
    bits
        Bits per weight with scales and zero points counted.
    compute
        The rate that matrix products in it run at: ``fp32 tf32 fp16 bf16 fp8 fp4 int8``.
    weights, activations, kv_cache
        What it can hold.
    """

    id: str
    name: str
    bits: float
    compute: str
    family: str
    weights: bool = True
    activations: bool = False
    kv_cache: bool = False
    notes: str = ""
    source: str = ""

    @property
    def bytes_per_element(self) -> float:
        """Bytes of one number, scales counted."""
        return self.bits / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class HostGroup:
    """Hosts that are alike.

    Attributes
    ----------
    hosts, accelerators_per_host
        How many, and how many cards in each.
    accelerator
        The card.
    intra_link
        Between two cards of one host.
    host_copy, host_copy_latency_s
        Transfers between cards go through the host's memory (no P2P), and wait so much longer: two copies and
        their synchronisation. The article says about 10 us; measurements print 14 us (RTX 5090) to 24 us
        (RTX 4090) for a whole transfer.
    host_memory_bytes_per_s
        Main memory that they cross; 0 means the host's own, or that of a typical host.
    network
        This group's port to the other hosts.
    nics_per_host
        Network ports of one host that all its cards share.
    host
        The machine around them, where it matters.
    """

    hosts: int
    accelerators_per_host: int
    accelerator: Accelerator
    intra_link: Link
    host_copy: bool = False
    host_copy_latency_s: float = 10e-6
    host_memory_bytes_per_s: float = 0.0
    network: Link | None = None
    nics_per_host: int = 1
    host: Host | None = None

    def __post_init__(self) -> None:
        for field in ("hosts", "accelerators_per_host", "nics_per_host"):
            if not hasattr(getattr(self, field), "dtype") and getattr(self, field) < 1:
                raise InvalidInput(f"{field} must be at least 1, not {getattr(self, field)}")

    @property
    def count(self) -> int:
        """All accelerators of the group."""
        return self.hosts * self.accelerators_per_host


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Hosts with accelerators on a network.

    Attributes
    ----------
    name
        As the user wrote it, e.g. ``2x4:rtx-4090@25gbe``.
    groups
        Hosts that are alike, in pipeline order.
    network
        Between hosts; None with one host.
    oversubscription
        How many times the hosts' ports exceed what the fabric above them carries; 1 is full bisection.
    usd, usd_per_s
        The user's own price to buy or to rent it all; 0 means the catalogue's.
    """

    name: str
    groups: tuple[HostGroup, ...]
    network: Link | None = None
    oversubscription: float = 1.0
    usd: float = 0.0
    usd_per_s: float = 0.0

    def __post_init__(self) -> None:
        if not self.groups:
            raise InvalidInput(f"cluster {self.name!r} has no hosts")
        if not self.oversubscription >= 1:
            raise InvalidInput(
                f"cluster {self.name!r}: oversubscription must be at least 1 (1 is full bisection)"
            )
        if self.hosts > 1 and self.network is None:
            raise InvalidInput(
                f"cluster {self.name!r} has {self.hosts} hosts: name their network, e.g. @10gbe or @ib-ndr"
            )

    @property
    def hosts(self) -> int:
        """Hosts in all groups."""
        return sum(group.hosts for group in self.groups)

    @property
    def count(self) -> int:
        """Accelerators in all groups."""
        return sum(group.count for group in self.groups)

    @property
    def is_mixed(self) -> bool:
        """Whether its accelerators differ."""
        return len({group.accelerator.id for group in self.groups}) > 1
