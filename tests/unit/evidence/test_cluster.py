"""Rows on several machines: what their free text says, and what is refused."""

import math

import pytest

from farthing.errors import FarthingError
from farthing.evidence.cluster import compare, setup_of
from farthing.evidence.cluster_setup import network_of
from farthing.records.comparison import Case


def row(**cells: str) -> Case:
    usual = {
        "model": "Llama-3-8B",
        "quant": "Q40/Q80",
        "hardware": "4x Raspberry Pi 5 8GB",
        "n_nodes": "4",
        "parallelism": "tensor",
        "batch": "1",
        "metric": "ms_per_token",
        "value": "245",
    }
    source = cells.pop("source", "distributed-llama PR")
    whole = usual | cells | {"source": source}
    return Case(file="", id="1", source=source, kind="cluster", cells=whole)


def test_a_row_without_ids_is_read_from_its_text() -> None:
    setup = setup_of(row())
    assert setup.about.model.id == "llama-3-8b"
    assert (setup.about.cluster.hosts, setup.plan.tp, setup.plan.weight_format) == (4, 4, "q4_0")
    assert setup.about.wiring.exchange == "mesh"
    assert setup_of(row(notes="v0.1.0")).about.wiring.exchange == "slices"


def test_a_version_that_counts_exchanges_as_computing_has_the_same_whole() -> None:
    parts = {}
    for version in ("v0.2.0", "v0.3.1"):
        for metric in ("ms_per_token", "ms_compute_per_token", "ms_transfer_per_token"):
            parts[version, metric] = compare([row(notes=version, metric=metric)])[0].predicted
    assert parts["v0.2.0", "ms_per_token"] == parts["v0.3.1", "ms_per_token"]
    assert parts["v0.2.0", "ms_transfer_per_token"] > parts["v0.3.1", "ms_transfer_per_token"]


@pytest.mark.parametrize(
    ("cells", "rate", "latency"),
    [
        ({"link_gbps": "0.1", "link_rtt_ms": "100"}, 0.0125e9, 0.05),
        ({"link_gbps": "1", "link_rtt_ms": "<5"}, 0.125e9, 1.25e-3),
        ({}, 0.125e9, 62.5e-6),
        ({"hardware": "14 volunteer servers EU+NA"}, 0.0125e9, 0.05),
    ],
)
def test_networks(cells: dict[str, str], rate: float, latency: float) -> None:
    link = network_of(row(**cells))
    assert (link.bytes_per_s, link.latency_s) == pytest.approx((rate, latency))


@pytest.mark.parametrize(
    "cells",
    [
        {"hardware": "3 nodes"},
        {"model": "(not stated)"},
        {"n_nodes": "", "hardware": "public swarm"},
        {"link_gbps": "0"},
        {"value": "many"},
        {"value": ""},
        {"quant": "Q99"},
        {"parallelism": "pipeline + speculation"},
        {"metric": "aggregate_tokens_per_s"},
        {"metric": "ms_transfer_per_token", "parallelism": "none", "n_nodes": "1"},
    ],
)
def test_odd_cells_become_a_reason(cells: dict[str, str]) -> None:
    found = compare([row(**cells)])[0]
    assert found.reason
    assert math.isnan(found.predicted)


def test_no_prediction_beats_the_memory() -> None:
    found = compare([row(notes="v0.8.0")])[0]
    assert found.predicted >= found.simple * 0.9


def test_a_network_of_no_rate_is_refused() -> None:
    with pytest.raises(FarthingError):
        network_of(row(link_gbps="0"))
