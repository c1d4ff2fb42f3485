"""Speed of farthing, each figure beside something measured in the same run.

Usage: python benchmarks/run.py
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np

import farthing
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.predict.device import device
from farthing.predict.training import training_time
from farthing.predict.training_memory import training_memory
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.search.inference import search_inference
from farthing.search.inference_space import Axes
from farthing.search.table import Search
from timing import seconds_per_call, seconds_per_process

Row = tuple[str, str, str, str]


def cold_start() -> list[Row]:
    """Whole processes, against the bare interpreter."""
    command = str(Path(sys.executable).with_name("farthing"))
    if not Path(command).exists():
        command = shutil.which("farthing") or "farthing"
    bare = seconds_per_process([sys.executable, "-c", "pass"])
    rows = [("bare interpreter", f"{bare * 1e3:.0f} ms", "1.0 x", "")]
    for name, limit, arguments in (
        ("farthing --help", "300 ms", ["--help"]),
        (
            "farthing infer llama-2-70b, cold",
            "700 ms",
            ["infer", "llama-2-70b", "--on", "1x8:rtx-4090", "--tp", "8"],
        ),
    ):
        took = seconds_per_process([command, *arguments])
        rows.append((name, f"{took * 1e3:.0f} ms", f"{took / bare:.1f} x bare", limit))
    return rows


def estimates() -> list[Row]:
    """One warm estimate, against one hundred thousand additions."""

    def additions() -> int:
        total = 0
        for i in range(100_000):
            total += i
        return total

    unit = seconds_per_call(additions)
    rows = [("100,000 additions in Python", f"{unit * 1e3:.2f} ms", "1.0 x", "")]
    cases = {
        "farthing.infer, 70B on 8 cards": lambda: farthing.infer("llama-2-70b", "1x8:rtx-4090", tp=8),
        "farthing.infer, 671B MoE on 16 cards": lambda: farthing.infer(
            "deepseek-v3", "2x8:h200-sxm@ib-ndr", tp=8, pp=2, weight_format="fp8", batch_size=32
        ),
        "farthing.train, 70B on 2,048 cards": lambda: farthing.train(
            "llama-2-70b", "256x8:a100-sxm-80gb@ib-hdr", tp=8, pp=8, global_batch_size=1024
        ),
    }
    for name, case in cases.items():
        took = seconds_per_call(case)
        rows.append((name, f"{took * 1e3:.2f} ms", f"{took / unit:.2f} x", "1 ms"))
    return rows


def columns(candidates: int = 100_000) -> list[Row]:
    """A column of training plans, against a loop over the same functions with scalars."""
    model = catalog.model("gpt-3-175b")
    cluster = parse_cluster("64x8:a100-sxm-80gb@ib-hdr")
    group = cluster.groups[0]
    card = device(group.accelerator, "bf16", catalog.efficiency(group.accelerator))
    workload = TrainingWorkload(sequence_tokens=2048, global_batch_size=3072)
    random = np.random.default_rng(0)
    tp = random.choice([1, 2, 4, 8], candidates)
    pp = random.choice([1, 2, 4, 8, 16, 32], candidates)
    dp = np.maximum(512 // (tp * pp), 1)
    micro = random.choice([1, 2, 4], candidates)

    def both(plan: TrainingPlan) -> object:
        constants = catalog.efficiency(group.accelerator)
        training_memory(model, workload, plan)
        return training_time(model, cluster, group, card, workload, plan, efficiency=constants)

    def one(index: int) -> object:
        sizes = {"tp": int(tp[index]), "pp": int(pp[index]), "dp": int(dp[index])}
        return both(TrainingPlan(**sizes, micro_batch_size=int(micro[index])))

    loop = seconds_per_call(lambda: [one(index) for index in range(50)]) / 50
    column = (
        seconds_per_call(lambda: both(TrainingPlan(tp=tp, pp=pp, dp=dp, micro_batch_size=micro)), repeats=2)
        / candidates
    )
    return [
        ("training plan, scalar in a loop", f"{1 / loop:,.0f} plans/s", "1.0 x", ""),
        (f"column of {candidates:,} plans", f"{1 / column:,.0f} plans/s", f"{loop / column:.0f} x", ""),
    ]


def inference_searches() -> list[Row]:
    """Every plan of eight cards with all axes open, against evaluating one plan at a time."""
    load, open_axes = InferenceWorkload(), Axes()
    one = seconds_per_call(lambda: farthing.infer("llama-3.3-70b", "1x8:h100-sxm", tp=8, batch_size=32))
    rows = [("farthing.infer in a loop", f"{1 / one:,.0f} plans/s", "1.0 x", "")]
    for name, cluster, weights in (
        ("llama-3.3-70b", "1x8:h100-sxm", "bf16"),
        ("mixtral-8x7b", "1x8:h200-sxm", "bf16"),
        ("deepseek-v3", "1x8:h200-sxm", "fp8"),
    ):
        model, machines = catalog.model(name), parse_cluster(cluster)
        plan = InferencePlan(weight_format=weights)

        def search(
            model: Model = model, machines: Cluster = machines, plan: InferencePlan = plan, **more: Any
        ) -> Search:
            return search_inference(
                model, machines, load, plan, axes=open_axes, front=("tokens-per-s", "tpot"), **more
            )

        whole = seconds_per_call(search)
        alike = seconds_per_call(lambda search=search: search(disaggregate=False))
        evaluated = search().result.evaluated
        rows += [
            (f"search, {name} on 8 cards", f"{whole * 1e3:.0f} ms", f"{whole / one:.0f} x", "300 ms"),
            (
                "  without workers for prompts alone",
                f"{evaluated / alike:,.0f} plans/s",
                f"{evaluated / alike * one:.0f} x",
                "",
            ),
        ]
    return rows


def main() -> None:
    """Print all figures."""
    for title, rows in (
        ("Cold start", cold_start()),
        ("One estimate, warm", estimates()),
        ("Many plans at once (time and memory, everything evaluated)", columns()),
        ("Searches of inference plans, estimates of the best and the front included", inference_searches()),
    ):
        print(title)
        for name, figure, ratio, limit in rows:
            print(f"  {name:40} {figure:>18} {ratio:>12}  {'bar: ' + limit if limit else ''}".rstrip())


if __name__ == "__main__":
    main()
