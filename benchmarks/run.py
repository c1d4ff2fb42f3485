"""Speed of farthing, each figure beside something measured in the same run.

Usage: python benchmarks/run.py
"""

from __future__ import annotations

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import farthing
import farthing.api
from farthing import catalog
from farthing.catalog.cluster import parse_cluster
from farthing.evidence import outcomes
from farthing.evidence.load import all_shipped
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.search.inference import search_inference
from farthing.search.inference_space import Axes
from farthing.search.table import Search
from farthing.simulate.faults.dynamics import simulate
from farthing.simulate.faults.policy import policy
from farthing.simulate.faults.sample import sample
from farthing.simulate.faults.scenario import scenario
from farthing.simulate.faults.timeline import timeline
from farthing.units import DAY
from page import page
from plain_faults import plain_runs
from services import services
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


def training_searches() -> list[Row]:
    """Every plan of training, against evaluating plans of the same space one at a time."""
    cases = (
        ("gpt-3-175b", "64x8:a100-sxm-80gb@ib-hdr", 3072, 2048, "5 s, 4,900,000 plans, 2,000,000 plans/s"),
        ("llama-3.1-405b", "2048x8:h100-sxm@ib-ndr", 2048, 8192, "15 s"),
        ("deepseek-v3", "32x8:h100-sxm@ib-ndr", 4096, 4096, ""),
        ("llama-3.1-8b", "1x8:h100-sxm", 64, 8192, ""),
    )
    rows: list[Row] = []
    loop = 0.0
    for name, cluster, batch, tokens, limit in cases:
        asked: dict[str, Any] = {"global_batch_size": batch, "sequence_tokens": tokens}
        found: list[Any] = []

        def search(
            name: str = name, cluster: str = cluster, asked: dict[str, Any] = asked, found: list[Any] = found
        ) -> None:
            found.append(farthing.search(name, cluster, task="training", **asked))

        took = seconds_per_call(search, repeats=2)
        if not loop:
            loop = _training_loop(name, cluster, asked, found[-1])
            rows.append(("farthing.train in a loop", f"{1 / loop:,.0f} plans/s", "1.0 x", ""))
        count = found[-1].result.evaluated
        cards = parse_cluster(cluster).count
        rows.append(
            (
                f"search, {name} on {cards:,} cards",
                f"{took:.2f} s",
                f"{count / took * loop:,.0f} x",
                limit,
            )
        )
        rows.append(("", f"{count:,} plans", f"{count / took / 1e6:.1f} M/s", ""))
    return rows


def _training_loop(name: str, cluster: str, asked: dict[str, Any], found: Any) -> float:
    """Seconds of one plan, over a sample of those that the search ranked first in their sizes."""
    model, machines = catalog.model(name), parse_cluster(cluster)
    load = TrainingWorkload(**asked)
    fields = {field.name for field in dataclasses.fields(TrainingPlan)}
    sample = np.random.default_rng(0).choice(len(found.table), 50, replace=False)
    plans = [
        TrainingPlan(**{key: value for key, value in found.table.row(int(i)).items() if key in fields})
        for i in sample
    ]
    return seconds_per_call(
        lambda: [farthing.train(model, machines, workload=load, plan=plan) for plan in plans]
    ) / len(plans)


def memory() -> list[Row]:
    """Most memory of the largest search, in a process of its own."""
    if not Path("/proc/self/status").exists():
        return [("search, 405B on 16,384 cards", "not measured", "", "4 GB")]
    # The peak of the process image itself: what the kernel counts for a child begins with its parent's.
    peak_kib = "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"
    search = (
        "farthing.search('llama-3.1-405b', '2048x8:h100-sxm@ib-ndr', task='training', "
        "global_batch_size=2048, sequence_tokens=8192)"
    )
    least, peak = (
        int(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
        for code in (f"import farthing.api; {peak_kib}", f"import farthing; {search}; {peak_kib}")
    )
    return [
        ("import farthing.api", f"{least / 1024:.0f} MiB", "1.0 x", ""),
        ("search, 405B on 16,384 cards", f"{peak / 1024:.0f} MiB", f"{peak / least:.1f} x", "4 GB"),
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
        alike = seconds_per_call(lambda search=search: search(others=False))
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


def designs() -> list[Row]:
    """The cheapest build out of all accelerators, against timing builds one at a time."""
    one = seconds_per_call(
        lambda: farthing.infer("llama-3.3-70b", "2x4:rtx-4090@10gbe", tp=4, pp=2, batch_size=16)
    )
    rows = [("farthing.infer in a loop", f"{1 / one:,.0f} builds/s", "1.0 x", "")]
    asked: dict[str, Any] = {
        "tokens_per_s": 2000,
        "tpot_s": 0.05,
        "ttft_s": 2.0,
        "prompt_tokens": 1000,
        "output_tokens": 300,
    }
    for workers, limit in ((2, "5 s on two cores"), (1, "")):
        found: list[Any] = []
        took = seconds_per_call(
            lambda workers=workers, found=found: found.append(
                farthing.design("llama-3.3-70b", workers=workers, **asked)
            ),
            repeats=3,
        )
        count, space = found[-1].evaluated, found[-1].candidates
        name = f"design, llama-3.3-70b, {workers} process{'es' if workers > 1 else ''}"
        rows += [
            (name, f"{took:.2f} s", f"{took / one:,.0f} x", limit),
            (
                "  timed and priced",
                f"{count / took:,.0f} builds/s",
                f"{count / took * one:,.0f} x",
                "100,000 builds/s",
            ),
            ("  of the whole space", f"{space / took / 1e6:,.0f} M builds/s", "", ""),
        ]
    return rows


def faults() -> list[Row]:
    """Months of 16,384 cards under faults, against the same run event by event in plain Python."""
    run = scenario("llama-3-405b", "", "", duration_s=30 * DAY, causes=(), options={})
    interval_s, plain_count = 250.0, 20
    how = policy(run, interval_s)
    events = timeline(run, 0, 0, repairs=False)
    columns = (events.time_s, events.kind, events.cause, events.detection_s)
    plain = [
        list(zip(*(column[:, row].tolist() for column in columns), strict=True)) for row in range(plain_count)
    ]
    one = seconds_per_call(lambda: plain_runs(plain, run.duration_s, how)) / plain_count
    played = seconds_per_call(lambda: simulate(events, how)) / events.runs
    count = 10_000
    whole = seconds_per_call(lambda: sample(run, interval_s, 0, count), repeats=1)
    question = seconds_per_call(lambda: farthing.api.simulate_faults("llama-3-405b"), repeats=1)
    return [
        ("a month in plain Python, failures given", f"{one * 1e3:.1f} ms", "1.0 x", ""),
        ("a month in columns, failures given", f"{played * 1e3:.3f} ms", f"{one / played:.0f} x as fast", ""),
        (
            f"{count:,} months, failures drawn",
            f"{whole:.2f} s",
            f"{one * count / whole:.0f} x as fast",
            "60 s on two cores",
        ),
        (
            "farthing.api.simulate_faults, all studies",
            f"{question:.2f} s",
            f"{question / one:,.0f} months",
            "",
        ),
    ]


def views() -> list[Row]:
    """What a page shows of the package's own data, against reading the measurements that it is about."""
    cases = seconds_per_call(all_shipped)

    def accuracy() -> None:
        for cached in (outcomes.read, outcomes.columns, outcomes.overview):
            cached.cache_clear()
        farthing.api.accuracy()

    rows = [("all measurements, read", f"{cases * 1e3:.0f} ms", "1.0 x", "")]
    for name, limit, view in (
        ("accuracy by group and source, first", "150 ms", accuracy),
        (
            "all accelerators, sought and sorted",
            "30 ms",
            lambda: farthing.api.catalog_rows("accelerators", search="r", sort="memory_gib"),
        ),
    ):
        took = seconds_per_call(view)
        rows.append((name, f"{took * 1e3:.1f} ms", f"{took / cases:.3f} x", limit))
    return rows


def main() -> None:
    """Print all figures."""
    for title, rows in (
        ("Cold start", cold_start()),
        ("One estimate, warm", estimates()),
        ("Views of the package's own data", views()),
        (
            "Searches of training plans, all counted, the best and the miss estimated in full",
            training_searches(),
        ),
        ("Memory of a search", memory()),
        ("Searches of inference plans, estimates of the best and the front included", inference_searches()),
        ("Designs: all accelerators, up to 64 hosts, bills and alternatives included", designs()),
        ("Services under load: a 70B model on 8 cards", services()),
        ("Training runs under faults, 16,384 cards, 18 causes", faults()),
        ("The page, asked over loopback", page()),
    ):
        print(title)
        for name, figure, ratio, limit in rows:
            print(f"  {name:40} {figure:>18} {ratio:>12}  {'bar: ' + limit if limit else ''}".rstrip())


if __name__ == "__main__":
    main()
