"""What chips are made of, what their parts cost, and what one comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from farthing.errors import InvalidInput
from farthing.records.term import Term

YieldModel = Literal["murphy", "poisson", "negative-binomial"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chip:
    """The silicon and memory of an accelerator.

    Attributes
    ----------
    id
        Of the accelerator.
    die_area_mm2, dies, process
        Of one compute die, how many the package holds, and what they are made in.
    units, enabled_units
        Like units (streaming multiprocessors, compute units) on a compute die, and how many are sold
        switched on: a die with a defect in one of the others can be sold. 0 where unknown.
    side_die_area_mm2, side_dies, side_process
        Of the other dies in the package (input and output, cache).
    memory_kind, memory_bytes
        Device memory; a maker's "GB" is a GiB.
    package, board
        Ids of what carries the dies and of what carries the package; empty where no price is known.
    """

    id: str
    die_area_mm2: float
    dies: int
    process: str
    units: int = 0
    enabled_units: int = 0
    side_die_area_mm2: float = 0.0
    side_dies: int = 0
    side_process: str = ""
    memory_kind: str
    memory_bytes: float
    package: str = ""
    board: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        if not (self.die_area_mm2 > 0 and self.dies >= 1 and self.memory_bytes > 0):
            raise InvalidInput(f"chip {self.id!r}: die_area_mm2, dies and memory_bytes must be positive")
        if not 0 <= self.enabled_units <= self.units or bool(self.units) != bool(self.enabled_units):
            raise InvalidInput(f"chip {self.id!r}: enabled_units must be in 1..units, or both 0")
        if not (bool(self.side_dies) == bool(self.side_process) == (self.side_die_area_mm2 > 0)):
            raise InvalidInput(f"chip {self.id!r}: side dies need a number, an area and a process")

    @property
    def enabled_share(self) -> float:
        """Units sold over units on the die; 1 where unknown."""
        return self.enabled_units / self.units if self.units else 1.0


def _check_range(what: str, low: float, value: float, high: float) -> None:
    if not value > 0 or (low and not low <= value) or (high and not high >= value):
        raise InvalidInput(f"{what} must be positive and between its low and its high, where they are given")


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A way to make dies: what a wafer costs, and how many defects it has.

    Attributes
    ----------
    wafer_mm
        Diameter.
    wafer_usd, low_wafer_usd, high_wafer_usd
        Price of a processed wafer, and the range of what is said; 0 where there is only one figure.
    defects_per_cm2, low_defects_per_cm2, high_defects_per_cm2
        Fatal defects, likewise.
    """

    id: str
    name: str
    wafer_mm: float
    wafer_usd: float
    low_wafer_usd: float = 0.0
    high_wafer_usd: float = 0.0
    defects_per_cm2: float
    low_defects_per_cm2: float = 0.0
    high_defects_per_cm2: float = 0.0
    date: str
    source: str

    def __post_init__(self) -> None:
        _check_range(
            f"process {self.id!r}: wafer_usd", self.low_wafer_usd, self.wafer_usd, self.high_wafer_usd
        )
        _check_range(
            f"process {self.id!r}: defects_per_cm2",
            self.low_defects_per_cm2,
            self.defects_per_cm2,
            self.high_defects_per_cm2,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryPrice:
    """What device memory of a kind costs the maker of a card; low and high are 0 where unknown."""

    id: str
    usd_per_byte: float
    low_usd_per_byte: float = 0.0
    high_usd_per_byte: float = 0.0
    date: str
    source: str

    def __post_init__(self) -> None:
        _check_range(
            f"memory {self.id!r}: price", self.low_usd_per_byte, self.usd_per_byte, self.high_usd_per_byte
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PackagePrice:
    """What a package or a board costs; low and high are 0 where unknown."""

    id: str
    usd: float
    low_usd: float = 0.0
    high_usd: float = 0.0
    date: str
    source: str

    def __post_init__(self) -> None:
        _check_range(f"package {self.id!r}: usd", self.low_usd, self.usd, self.high_usd)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipBill:
    """A bill of materials as somebody published it, with the somebody's assumptions.

    Attributes
    ----------
    wafer_usd, dies_per_wafer, good_dies
        What the die's cost follows from; 0 where the bill says only ``die_usd``.
    die_usd
        Cost of the die; 0 where it follows.
    """

    id: str
    wafer_usd: float = 0.0
    dies_per_wafer: float = 0.0
    good_dies: float = 0.0
    die_usd: float = 0.0
    memory_bytes: float
    usd_per_byte: float
    package_usd: float
    board_usd: float
    date: str
    source: str

    def __post_init__(self) -> None:
        if (self.die_usd > 0) == (self.wafer_usd > 0 and 0 < self.good_dies <= self.dies_per_wafer):
            raise InvalidInput(f"bill {self.id!r}: give die_usd, or wafer_usd, dies_per_wafer and good_dies")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChipCost:
    """What an accelerator costs to make: materials alone.

    Attributes
    ----------
    id
        Of the accelerator.
    yield_model, harvest
        How good dies were counted (``published`` where a bill says it), and whether dies with a defect in
        a unit that is switched off count as good.
    process, wafer_usd, defects_per_cm2, die_area_mm2
        Of the compute dies; 0 and empty where a published bill leaves them out.
    dies_per_wafer, yield_share, good_dies
        Whole dies on a wafer, the share that is good, and how many that is.
    die_usd, dies
        One good compute die, and how many the package holds.
    side_dies_usd
        All other dies of the package.
    memory_kind, memory_bytes, memory_usd
        Device memory.
    package_usd, board_usd
        What carries the dies, and what carries the package; 0 where unknown.
    total_usd, low_total_usd, high_total_usd
        All of it, and with every input at the favourable or unfavourable end of its range.
    price_usd, price_kind, price_date
        What one piece costs to buy; 0 and empty where unknown.
    margin_share
        ``1 - total_usd / price_usd``: the part of the price that does not go into materials.
    missing
        Parts whose price is not known and not counted.
    assumptions
        What it rests on.
    terms
        The derivation, where it was asked for.
    """

    id: str
    yield_model: str
    harvest: bool
    process: str = ""
    wafer_usd: float = 0.0
    defects_per_cm2: float = 0.0
    die_area_mm2: float = 0.0
    dies_per_wafer: float = 0.0
    yield_share: float = 0.0
    good_dies: float = 0.0
    die_usd: float
    dies: int = 1
    side_dies_usd: float = 0.0
    memory_kind: str
    memory_bytes: float
    memory_usd: float
    package_usd: float
    board_usd: float
    total_usd: float
    low_total_usd: float
    high_total_usd: float
    price_usd: float = 0.0
    price_kind: str = ""
    price_date: str = ""
    margin_share: float = 0.0
    missing: tuple[str, ...] = ()
    assumptions: tuple[str, ...] = ()
    terms: tuple[Term, ...] = ()
