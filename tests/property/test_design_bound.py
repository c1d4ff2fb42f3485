"""What builds are sorted out by: copies timed without links are never slower or thirstier than real ones."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from farthing import catalog
from farthing.catalog.cluster import intra_link
from farthing.design.copies import FIGURES, Copies, Task, bound, exact, joined_hosts
from farthing.records.hardware import Cluster, HostGroup, Link
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

MODELS = ("llama-3.2-1b", "qwen2.5-7b", "llama-2-70b", "mixtral-8x7b", "deepseek-v2-lite", "bert-large")
CARDS = ("rtx-4090", "rtx-3090", "a100-sxm-80gb", "h100-sxm", "v100-pcie-32gb", "mi300x", "l40s", "b200-sxm")
NETWORKS = ("1gbe", "10gbe", "100gbe", "ib-ndr", "wan-1g-5ms", "thunderbolt5-rdma", "400g-roce")
ROWS = 60


@st.composite
def cases(draw: DrawFn) -> tuple[Task, Cluster]:
    """A model and its load on hosts that are joined somehow, perhaps with links that nobody sells."""
    model = catalog.model(draw(st.sampled_from(MODELS)))
    card = catalog.accelerator(draw(st.sampled_from(CARDS)))
    cards, hosts = draw(st.sampled_from((1, 2, 3, 4, 8))), draw(st.sampled_from((1, 2, 3, 8)))
    network = catalog.link(draw(st.sampled_from(NETWORKS)))
    inside = intra_link(card, None, catalog.links())
    if draw(st.booleans()):
        network, inside = (dataclasses.replace(link, **draw(rates())) for link in (network, inside))
    ports = cards if network.per_accelerator and draw(st.booleans()) else 1
    group = HostGroup(
        hosts=hosts,
        accelerators_per_host=cards,
        accelerator=card,
        intra_link=inside,
        host_copy=not card.peer_to_peer and not card.link,
        host_memory_bytes_per_s=draw(st.sampled_from((0.0, 20e9, 400e9))),
        network=network if hosts > 1 else None,
        nics_per_host=ports,
    )
    prompt = draw(st.sampled_from((1, 100, 500) if model.encoder else (1, 500, 4000)))
    output = 0 if model.encoder else draw(st.sampled_from((1, 2, 50, 1000)))
    ideal = draw(st.booleans())
    engine = "" if ideal else "sglang" if card.vendor == "AMD" else "vllm"
    task = Task(
        model=model,
        workload=InferenceWorkload(prompt_tokens=prompt, output_tokens=output),
        plan=InferencePlan(weight_format=draw(st.sampled_from(("bf16", "int8"))), engine=engine),
        ideal=ideal,
    )
    return task, Cluster(name="random", groups=(group,), network=group.network)


def rates() -> st.SearchStrategy[dict[str, float]]:
    return st.fixed_dictionaries(
        {
            "bytes_per_s": st.sampled_from((1e8, 1e10, 1e12)),
            "latency_s": st.sampled_from((0.0, 1e-6, 1e-3)),
            "efficiency": st.sampled_from((0.3, 1.0)),
        }
    )


def some_rows(task: Task, cluster: Cluster) -> Copies:
    """Rows of the bound that can lie on the hosts, at most so many, spread over all of them."""
    group = cluster.groups[0]
    rows = bound(task, group.accelerator, group.count)
    hosts = joined_hosts(rows, group.accelerators_per_host)
    rows = rows.where((hosts > 0) & (hosts <= group.hosts))
    return rows.where(np.unique(np.linspace(0, len(rows) - 1, ROWS).astype(int)) if len(rows) else [])


@settings(max_examples=200)
@given(cases())
def test_nothing_is_quicker_or_thriftier_than_its_bound(case: tuple[Task, Cluster]) -> None:
    task, cluster = case
    rows = some_rows(task, cluster)
    assume(len(rows))
    real = exact(task, cluster, rows)
    close = 1 + 1e-9
    assert (real.tokens_per_s <= rows.tokens_per_s * close).all()
    assert (real.requests_per_s <= rows.requests_per_s * close).all()
    assert (real.ttft_s * close >= rows.ttft_s).all()
    assert (real.tpot_s * close >= rows.tpot_s).all()
    assert (real.weight_bytes == rows.weight_bytes).all()
    assert real.idle_w == rows.idle_w
    # What a token takes above rest counts where there is a demand, the draw itself where there is none.
    work, least = real.busy_w - real.idle_w, rows.least_busy_w - rows.idle_w
    assert (work / real.tokens_per_s * close >= least / rows.tokens_per_s).all()
    assert (rows.least_busy_w <= rows.busy_w * close).all()
    assert (real.busy_w >= rows.idle_w).all()


@settings(max_examples=60)
@given(cases(), st.data())
def test_columns_of_links_and_rows_are_what_each_is_alone(
    case: tuple[Task, Cluster], data: st.DataObject
) -> None:
    task, cluster = case
    rows = some_rows(task, cluster)
    assume(len(rows))
    group = cluster.groups[0]
    row = data.draw(st.integers(0, len(rows) - 1))
    alone = exact(task, cluster, rows.where(np.array([row])))
    together = exact(task, cluster, rows)
    other = dataclasses.replace(group.intra_link, bytes_per_s=3e9, latency_s=1e-5)
    links = [group.intra_link if place == row else other for place in range(len(rows))]
    column = dataclasses.replace(group, intra_link=in_column(links))
    mixed = exact(task, dataclasses.replace(cluster, groups=(column,)), rows)
    for name in FIGURES:
        own = float(getattr(alone, name)[0])
        assert float(getattr(together, name)[row]) == pytest.approx(own, rel=1e-9)
        assert float(getattr(mixed, name)[row]) == pytest.approx(own, rel=1e-9)


def in_column(links: list[Link]) -> Link:
    values: dict[str, Any] = {
        name: np.array([getattr(link, name) for link in links])
        for name in ("bytes_per_s", "latency_s", "efficiency")
    }
    return dataclasses.replace(links[0], **values)
