"""What must be true of a build that somebody is told to buy, counted once more from the catalogue's rows."""

from __future__ import annotations

import math

import pytest
from tests.property.plain_builds import fabric_by_hand, hours_of

from farthing import catalog
from farthing.records.design import BillRow, Build, Demand, DesignLimits, DesignResult, Ownership
from farthing.records.hardware import Host
from farthing.records.model import Model

GIB = 2**30
HOUR = 3600.0
LANE_BYTES_PER_S = {1: 0.25e9, 2: 0.5e9, 3: 0.985e9, 4: 1.969e9, 5: 3.938e9, 6: 7.563e9}
"""PCI Express: rate of one lane, one way, by generation."""

CLOSE = 1e-6


def check(result: DesignResult) -> None:
    """Every build of an answer."""
    for build in (*result.best, *result.front):
        check_build(build, result.demand, result.limits, result.ownership)
    offered = {(build.accelerator, build.way) for build in result.best}
    assert len(offered) == len(result.best), "a kind is offered once"


def check_build(build: Build, demand: Demand, limits: DesignLimits, ownership: Ownership) -> None:
    """One build."""
    check_speed(build, demand, limits)
    check_memory(build)
    check_money(build, demand, limits, ownership)
    if build.way == "own":
        check_places(build)
        check_network(build)
        check_power(build, ownership)
    else:
        assert [row.kind for row in build.bill] == ["rental"]
        assert build.bill[0].quantity == build.accelerators
        assert build.capital_usd == 0


def host_of(build: Build) -> Host:
    return catalog.hosts()[build.host]


def quantity(build: Build, *parts: str) -> int:
    return sum(row.quantity for row in build.bill if row.part in parts)


def check_places(build: Build) -> None:
    """Cards and network cards find slots that carry them."""
    host, card = host_of(build), catalog.accelerators()[build.accelerator]
    per_host = build.accelerators_per_host
    if host.accelerators:
        assert card.id in host.accelerators.split()
    else:
        assert card.form == "PCIe"
    assert per_host == host.cards_included or per_host <= host.slots
    assert build.accelerators <= build.hosts * per_host
    assert quantity(build, "accelerator") == (0 if host.cards_included else build.accelerators)
    if not build.nic:
        assert not quantity(build, "nic")
        return
    assert quantity(build, "nic") == build.hosts * build.nics_per_host
    free = host.slots - per_host
    assert build.nics_per_host <= free + host.extra_slots
    rate = catalog.links()[build.network].bytes_per_s
    lanes = []
    if free and host.pcie_lanes_per_slot:
        lanes.append(LANE_BYTES_PER_S[host.pcie_generation] * host.pcie_lanes_per_slot)
    if host.extra_slots:
        lanes.append(LANE_BYTES_PER_S[host.extra_pcie_generation] * host.extra_pcie_lanes)
    assert rate <= 1.1 * max(lanes)


def check_network(build: Build) -> None:
    """Ports suffice: of one switch, of leaves and spines, or of two hosts that a cable joins."""
    if build.hosts < 2:
        assert not quantity(build, "nic", "switch", "cable")
        assert not build.network
        return
    laid = fabric_by_hand(
        build.hosts * build.nics_per_host, catalog.switches()[build.switch].ports if build.switch else 0
    )
    assert laid == (quantity(build, "switch"), quantity(build, "cable"))
    assert build.switches == laid[0]
    link = catalog.links()[build.network]
    kind = "ethernet" if link.kind == "roce" else link.kind
    for row in build.bill:
        if row.part == "switch":
            switch = catalog.switches()[row.item]
            assert switch.kind == kind
            assert switch.bytes_per_s >= 0.99 * link.bytes_per_s
        if row.part == "cable":
            cable = catalog.parts()[row.item]
            assert cable.link_kind == kind
            assert cable.bytes_per_s >= 0.99 * link.bytes_per_s
    if build.nic:
        assert catalog.nics()[build.nic].link == build.network


def check_power(build: Build, ownership: Ownership) -> None:
    """Supplies deliver what cards and host may draw, and no circuit carries more than it may."""
    host, card = host_of(build), catalog.accelerators()[build.accelerator]
    if host.kind == "soc":
        return
    shared = card.unified_memory or card.kind == "cpu"
    host_w = 0.0 if shared else host.load_w or 80.0 + 60.0 * build.accelerators_per_host
    most_w = build.accelerators_per_host * card.tdp_w + host_w
    supplies = [row for row in build.bill if row.part == "supply"]
    if supplies:
        (row,) = supplies
        each = row.quantity // build.hosts
        assert row.quantity == each * build.hosts
        assert each * catalog.parts()[row.item].power_w >= 1.2 * most_w * (1 - CLOSE)
        if ownership.circuit_w:
            assert most_w / each <= ownership.circuit_w * (1 + CLOSE)
    else:
        assert host.psu_w >= most_w
    if ownership.circuit_w and most_w > ownership.circuit_w:
        assert build.circuits == math.ceil(most_w / ownership.circuit_w)
        assert any(warning.kind == "electrical" for warning in build.warnings)
    # Between all at rest and all at their limits, with everything that hosts and network draw.
    least, most = build.accelerators * card.idle_w, build.accelerators * card.tdp_w
    beside = build.hosts * (host_w + 400.0) + build.switches * 2000.0
    assert least <= build.average_power_w <= build.power_w * (1 + CLOSE)
    assert build.power_w <= ownership.pue * (most + beside)


def weights_of(model: Model, per_element: float) -> float:
    """Bytes of all weights of a plain transformer, summed over its matrices."""
    attention = model.hidden * model.head_dim * (2 * model.heads + 2 * model.kv_heads)
    if model.is_moe:
        feeding = model.experts * 3 * model.hidden * model.moe_ffn_hidden
    else:
        feeding = (3 if model.gated_ffn else 2) * model.hidden * model.ffn_hidden
    return per_element * model.layers * (attention + feeding)


def check_memory(build: Build) -> None:
    """Weights, keys and values fit on the cards, and a card's weights in its host's memory."""
    found = build.inference
    assert found is not None
    assert found.fits
    model, plan = catalog.model(found.model), found.plan
    card = catalog.accelerators()[build.accelerator]
    stored = catalog.number_format(plan.weight_format).bits / 8
    kept = catalog.number_format(plan.kv_format).bits / 8
    # Layers that do not divide leave some stage with more than the mean.
    weights = weights_of(model, stored) / (plan.tp * plan.pp * (plan.dp if plan.ep > plan.tp else 1))
    context = found.workload.prompt_tokens + found.workload.output_tokens
    sequences = found.workload.batch_size / plan.dp
    tokens = sequences * context
    own_heads = max(model.kv_heads / plan.tp, 1)
    keys = tokens * 2 * own_heads * model.head_dim * kept * model.layers / plan.pp
    assert weights + keys <= found.memory.total_bytes * (1 + CLOSE) <= card.memory_bytes * (1 + CLOSE)
    host = catalog.hosts().get(build.host)
    if host is not None and host.kind != "soc" and host.memory_bytes:
        assert weights + 8 * GIB <= host.memory_bytes


def check_speed(build: Build, demand: Demand, limits: DesignLimits) -> None:
    """The demand is carried in time, and no roofline is beaten."""
    found = build.inference
    assert found is not None
    assert build.tokens_per_s >= demand.tokens_per_s * (1 - CLOSE)
    for limit, value in ((limits.ttft_s, build.ttft_s), (limits.tpot_s, build.tpot_s)):
        assert not limit or value <= limit * (1 + CLOSE)
    # Little's law: places that are taken, over the time that an answer takes one.
    answer_s = build.ttft_s + build.tpot_s * max(found.workload.output_tokens - 1, 1)
    requests = build.copies * found.workload.batch_size / answer_s
    assert build.requests_per_s == pytest.approx(requests, rel=CLOSE)
    assert build.tokens_per_s == pytest.approx(requests * found.workload.output_tokens, rel=CLOSE)
    assert build.ttft_s >= found.ttft_s * (1 - CLOSE)
    assert build.tpot_s >= found.tpot_s * (1 - CLOSE)
    card, plan = catalog.accelerators()[build.accelerator], found.plan
    model = catalog.model(found.model)
    if not model.is_moe:
        read = weights_of(model, catalog.number_format(plan.weight_format).bits / 8)
        assert build.tpot_s >= read / plan.tp / card.memory_bytes_per_s
    per_copy = plan.tp * plan.pp * plan.dp
    assert build.copies * per_copy <= build.accelerators


def check_money(build: Build, demand: Demand, limits: DesignLimits, ownership: Ownership) -> None:
    """The bill adds up, every line of it says whence and when, and so do the expenses."""
    for row in build.bill:
        check_row(row)
    if build.way == "own":
        assert sum(row.quantity * row.usd for row in build.bill) == pytest.approx(
            build.capital_usd, rel=CLOSE
        )
    assert sum(one.usd_per_s for one in build.expenses) == pytest.approx(build.usd_per_s, rel=1e-4)
    assert sum(one.share for one in build.expenses) == pytest.approx(1, rel=1e-4)
    day = hours_of(demand.trough_share)
    sold = (demand.tokens_per_s or build.tokens_per_s) * sum(day) / len(day)
    assert build.usd_per_million_tokens == pytest.approx(build.usd_per_s / sold * 1e6, rel=CLOSE)
    assert build.tokens_per_usd * build.usd_per_million_tokens == pytest.approx(1e6, rel=CLOSE)
    for limit, value in (
        (limits.capital_usd, build.capital_usd),
        (limits.usd_per_s, build.usd_per_s),
        (limits.usd_per_million_tokens, build.usd_per_million_tokens),
        (limits.power_w, build.power_w),
        (limits.most_hosts, build.hosts),
        (limits.most_accelerators, build.accelerators),
    ):
        assert not limit or value <= limit * (1 + CLOSE)
    if build.way == "own":
        electricity = build.average_power_w / 1e3 * ownership.usd_per_kwh / HOUR
        space = build.rated_w / 1e3 * ownership.usd_per_kw_month / (730 * HOUR)
        shares = {one.name: one.usd_per_s for one in build.expenses}
        assert shares.get("electricity", 0.0) == pytest.approx(electricity, rel=CLOSE, abs=1e-9)
        assert shares.get("hosting", 0.0) == pytest.approx(space, rel=CLOSE, abs=1e-9)
    elif not ownership.elastic:
        assert build.usd_per_s == pytest.approx(build.accelerators * build.bill[0].usd / HOUR, rel=CLOSE)


def check_row(row: BillRow) -> None:
    """A price is a fact: somebody asked it on some day."""
    assert row.quantity >= 1
    assert row.usd >= 0
    assert row.source, f"{row.item} has a price without a source"
    assert row.date[:2] == "20", f"{row.item} has a price without a date"
    assert row.item
    assert row.name
