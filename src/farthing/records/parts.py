"""Parts of a machine that somebody builds: boards, processors, memory, supplies, cables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from farthing.errors import InvalidInput

PartKind = Literal["board", "processor", "cooler", "memory", "psu", "chassis", "drive", "riser", "cable"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that a build buys beside accelerators, network cards and switches.

    Attributes
    ----------
    power_w
        What a power supply delivers; 0 for all else.
    memory_bytes
        Of the whole memory kit; 0 for all else.
    bytes_per_s
        Of a cable: one-way rate of the ports that it joins; 0 for all else.
    link_kind
        Of a cable: ``ethernet`` or ``infiniband``, as the switches are.
    """

    id: str
    name: str
    kind: PartKind
    power_w: float = 0.0
    memory_bytes: float = 0.0
    bytes_per_s: float = 0.0
    link_kind: str = ""
    notes: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        for field, kind in (("power_w", "psu"), ("memory_bytes", "memory"), ("bytes_per_s", "cable")):
            value = getattr(self, field)
            if self.kind == kind and not value > 0:
                raise InvalidInput(f"part {self.id!r}: {field} of a {kind} must be positive")
            if self.kind != kind and value != 0:
                raise InvalidInput(f"part {self.id!r}: only a {kind} has {field}; leave it empty")
        if self.link_kind not in (("ethernet", "infiniband") if self.kind == "cable" else ("",)):
            raise InvalidInput(
                f"part {self.id!r}: link_kind of a cable is ethernet or infiniband, and empty for all else"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPart:
    """How many of a part a host that somebody builds has."""

    host: str
    part: str
    quantity: int

    def __post_init__(self) -> None:
        if self.quantity < 1:
            raise InvalidInput(f"{self.host} has {self.quantity} of {self.part}: quantity is at least 1")
