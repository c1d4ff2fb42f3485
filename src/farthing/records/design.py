"""What a design was asked, and the builds that it found."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Literal, get_args

from farthing.errors import InvalidInput
from farthing.records.estimate import InferenceEstimate, TrainingEstimate
from farthing.records.search import Removed

DesignObjective = Literal["usd", "capital", "power", "tpot", "ttft", "tokens-per-s", "run"]
Way = Literal["own", "rent"]
Ways = Literal["own", "rent", "either"]
Condition = Literal["any", "new", "used"]
Site = Literal["home", "datacentre"]
WarningKind = Literal["licence", "electrical", "physical", "network", "price", "latency", "evidence"]


def _numbers(owner: str, record: object, *names: str, least: float = 0.0) -> None:
    for name in names:
        value = getattr(record, name)
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and value >= least):
            raise InvalidInput(f"{owner}: {name} must be a number of {least:g} or more, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """How many tokens are asked for, and when.

    Attributes
    ----------
    tokens_per_s
        Output tokens a second at the busiest hour; 0 leaves it open, for the most that a limit allows.
    trough_share
        Demand of the quietest hour over that of the busiest, 0..1; in between it swings as a sine.
    """

    tokens_per_s: float = 0.0
    trough_share: float = 1.0

    def __post_init__(self) -> None:
        _numbers("demand", self, "tokens_per_s", "trough_share")
        if self.trough_share > 1:
            raise InvalidInput(f"demand: trough_share must be in 0..1, not {self.trough_share:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignLimits:
    """What every build must keep; 0 is no limit.

    Attributes
    ----------
    ttft_s, tpot_s
        Longest mean time to the first token and between two tokens, other users' prompts counted [s].
    capital_usd
        Dearest to buy.
    usd_per_s
        Dearest to run, everything counted.
    usd_per_million_tokens
        Dearest tokens.
    power_w
        Most at the meter, at the busiest hour.
    run_s, run_usd
        Longest and dearest training run [s], [USD].
    most_hosts, most_accelerators
        Of a whole build.
    """

    ttft_s: float = 0.0
    tpot_s: float = 0.0
    capital_usd: float = 0.0
    usd_per_s: float = 0.0
    usd_per_million_tokens: float = 0.0
    power_w: float = 0.0
    run_s: float = 0.0
    run_usd: float = 0.0
    most_hosts: int = 64
    most_accelerators: int = 0

    def __post_init__(self) -> None:
        _numbers("limits", self, *(field.name for field in fields(self)))
        for name in ("most_hosts", "most_accelerators"):
            if getattr(self, name) != int(getattr(self, name)):
                raise InvalidInput(f"limits: {name} must be a whole number, not {getattr(self, name)!r}")
        if self.most_hosts < 1:
            raise InvalidInput("limits: most_hosts must be at least 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ownership:
    """What it means to own hardware, or to rent it, and where it stands.

    Attributes
    ----------
    site
        ``home``: rooms with household circuits; ``datacentre``: rented space.
    usd_per_kwh
        Electricity.
    pue
        Power of the building over that of the machines.
    usd_per_kw_month
        Rent of the space, by the most that the machines may draw.
    circuit_w
        What one circuit of the house carries all day; 0 where it does not matter.
    years
        Until what was bought is sold or written off.
    annual_interest
        Of the money that it takes, 0.08 for 8%.
    residual_share
        Share of the price that a sale brings then.
    elastic
        Rented machines are given back in quiet hours.
    """

    site: Site = "home"
    usd_per_kwh: float = 0.12
    pue: float = 1.2
    usd_per_kw_month: float = 0.0
    circuit_w: float = 0.0
    years: float = 3.0
    annual_interest: float = 0.0
    residual_share: float = 0.0
    elastic: bool = False

    def __post_init__(self) -> None:
        _numbers("ownership", self, "usd_per_kwh", "usd_per_kw_month", "circuit_w", "annual_interest")
        _numbers("ownership", self, "residual_share")
        _numbers("ownership", self, "pue", least=1.0)
        if self.site not in get_args(Site):
            raise InvalidInput(f"ownership: site must be home or datacentre, not {self.site!r}")
        if not 0 < self.years <= 100:
            raise InvalidInput(f"ownership: years must be in (0, 100], not {self.years}")
        if self.pue > 10:
            raise InvalidInput(f"ownership: pue must be in 1..10, not {self.pue:g}")
        if self.annual_interest > 10:
            raise InvalidInput(
                f"ownership: annual_interest must be in 0..10 (0.08 is 8%), not {self.annual_interest:g}"
            )
        if self.residual_share > 1:
            raise InvalidInput(f"ownership: residual_share must be in 0..1, not {self.residual_share:g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class BillRow:
    """One line of a bill of materials.

    Attributes
    ----------
    part
        What it is for: ``accelerator host supply nic switch cable``.
    item, name
        Id in the catalogue, and what it is.
    quantity, usd
        How many, and what one costs; rentals an hour.
    kind, date, source
        ``purchase used launch`` or ``rental``; when and where somebody asked that price.
    stale
        Older than six months.
    """

    part: str
    item: str
    name: str
    quantity: int
    usd: float
    kind: str
    date: str
    source: str
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Expense:
    """One part of what a build costs [USD/s]."""

    name: str
    usd_per_s: float
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildWarning:
    """What a build breaks or needs, in words."""

    kind: WarningKind
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """A complete set of hardware with the plan that runs on it.

    Attributes
    ----------
    way
        ``own`` or ``rent``.
    accelerator, accelerators, accelerators_per_host
        Id of the card, how many in all, and the most in one host.
    host, hosts
        Id of the machine around them (empty: the provider's), and how many.
    network, nics_per_host, nic, switch, switches
        Between the hosts of one copy of the model: ids of the link, the cards and the switch, empty where
        each copy lies in one host; how many switches carry it.
    cluster
        The hosts of one copy as ``farthing infer --on`` takes them.
    copies
        Independent copies of the model that share the demand.
    tokens_per_s, requests_per_s
        What all copies can put out together; in training, tokens trained on, failures counted.
    ttft_s, tpot_s
        Mean time to the first token and between two tokens when all places are taken, other users' prompts
        counted.
    rated_w
        Most that its parts may draw together, which a rented place is paid by; what the building takes is not
        in it.
    power_w, average_power_w
        At the meter, at the busiest hour and over the day.
    circuits
        Household circuits that one host needs; 0 where that does not matter.
    capital_usd
        Price of everything bought.
    usd_per_s, expenses
        Everything counted over the years, and its parts.
    usd_per_million_tokens, tokens_per_usd
        Of the tokens that are asked for.
    bill
        What is bought or rented.
    warnings
        What it breaks or needs.
    inference, training
        All about one copy; one of them, by the task.
    run_s, run_usd
        Of the whole training run, where that is the task, failures counted; what was bought counts for as
        long as the run takes it.
    """

    way: Way
    accelerator: str
    accelerators: int
    accelerators_per_host: int
    host: str
    hosts: int
    network: str = ""
    nics_per_host: int = 0
    nic: str = ""
    switch: str = ""
    switches: int = 0
    cluster: str
    copies: int
    tokens_per_s: float
    requests_per_s: float = 0.0
    ttft_s: float = 0.0
    tpot_s: float = 0.0
    rated_w: float = 0.0
    power_w: float
    average_power_w: float
    circuits: int = 0
    capital_usd: float
    usd_per_s: float
    expenses: tuple[Expense, ...]
    usd_per_million_tokens: float
    tokens_per_usd: float
    bill: tuple[BillRow, ...]
    warnings: tuple[BuildWarning, ...] = ()
    inference: InferenceEstimate | None = None
    training: TrainingEstimate | None = None
    run_s: float = 0.0
    run_usd: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """What somebody else asks for the same tokens, beside owning.

    Attributes
    ----------
    name
        ``rent``, or the provider of an API.
    usd_per_million_tokens
        For the demand in question.
    break_even_s
        Until what was bought has paid for itself; None where it never does.
    date, source
        Of the price.
    stale
        Older than six months.
    """

    name: str
    usd_per_million_tokens: float
    break_even_s: float | None
    date: str
    source: str
    stale: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPoint:
    """What a million tokens cost where the mean demand is this share of the busiest hour's [USD].

    ``own`` and ``rent`` are None where there is nothing to own or to rent.
    """

    share: float
    own: float | None
    rent: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CostChange:
    """What the best build's tokens cost if one thing changes."""

    what: str
    usd_per_million_tokens: float
    factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DesignResult:
    """What a design found.

    Attributes
    ----------
    task, model, objective, demand, limits, ownership, ways, condition
        What was asked.
    candidates
        Builds of all parts, plans and batches.
    evaluated
        Of these, how many were timed and priced; the rest were shown to be no better by what their parts
        could do at best, or not to keep a limit.
    removed
        Rules that took out whole accelerators or parts, and how many.
    best
        The best build, then the best of other accelerators and ways of paying.
    front_objectives, front
        Of what a front was asked, and the builds that none beats in all of these figures.
    alternatives
        Renting and APIs, beside the best build to own.
    load_curve
        Owned and rented over the mean demand.
    sensitivity
        What changes of prices and demand do to the best build.
    miss
        Where nothing keeps the limits: what is nearest, in words.
    """

    task: Literal["inference", "training"]
    model: str
    objective: DesignObjective
    demand: Demand
    limits: DesignLimits
    ownership: Ownership
    ways: Ways
    condition: Condition
    candidates: int
    evaluated: int
    removed: tuple[Removed, ...] = ()
    best: tuple[Build, ...]
    front_objectives: tuple[str, ...] = ()
    front: tuple[Build, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    load_curve: tuple[LoadPoint, ...] = ()
    sensitivity: tuple[CostChange, ...] = ()
    miss: str = ""
