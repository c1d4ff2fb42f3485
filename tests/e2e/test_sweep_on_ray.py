"""A sweep on a Ray cluster of two nodes: the rows of one machine, answered by both."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

PATIENCE_S = 60

CLUSTER = """
import sys
from ray.cluster_utils import Cluster

small = {"num_cpus": 1, "object_store_memory": 80 * 2**20}
cluster = Cluster(initialize_head=True, head_node_args={**small, "include_dashboard": False})
try:
    cluster.add_node(**small)
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)
    sys.stdin.read()
finally:
    cluster.shutdown()
"""
"""Prints the address of a cluster that lives until standard input ends."""

GRID = """
task = "inference"
models = ["llama-3.1-8b", "qwen3-32b"]
clusters = ["1x8:h100-sxm", "1x2:rtx-4090"]
[workload]
batch_size = [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 28, 32, 40, 48, 56, 64, 72, 80]
prompt_tokens = [512, 1024, 2048]
[plan]
tp = [1, 2, 8]
"""


@pytest.fixture
def address() -> Iterator[str]:
    """Of a cluster in a process of its own: nothing of it stays in this one."""
    # Ray would otherwise tell its makers of the cluster, and of warnings of its own.
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        [sys.executable, "-c", CLUSTER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    ) as cluster:
        assert cluster.stdout is not None
        assert cluster.stdin is not None
        try:
            ready, _, _ = select.select([cluster.stdout], [], [], PATIENCE_S)
            told = cluster.stdout.readline().strip() if ready else ""
            assert told, "the cluster did not start"
            yield told
        finally:
            cluster.stdin.close()
            try:
                cluster.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                cluster.kill()


def test_the_rows_of_one_machine(process: Any, tmp_path: Path, address: str) -> None:
    grid, here, there = (tmp_path / name for name in ("grid.toml", "here.csv", "there.csv"))
    grid.write_text(GRID, "utf-8")
    assert process("sweep", str(grid), "--out", str(here)).code == 0
    found = process("sweep", str(grid), "--out", str(there), "--ray", address, "--json")
    assert (found.code, found.err) == (0, "")
    assert there.read_bytes() == here.read_bytes()
    told = json.loads(found.out)
    assert told["questions"] == 720
    assert len(told["machines"]) == 2, "one node did all the work"
    assert sum(told["machines"].values()) == 720
    assert not list(tmp_path.glob("*.partial"))

    # Other constants on the machines of the cluster than here: rows would differ without a word.
    own = tmp_path / "own" / "mine.csv"
    own.parent.mkdir()
    own.write_text(
        "engine,architecture,matmul_share,attention_share,memory_share,kv_share,fitted_on\n"
        "vllm,hopper,0.5,,,,your runs\n"
    )
    refused = process(
        *("sweep", str(grid), "--out", str(tmp_path / "other.csv"), "--ray", address),
        FARTHING_CONFIG=str(own.parent),
    )
    assert refused.code == 2
    assert "constants or prices of your own" in refused.err
    assert not list(tmp_path.glob("*.partial"))
