"""What a tenth more memory would give a training run is what a search on such cards finds."""

from __future__ import annotations

import dataclasses

import pytest

import farthing
from farthing import api


@pytest.mark.parametrize(
    ("model", "cluster"), [("llama-2-70b", "4x8:h100-sxm@ib-ndr"), ("gpt-2-124m", "rtx-4090")]
)
def test_as_a_search_on_such_cards(model: str, cluster: str) -> None:
    machines = api.find_cluster(cluster)
    group = machines.groups[0]
    card = dataclasses.replace(group.accelerator, memory_bytes=group.accelerator.memory_bytes * 1.1)
    roomier = dataclasses.replace(machines, groups=(dataclasses.replace(group, accelerator=card),))
    asked = {"global_batch_size": 64, "sequence_tokens": 1024, "task": "training", "offload": "none"}
    here = farthing.search(model, machines, sensitivity=True, **asked)
    there = farthing.search(model, roomier, **asked)
    row = next(row for row in here.best.sensitivity if row.part == "memory size")
    assert row.time_factor == pytest.approx(there.best.step_s / here.best.step_s, rel=1e-9)
    assert row.throughput_factor == pytest.approx(1 / row.time_factor)
