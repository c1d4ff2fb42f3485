"""How often parts of a cluster fail, where that is not as known by default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from farthing.errors import InvalidInput
from farthing.records.fault_run import MOST_PARTS, WALLS, FaultCause, Lifetime, check_number

HARDWARE: Final = (
    "lifetime",
    "shape",
    "age_s",
    "early_failures",
    "early_s",
    "early_shape",
    "wear_s",
    "wear_shape",
    "repair_s",
    "followed_share",
    "follow_s",
)
"""Fields of `FaultRates` that all causes which strike hardware take over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """How often parts of a cluster fail, where that is not as known by default.

    Attributes
    ----------
    card_mtbf_s, host_mtbf_s, rack_mtbf_s, link_mtbf_s
        Mean life of one of them [s]; 0 leaves it as it is. There is a link for each card.
    job_mtbf_s
        Mean time between failures of the whole job's software [s]; 0 leaves it as it is.
    failure_factor
        Everything fails so many times as often.
    lifetime, shape, age_s, early_failures, early_s, early_shape, wear_s, wear_shape
        Of all hardware, see `FaultCause`.
    repair_s
        Time until a host that failed is back as a spare [s].
    followed_share, follow_s
        Of all hardware, see `FaultCause`.
    hosts_per_rack
        Hosts that share a switch and power.
    """

    card_mtbf_s: float = 0.0
    host_mtbf_s: float = 0.0
    rack_mtbf_s: float = 0.0
    link_mtbf_s: float = 0.0
    job_mtbf_s: float = 0.0
    failure_factor: float = 1.0
    lifetime: Lifetime = "exponential"
    shape: float = 1.0
    age_s: float = 0.0
    early_failures: float = 0.0
    early_s: float = 30 * 86400.0
    early_shape: float = 0.5
    wear_s: float = 0.0
    wear_shape: float = 5.0
    repair_s: float = 24 * 3600.0
    followed_share: float = 0.0
    follow_s: float = 600.0
    hosts_per_rack: int = 2

    def __post_init__(self) -> None:
        for name in ("card_mtbf_s", "host_mtbf_s", "rack_mtbf_s", "link_mtbf_s", "job_mtbf_s"):
            check_number("failures", name, getattr(self, name), 0)
        check_number("failures", "failure_factor", self.failure_factor, 0, 1e6, above=True)
        check_number("failures", "hosts_per_rack", self.hosts_per_rack, 1, MOST_PARTS, whole=True)
        if self.lifetime == "weibull" and self.shape == 1:
            raise InvalidInput("failures: a weibull lifetime needs a shape, e.g. 0.8 (1 is exponential)")
        if self.lifetime != "weibull" and self.shape != 1:
            raise InvalidInput("failures: shape is of a weibull lifetime: give lifetime weibull with it")
        if self.lifetime != "bathtub" and (self.early_failures or self.wear_s):
            raise InvalidInput("failures: early_failures and wear_s are of a bathtub: give that lifetime")
        if self.lifetime == "bathtub" and not (self.early_failures or self.wear_s):
            raise InvalidInput(f"failures: {WALLS}")
        # The causes are made with these; what is wrong is then said of the failures that were asked for.
        FaultCause(
            name="parts",
            strikes="card",
            fault_parts=1,
            part_mtbf_s=1.0,
            **{name: getattr(self, name) for name in HARDWARE},
        )
