"""Lists and descriptions of the catalogue, and TOML that is read back as it was."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from farthing import api
from farthing.catalog.cluster import parse_cluster, read_cluster
from farthing.catalog.shapes import model_from_toml
from farthing.records.estimate import Part
from farthing.report.accelerators import Candidate, accelerator_list, accelerator_report, comparison
from farthing.report.clusters import cluster_report
from farthing.report.encoding import json_text
from farthing.report.models import model_list, model_report
from farthing.report.toml import cluster_toml, model_toml


@pytest.mark.parametrize("id", sorted(api.models()))
def test_every_model_goes_round_through_toml(id: str) -> None:
    model = api.models()[id]
    assert model_from_toml(model_toml(model)) == model


def test_strange_text_goes_round_through_toml() -> None:
    model = dataclasses.replace(api.models()["llama-2-7b"], name='a "b" \\ \x7f ü\n\t漢')
    assert model_from_toml(model_toml(model)) == model


@pytest.mark.parametrize(
    "text",
    [
        "rtx-4090",
        "1x8:h100-sxm",
        "2x4:rtx-4090@25gbe",
        "256x8:a100-sxm-80gb@ib-hdr",
        "1x2:rtx-4090+3x1:m2-ultra@10gbe",
        "2x8:h100-sxm@4x200g-roce",
    ],
)
def test_clusters_go_round_through_toml(text: str) -> None:
    cluster = parse_cluster(text)
    assert read_cluster(cluster_toml(cluster, api.accelerators())) == cluster


def test_own_figures_go_round_through_toml() -> None:
    cluster = read_cluster(
        """
        usd = 9000
        oversubscription = 2
        [[group]]
        hosts = 2
        accelerators_per_host = 2
        accelerator = "rtx-4090"
        network = { gbit_per_s = 10, latency_us = 30, name = "own" }
        accelerator_overrides = { tdp_w = 300, peer_to_peer = true, memory_gib = 48 }
        """
    )
    again = read_cluster(cluster_toml(cluster, api.accelerators()), cluster.name)
    assert again.groups[0].accelerator == cluster.groups[0].accelerator
    assert again.network is not None
    assert cluster.network is not None
    assert again.network.bytes_per_s == pytest.approx(cluster.network.bytes_per_s)
    assert again.network.latency_s == pytest.approx(cluster.network.latency_s)
    assert (again.usd, again.oversubscription) == (9000, 2)


def test_every_accelerator_is_described(render: Any) -> None:
    for card in api.accelerators().values():
        text = render(accelerator_report(card, api.prices(card.id)))
        assert text.startswith(card.name)
        assert max(map(len, text.splitlines())) <= 80
        assert ("forbidden" in text) is not card.datacenter_licence


def test_every_model_is_described(render: Any) -> None:
    for model in api.models().values():
        summary = api.model_summary(model)
        text = render(model_report(summary))
        assert text.startswith(model.id)
        assert f"{summary.parameters:,}" in text
        assert sum(group.count for group in summary.layer_groups) == model.layers


def test_lists_have_a_line_each(render: Any) -> None:
    cards = list(api.accelerators().values())
    text = render(accelerator_list(cards))
    assert all(f"\n  {card.id} " in text for card in cards)
    assert max(map(len, text.splitlines())) <= 80
    summaries = [api.model_summary(model) for model in api.models().values()]
    text = render(model_list(summaries))
    assert all(f"\n  {summary.model.id} " in text for summary in summaries)
    assert max(map(len, text.splitlines())) <= 80


def test_summary_of_a_mixture() -> None:
    summary = api.model_summary(api.models()["deepseek-v3"])
    assert [group.count for group in summary.layer_groups] == [3, 58]
    assert summary.kv_bytes_per_token == 61 * (512 + 64) * 2
    assert summary.active_parameters < summary.parameters / 10


def test_windows_keep_less() -> None:
    summary = api.model_summary(api.models()["gemma-3-27b"])
    full = summary.kv_bytes_per_token * summary.model.max_context
    assert summary.kv_cache_bytes < full / 4


def test_comparison(render: Any) -> None:
    shape = api.models()["llama-2-70b"]
    found = [
        Candidate(
            accelerator=api.accelerator(id),
            purchase=api.purchase_price(id),
            rental=api.rental_price(id),
            estimate=api.infer(shape, id),
        )
        for id in ("rtx-4090", "mi300x")
    ]
    lines = {line[:18].strip(): line for line in render(comparison(found), 100).splitlines()}
    assert lines["fits"].split()[1] == "no"
    assert "yes" in lines["fits"]
    assert lines["decode"].split()[1] == "-"
    assert "token/s" in lines["decode"]


def test_cluster_report(render: Any) -> None:
    cluster = parse_cluster("1x2:rtx-4090+1x1:m2-ultra@10gbe")
    prices = {id: (api.purchase_price(id), api.rental_price(id)) for id in ("rtx-4090", "m2-ultra")}
    text = render(cluster_report(cluster, prices))
    for words in ("Group 1", "Group 2", "through the host's memory", "10 Gbit", "3 in 2 hosts", "240 GiB"):
        assert words in text
    assert max(map(len, text.splitlines())) <= 80


def test_json() -> None:
    values = {
        "part": Part(name="a", value=float("inf"), share=0.5),
        "count": np.int64(3),
        "rate": np.float64(2),
    }
    assert json.loads(json_text(values)) == {
        "part": {"name": "a", "value": None, "share": 0.5},
        "count": 3,
        "rate": 2.0,
    }
    with pytest.raises(NotImplementedError, match="object has no JSON form"):
        json_text({"x": object()})


@pytest.mark.parametrize(
    "value", [api.accelerator("h100-sxm"), api.models()["deepseek-v3"], parse_cluster("2x4:rtx-4090@25gbe")]
)
def test_records_keep_their_fields_in_json(value: Any) -> None:
    assert set(json.loads(json_text(value))) == {field.name for field in dataclasses.fields(value)}
