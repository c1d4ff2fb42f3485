"""Owning beside renting and buying tokens: what each asks, when owning has paid, and what changes it."""

from __future__ import annotations

import dataclasses
import datetime
import math

from farthing.catalog.prices import api_prices, is_stale
from farthing.design.pricing import Terms
from farthing.design.serving import Found
from farthing.design.shop import Shop
from farthing.predict.energy import electricity_usd_per_s
from farthing.predict.money import hosting_usd_per_s, usd_per_million_tokens
from farthing.predict.ownership import break_even_s
from farthing.records.api_price import ApiPrice
from farthing.records.design import Alternative, LoadPoint
from farthing.records.hardware import Price
from farthing.records.model import Model
from farthing.records.workload import InferenceWorkload

SHARES = (0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Mean demands that the curve shows."""


def api_usd_per_million(price: ApiPrice, workload: InferenceWorkload) -> float:
    """What an API asks for a million tokens put out, with the prompts that belong to them.

    Examples
    --------
    >>> price = ApiPrice(model="llama-3.3-70b", provider="x", usd_per_million_input=0.5,
    ...                  usd_per_million_output=1.0, date="2026-01-01", source="")
    >>> api_usd_per_million(price, InferenceWorkload(prompt_tokens=1000, output_tokens=250))
    3.0
    """
    if not workload.output_tokens:
        return price.usd_per_million_input
    read = workload.prompt_tokens / workload.output_tokens
    return price.usd_per_million_output + read * price.usd_per_million_input


def newest_api_prices(model: Model) -> tuple[ApiPrice, ...]:
    """The newest price of each provider, the cheapest tokens first."""
    newest: dict[str, ApiPrice] = {}
    for price in api_prices(model.id):
        newest.setdefault(price.provider, price)
    if not newest:
        return ()
    # What nobody has listed for long may no longer be sold.
    latest = max(int(price.date[:4]) for price in newest.values())
    return tuple(price for price in newest.values() if int(price.date[:4]) >= latest - 1)


def alternatives(
    shop: Shop,
    model: Model,
    workload: InferenceWorkload,
    terms: Terms,
    *,
    own: Found | None,
    rent: Found | None,
) -> tuple[Alternative, ...]:
    """Renting and APIs beside the best build to own, the cheapest first.

    Parameters
    ----------
    shop, model, workload, terms
        What was asked.
    own, rent
        The best of each, where there is one.
    """
    found: list[Alternative] = []
    if rent is not None:
        price = shop.rental(rent.kit.machine.accelerator.id)
        assert price is not None  # it was rented at that price
        found.append(
            _beside(
                f"rent {rent.figures['accelerators']:,.0f} x {rent.kit.machine.accelerator.id}",
                rent.figures["usd_per_million_tokens"],
                price.date,
                f"{price.provider}: {price.source}" if price.provider else price.source,
                is_stale(price, shop.today),
                own,
                terms,
            )
        )
    for asked in newest_api_prices(model):
        found.append(
            _beside(
                f"API of {asked.provider}",
                api_usd_per_million(asked, workload),
                asked.date,
                asked.source,
                _is_old(asked.date, shop.today),
                own,
                terms,
            )
        )
    return tuple(sorted(found, key=lambda one: one.usd_per_million_tokens))


def _is_old(date: str, today: datetime.date) -> bool:
    return is_stale(Price(item="", kind="purchase", usd=0.0, per="unit", date=date), today)


def _beside(
    name: str, usd: float, date: str, source: str, stale: bool, own: Found | None, terms: Terms
) -> Alternative:
    paid = None
    if own is not None:
        sold = sold_tokens_per_s(own, terms)
        asked_usd_per_s = usd * sold / 1e6
        after_s = float(
            break_even_s(own.figures["capital_usd"], running_usd_per_s(own, terms), asked_usd_per_s)
        )
        paid = after_s if math.isfinite(after_s) else None
    return Alternative(
        name=name,
        usd_per_million_tokens=usd,
        break_even_s=paid,
        date=date,
        source=source,
        stale=stale,
    )


def sold_tokens_per_s(found: Found, terms: Terms) -> float:
    """Tokens that are asked for, on average."""
    return (terms.demand.tokens_per_s or found.figures["tokens_per_s"]) * terms.mean_share


def running_usd_per_s(found: Found, terms: Terms) -> float:
    """What a build to own costs beside its price: electricity and the space."""
    own = terms.ownership
    return float(electricity_usd_per_s(found.figures["average_power_w"], own.usd_per_kwh)) + float(
        hosting_usd_per_s(found.figures["rated_w"], own.usd_per_kw_month)
    )


def load_curve(own: Found | None, rent: Found | None, terms: Terms) -> tuple[LoadPoint, ...]:
    """What a million tokens cost with less to do, the hardware staying what it is."""
    return tuple(
        LoadPoint(share=share, own=_at(own, share, terms), rent=_at(rent, share, terms)) for share in SHARES
    )


def _at(found: Found | None, share: float, terms: Terms) -> float | None:
    if found is None:
        return None
    figures, own = found.figures, terms.ownership
    peak = terms.demand.tokens_per_s or figures["tokens_per_s"]
    usd_per_s = figures["usd_per_s"]
    if not found.kit.rented:
        resting = figures["resting_w"]
        average = resting + (figures["power_w"] - resting) * share
        usd_per_s += float(electricity_usd_per_s(average - figures["average_power_w"], own.usd_per_kwh))
    elif own.elastic:
        # Machines go back with the demand, down to one copy's.
        least = 1 / figures["copies"]
        usd_per_s *= max(share, least) / max(figures["rented_share"], least)
    return float(usd_per_million_tokens(usd_per_s, peak * share))


def with_price(terms: Terms, **changes: float) -> Terms:
    """Terms with other ownership."""
    return dataclasses.replace(terms, ownership=dataclasses.replace(terms.ownership, **changes))  # type: ignore[arg-type]


def with_demand(terms: Terms, factor: float) -> Terms:
    """Terms with another demand."""
    demand = dataclasses.replace(terms.demand, tokens_per_s=terms.demand.tokens_per_s * factor)
    return dataclasses.replace(terms, demand=demand)
