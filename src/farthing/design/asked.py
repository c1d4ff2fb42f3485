"""What a caller asks of a design: demand, limits, terms of owning, formats, and where it stands."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final, cast

from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.design.shop import Shop
from farthing.design.training_search import RENTED_NETWORK
from farthing.errors import InvalidInput, UnknownName
from farthing.estimate.subject import filled, plain
from farthing.estimate.training import training_run
from farthing.predict.ownership import circuit_w
from farthing.predict.resale import residual_share, yearly_decline
from farthing.records.design import Ownership
from farthing.records.hardware import Accelerator, Link
from farthing.records.model import Model
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.search import Limits
from farthing.records.workload import TrainingWorkload
from farthing.search.asked import BATCH_TOKENS, TRAINING_HEADROOM, training_question, usual_batch
from farthing.search.training_space import training_space

FORMATS: Final = ("weight_format", "kv_format", "engine")
"""Fields of a plan that may be lists; they change quality or software, so nothing is tried unasked."""

SIZES: Final = ("tp", "pp", "dp", "ep", "micro_batches", "chunk_tokens", "stage_layers", "batch_size")

NETWORKS: Final = ("ethernet", "roce", "infiniband")

ANY_CARD: Final = "1x1:h100-sxm"

TRAINING_SIZES: Final = ("tp", "pp", "dp", "cp", "ep", "expert_tp", "micro_batch_size")

RESALE_AGE: Final = 2.0
"""Youngest used prices that tell how value falls: younger cards sell above their launch price in a shortage
[year]."""


def serving_plans(model: Model, options: dict[str, Any]) -> tuple[InferencePlan, ...]:
    """The plan in each combination of formats and engine; takes what it knows out of the options.

    Raises
    ------
    InvalidInput
        Sizes of a plan, which a design finds itself.
    """
    for name in SIZES:
        if name in options:
            raise InvalidInput(
                f"a design finds {name} itself; to fix it, search one cluster: farthing infer --on ..."
            )
    axes: dict[str, list[str]] = {}
    for name in FORMATS:
        if name not in options:
            continue
        value = plain(options.pop(name))
        axes[name] = list(value) if isinstance(value, (list, tuple)) else [value]
        if not axes[name]:
            raise InvalidInput(f"design: {name} has no value; leave it out for the usual one")
    if model.native_format:
        axes.setdefault("weight_format", [model.native_format])
    known = {field.name for field in fields(InferencePlan)}
    fixed = {name: plain(options.pop(name)) for name in list(options) if name in known}
    for engine in axes.get("engine", ()):
        if engine and catalog.engine(engine).kind != "serving":
            raise InvalidInput(f"{engine} trains models: choose one that serves them, such as vllm")
    base = InferencePlan(**fixed)
    return tuple(
        replace(base, **dict(zip(axes, values, strict=True)))  # type: ignore[arg-type]
        for values in itertools.product(*axes.values())
    )


def training_run_asked(
    model: Model, workload: object, options: dict[str, Any]
) -> tuple[TrainingWorkload, dict[str, Any], Limits]:
    """The run, fields of the plan that are given, and what of a card stays free; out of the options.

    Each build makes the same steps: without ``global_batch_size`` those of about 4M tokens, as
    `farthing.search.asked.usual_batch` has it for many cards.

    Raises
    ------
    InvalidInput
        Sizes of a plan, which a design finds itself; values that no plan can have.

    Examples
    --------
    >>> asked = {"training_tokens": 1e9, "recompute": "full"}
    >>> run, given, room = training_run_asked(catalog.model("llama-3.1-8b"), None, asked)
    >>> run.global_batch_size, given, room.headroom_share, asked
    (1024, {'recompute': 'full'}, 0.05, {})
    """
    for name in TRAINING_SIZES:
        if name in options:
            raise InvalidInput(
                f"a design finds {name} itself; to fix it, search one cluster: farthing train --on ..."
            )
    room = filled(None, Limits, {"headroom_share": options.pop("headroom_share", TRAINING_HEADROOM)})
    known = {field.name for field in fields(TrainingPlan)}
    given = {name: plain(options.pop(name)) for name in list(options) if name in known}
    for name, value in given.items():
        for one in value if isinstance(value, (list, tuple)) else (value,):
            TrainingPlan(**{name: one})
    if workload is None:
        tokens = options.setdefault("sequence_tokens", min(model.max_context, 4096))
        # The workload says what is wrong with tokens that are none.
        counted = isinstance(tokens, int) and tokens > 0
        options.setdefault(
            "global_batch_size", usual_batch(max(BATCH_TOKENS // tokens, 1), tokens) if counted else 1
        )
    run = filled(cast("TrainingWorkload | None", workload), TrainingWorkload, options)
    # One card shows what is wrong with the question itself.
    training_question(model, parse_cluster(ANY_CARD), room, {**given, **_asked(run)})
    for variant in training_space(model, parse_cluster(ANY_CARD), run, given).variants:
        training_run(model, parse_cluster(ANY_CARD), run, variant, ideal=False)
    return run, given, room


def _asked(run: TrainingWorkload) -> dict[str, Any]:
    return {field.name: getattr(run, field.name) for field in fields(run)}


def rented_link(shop: Shop, options: dict[str, Any]) -> Link:
    """What joins rented hosts; takes it out of the options.

    Raises
    ------
    UnknownName
        No such network.

    Examples
    --------
    >>> from farthing.design.shop import market
    >>> rented_link(market(), {}).id, rented_link(market(), {"rented_network": "ib-ndr"}).id
    ('100gbe', 'ib-ndr')
    """
    name = str(options.pop("rented_network", RENTED_NETWORK)).strip().lower()
    networks = {link.id: link for link in shop.links.values() if link.kind in NETWORKS}
    if name not in networks:
        raise UnknownName("network", name, networks, "see: farthing catalog list links")
    return networks[name]


def ownership_terms(record: Ownership | None, options: dict[str, Any], *, country: str = "") -> Ownership:
    """Terms of owning; takes what it knows out of the options.

    A country gives the price of electricity and what a household circuit carries. A data centre has the
    average overhead of power and the usual rent of its country, unless told otherwise. With
    ``residual_share="market"`` hardware keeps what used accelerators have kept.

    Raises
    ------
    UnknownName
        No such country.

    Examples
    --------
    >>> terms = ownership_terms(None, {}, country="de")
    >>> 0.3 < terms.usd_per_kwh < 0.6, round(terms.circuit_w)
    (True, 2944)
    >>> ownership_terms(None, {"site": "datacentre"}).usd_per_kw_month > 100
    True
    """
    if record is None:
        site = options.get("site", "home")
        if country:
            place = catalog.country(country)
            business = place.usd_per_kwh_business or place.usd_per_kwh_household
            usd = business if site == "datacentre" else place.usd_per_kwh_household
            options.setdefault("usd_per_kwh", usd)
            if site == "home":
                options.setdefault("circuit_w", float(circuit_w(place.volts, place.circuit_amperes)))
        if site == "datacentre":
            options.setdefault("pue", catalog.facilities()["average"].pue)
            options.setdefault("usd_per_kw_month", rack_usd_per_kw_month(country))
    if options.get("residual_share") == "market":
        years = options.get("years", record.years if record else Ownership().years)
        options["residual_share"] = min(float(residual_share(years, market_decline())), 1.0)
    return filled(record, Ownership, options)


def rack_usd_per_kw_month(country: str = "") -> float:
    """Median of the newest year's rents of space by power, in a country or, without one there, anywhere."""
    rows = list(catalog.hostings().values())
    place = catalog.country(country).id if country else ""
    mine = [row for row in rows if row.country == place] or rows
    year = max(row.date[:4] for row in mine)
    return statistics.median(row.usd_per_kw_month for row in mine if row.date[:4] == year)


def market_decline() -> float:
    """Share of its price that an accelerator loses a year, from what used ones fetch.

    Examples
    --------
    >>> 0.02 < market_decline() < 0.4
    True
    """
    rows = [row for row in catalog.resales().values() if row.age_years >= RESALE_AGE]
    return float(yearly_decline([row.age_years for row in rows], [row.share for row in rows]))


def chosen_accelerators(given: Sequence[str] | str, *, measured: bool = False) -> tuple[str, ...]:
    """Ids of accelerators, as the catalogue writes them; a vendor's or an architecture's name stands for all.

    None given are all of them. ``measured`` leaves out those whose efficiencies are assumed.

    Raises
    ------
    UnknownName
        Nothing is called so.

    Examples
    --------
    >>> chosen_accelerators(["RTX-3090"]), len(chosen_accelerators("hopper")) > 3
    (('rtx-3090',), True)
    >>> ["blackhole-p150a" in chosen_accelerators((), measured=only) for only in (False, True)]
    [True, False]
    """
    if not isinstance(given, (str, list, tuple)):
        raise InvalidInput(f"accelerators must be names, not {given!r}; a limit is most_accelerators=8")
    names = [given] if isinstance(given, str) else list(given)
    cards = catalog.accelerators()
    found: dict[str, None] = {} if names else dict.fromkeys(cards)
    for name in names:
        word = str(name).strip().lower()
        group = [
            card.id
            for card in cards.values()
            if word in (card.id, card.vendor.lower(), card.architecture.lower())
        ]
        if word in cards:
            group = [word]
        if not group:
            raise UnknownName(
                "accelerator, vendor or architecture", str(name), cards, "see: farthing gpu list"
            )
        found |= dict.fromkeys(group)
    if measured:
        found = {name: None for name in found if is_measured(cards[name])}
        if not found:
            raise InvalidInput(
                "no kernels of these accelerators were measured: leave out measured, or name others"
            )
    return tuple(found)


def is_measured(card: Accelerator) -> bool:
    """Whether the efficiency of an accelerator's kernels rests on measurements of its generation."""
    return not catalog.efficiency(card).fitted_on.startswith("none")


def given_prices(given: Mapping[str, float] | None, what: str) -> dict[str, float]:
    """The buyer's own prices by item, checked.

    Raises
    ------
    InvalidInput
        No number, or one below 0.
    """
    found: dict[str, float] = {}
    for item, usd in (given or {}).items():
        if isinstance(usd, bool) or not isinstance(usd, (int, float)) or not 0 <= usd < 1e12:
            raise InvalidInput(f"{what} of {item} must be a number of 0 or more, not {usd!r}")
        found[item.strip().lower()] = float(usd)
    return found
