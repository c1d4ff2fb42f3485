"""Small random shops and questions: real cards and parts at random prices, in hosts that never were."""

from __future__ import annotations

import dataclasses
import datetime
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from farthing import catalog
from farthing.design.copies import Task
from farthing.design.pricing import Terms
from farthing.design.shop import Shop
from farthing.records.design import Demand, DesignLimits, DesignObjective, Ownership, Ways
from farthing.records.hardware import Accelerator, Host
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

GIB = 2**30

LOADS = {
    "llama-3.2-1b": InferenceWorkload(prompt_tokens=60_000, output_tokens=200),
    "qwen2.5-7b": InferenceWorkload(prompt_tokens=24_000, output_tokens=500),
    "llama-2-7b": InferenceWorkload(prompt_tokens=3000, output_tokens=500),
    "deepseek-moe-16b": InferenceWorkload(prompt_tokens=3000, output_tokens=100),
}
"""Models, and prompts so long that few of them find room: a small space, which plain loops get through."""

CARDS = ("rtx-3090", "rtx-4090", "a100-sxm-80gb", "rtx-a6000", "h100-pcie")
LANES = ((3, 1), (3, 8), (4, 8), (4, 16), (5, 16))
NICS = ("intel-x710", "intel-xxv710-da2", "connectx-3-vpi", "connectx-4-100g", "connectx-6-vpi")
SWITCHES = ("mikrotik-crs305", "mikrotik-crs310", "mikrotik-crs510", "nvidia-sn2100", "mellanox-sx6036")
CABLES = ("cat6-1g", "dac-sfp-plus", "dac-sfp28", "dac-qsfp28", "dac-qsfp-plus-fdr", "dac-200g")
SUPPLIES = ("psu-550", "psu-850", "psu-1300", "psu-2200-240v")


class Question(NamedTuple):
    """A shop and what is asked of it."""

    shop: Shop
    tasks: dict[str, tuple[Task, ...]]
    terms: Terms
    ways: Ways
    objective: DesignObjective

    def __repr__(self) -> str:
        """Short enough to be read."""
        cards = ", ".join(
            f"{card.id} {card.memory_bytes / GIB:g} GiB" for card in self.shop.accelerators.values()
        )
        hosts = ", ".join(f"{host.slots} slots" for host in self.shop.hosts.values())
        model = next(iter(self.tasks.values()))[0].model.id
        return f"{self.ways} {self.objective} of {model} on {cards} in hosts of {hosts} under {self.terms}"


def some(draw: DrawFn, of: tuple[str, ...], most: int, least: int = 0) -> list[str]:
    return draw(st.lists(st.sampled_from(of), min_size=least, max_size=most, unique=True))


@st.composite
def cards(draw: DrawFn) -> Accelerator:
    """A card that sells, with more or less memory, bandwidth and draw."""
    card = catalog.accelerator(draw(st.sampled_from(CARDS)))
    return dataclasses.replace(
        card,
        memory_bytes=draw(st.sampled_from((12, 20, 24))) * GIB,
        memory_bytes_per_s=card.memory_bytes_per_s * draw(st.sampled_from((0.5, 1.0, 2.0))),
        tdp_w=draw(st.sampled_from((100.0, 350.0, 700.0))),
    )


@st.composite
def hosts(draw: DrawFn, number: int, sold: tuple[str, ...]) -> Host:
    """A host with some slots and ports; some take or include certain cards alone."""
    generation, lanes = draw(st.sampled_from(LANES))
    extra = draw(st.sampled_from(LANES))
    slots = draw(st.sampled_from((1, 2, 3, 4)))
    own = draw(st.booleans()) or all(catalog.accelerator(name).form != "PCIe" for name in sold)
    return Host(
        id=f"host-{number}",
        name="a host",
        kind="server",
        slots=slots,
        pcie_generation=generation,
        pcie_lanes_per_slot=lanes,
        memory_bytes=draw(st.sampled_from((20, 64))) * GIB,
        memory_bytes_per_s=draw(st.sampled_from((40e9, 400e9))),
        psu_w=draw(st.sampled_from((0.0, 1500.0, 4000.0))),
        load_w=draw(st.sampled_from((0.0, 300.0))),
        accelerators=draw(st.sampled_from(sold)) if own else "",
        cards_included=draw(st.sampled_from((0, slots))) if own else 0,
        extra_slots=draw(st.sampled_from((0, 1, 4))),
        extra_pcie_generation=extra[0],
        extra_pcie_lanes=extra[1],
        onboard_link=draw(st.sampled_from(("", "10gbe", "25gbe", "ib-fdr"))),
        onboard_ports=draw(st.sampled_from((0, 1, 2))),
    )


@st.composite
def shops(draw: DrawFn) -> Shop:
    """One to three cards, hosts and switches, and what goes with them; all of it at some price."""
    found = {card.id: card for card in draw(st.lists(cards(), min_size=1, max_size=3))}
    made = [draw(hosts(number, tuple(found))) for number in range(draw(st.integers(1, 3)))]
    nics = {name: catalog.nics()[name] for name in some(draw, NICS, 3)}
    switches = {name: catalog.switches()[name] for name in some(draw, SWITCHES, 3, 1)}
    parts = {
        name: catalog.parts()[name]
        for name in ("chassis-4u-4-cards", *some(draw, SUPPLIES, 3, 1), *some(draw, CABLES, 6, 1))
    }
    built = {host.id: (("chassis-4u-4-cards", 1),) for host in made if draw(st.booleans())}
    usd = st.floats(1.0, 1000.0)
    # A host of parts has no price: with one it would be the buyer's own, supplies included.
    items = (*found, *(host.id for host in made if host.id not in built), *nics, *switches, *parts)
    return Shop(
        accelerators=found,
        hosts={host.id: host for host in made},
        nics=nics,
        switches=switches,
        parts=parts,
        links=catalog.links(),
        host_parts=built,
        offers={},
        given_usd={item: draw(usd) for item in items},
        given_usd_per_hour={name: draw(usd) / 500 for name in found if draw(st.booleans())},
        today=datetime.date(2026, 11, 1),
    )


@st.composite
def limits(draw: DrawFn, objective: DesignObjective) -> DesignLimits:
    """Few hosts, and some of the other limits."""
    of: dict[str, Any] = {
        "ttft_s": st.floats(1.0, 200.0),
        "tpot_s": st.floats(0.005, 0.2),
        "capital_usd": st.floats(300.0, 6000.0),
        "usd_per_s": st.floats(1e-5, 1e-3),
        "usd_per_million_tokens": st.floats(0.3, 50.0),
        "power_w": st.floats(200.0, 6000.0),
        "most_accelerators": st.integers(1, 12),
    }
    chosen = some(draw, tuple(of), draw(st.sampled_from((0, 1, 2))))
    if objective == "tokens-per-s" and not {"capital_usd", "usd_per_s", "power_w"} & set(chosen):
        chosen.append("most_accelerators")
    return DesignLimits(
        most_hosts=draw(st.sampled_from((1, 2, 3))), **{name: draw(of[name]) for name in chosen}
    )


@st.composite
def questions(draw: DrawFn, *, objectives: tuple[DesignObjective, ...] = ()) -> Question:
    """A shop, a model with one or two formats, a demand or a limit, and what is best."""
    shop = draw(shops())
    name = draw(st.sampled_from(tuple(LOADS)))
    objective = draw(
        st.sampled_from(objectives or ("usd", "usd", "capital", "power", "tpot", "ttft", "tokens-per-s"))
    )
    ideal = draw(st.booleans())
    tasks = tuple(
        Task(
            model=catalog.model(name),
            workload=LOADS[name],
            plan=InferencePlan(weight_format=weights, engine="" if ideal else "vllm"),
            ideal=ideal,
        )
        for weights in draw(st.sampled_from((("bf16",), ("bf16", "int8"))))
    )
    asked = 0.0 if objective == "tokens-per-s" else 2 ** draw(st.floats(2, 10))
    demand = Demand(tokens_per_s=asked, trough_share=draw(st.sampled_from((0.0, 0.3, 1.0))))
    ownership = Ownership(
        usd_per_kwh=draw(st.sampled_from((0.0, 0.12, 1.0))),
        pue=draw(st.sampled_from((1.0, 1.5))),
        usd_per_kw_month=draw(st.sampled_from((0.0, 150.0))),
        circuit_w=draw(st.sampled_from((0.0, 1440.0))),
        years=draw(st.sampled_from((1.0, 4.0))),
        annual_interest=draw(st.sampled_from((0.0, 0.08))),
        residual_share=draw(st.sampled_from((0.0, 0.4))),
        elastic=draw(st.booleans()),
    )
    terms = Terms(demand=demand, limits=draw(limits(objective)), ownership=ownership)
    ways: Ways = "own" if objective == "capital" else draw(st.sampled_from(("own", "rent", "either")))
    return Question(shop, dict.fromkeys(shop.accelerators, tasks), terms, ways, objective)
