"""The front of the package for a build that somebody describes, in plain arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farthing.catalog.own_prices import read_prices
from farthing.catalog.prices import prices as known_prices
from farthing.design.asked import given_prices, ownership_terms
from farthing.design.given import given_build
from farthing.design.shop import market
from farthing.errors import InvalidInput
from farthing.estimate.subject import filled, plain, refuse_unknown, serving_load
from farthing.records.design import Build, Condition, Demand, Ownership
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload


def price_build(
    model: Model,
    *,
    accelerator: str,
    accelerators_per_host: int,
    sequences: int,
    host: str = "",
    hosts: int = 1,
    nic: str = "",
    switch: str = "",
    network: str = "",
    nics_per_host: int = 0,
    copies: int = 1,
    condition: Condition = "any",
    country: str = "",
    demand: Demand | None = None,
    ownership: Ownership | None = None,
    workload: InferenceWorkload | None = None,
    plan: InferencePlan | None = None,
    usd: Mapping[str, float] | None = None,
    usd_per_hour: Mapping[str, float] | None = None,
    prices: str | Path | None = None,
    ideal: bool = False,
    **options: Any,
) -> Build:
    """What a build that somebody describes does and costs.

    Parameters
    ----------
    model
        What is served.
    accelerator, accelerators_per_host, host, hosts, nic, switch, network, nics_per_host, copies, sequences
        The build, as `farthing.design.given.given_build` takes it; without a host it is rented.
    condition
        Accelerators ``new``, ``used`` or ``any``.
    country
        ISO code or name, for the price of electricity and the circuits of a household.
    demand, ownership, workload, plan
        Records; by default made from ``options``.
    usd, usd_per_hour
        Own prices by item, to buy and to rent.
    prices
        A file of prices, in the columns of the catalogue's, that come before the catalogue's.
    ideal
        Paper arithmetic.
    **options
        Any field of `InferencePlan`, `InferenceWorkload`, `Demand` and `Ownership`.

    Returns
    -------
    Build

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, parts that do not go together.
    Infeasible
        The model does not fit, or the demand is more than the build can do.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> built = price_build(model("llama-3.1-8b"), accelerator="rtx-3090", accelerators_per_host=1,
    ...                     host="am4-b550-1-card", sequences=16, usd={"rtx-3090": 700})
    >>> [row.usd for row in built.bill if row.part == "accelerator"], built.tpot_s < 0.1
    ([700.0], True)
    """
    options = {name: plain(value) for name, value in options.items()}
    if "batch_size" in options:
        raise InvalidInput("say sequences, of one copy, and how many copies there are; not batch_size")
    shop = market(
        condition=condition,
        given_usd=given_prices(usd, "the price"),
        given_usd_per_hour=given_prices(usd_per_hour, "the rent"),
        rows=known_prices(read_prices(prices)) if prices is not None else None,
    )
    terms = ownership_terms(ownership, options, country=country)
    asked = filled(demand, Demand, options)
    split = filled(plan, InferencePlan, options)
    load = serving_load(model, workload, options)
    refuse_unknown(options, Demand, Ownership, InferenceWorkload, InferencePlan)
    return given_build(
        shop,
        model,
        load,
        split,
        accelerator=accelerator,
        accelerators_per_host=accelerators_per_host,
        host=host,
        hosts=hosts,
        nic=nic,
        switch=switch,
        network=network,
        nics_per_host=nics_per_host,
        copies=copies,
        sequences=sequences,
        ownership=terms,
        demand=asked,
        ideal=ideal,
    )
