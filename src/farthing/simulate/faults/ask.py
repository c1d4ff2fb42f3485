"""The front of the package: a question about failures in plain arguments, and its answer."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from farthing.catalog.fault_presets import fault_preset
from farthing.errors import InvalidInput
from farthing.estimate.subject import plain
from farthing.predict.reliability import effective_time_share
from farthing.records.fault_run import FaultCause, FaultRun, check_number
from farthing.records.faults import FaultsResult, Loss
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.simulate.faults.alternatives import alternatives
from farthing.simulate.faults.completion import finish_times
from farthing.simulate.faults.dynamics import CHECKPOINTS, KINDS
from farthing.simulate.faults.intervals import best_interval, default_interval_s, needed_mtbf_s
from farthing.simulate.faults.policy import cycle
from farthing.simulate.faults.sample import Sample, Told, distribution, sample, studied
from farthing.simulate.faults.scenario import scenario
from farthing.simulate.faults.spares import spare_need
from farthing.simulate.faults.timeline import check_size, timeline

RUNS: Final = 2000
"""Runs that are simulated unless told otherwise."""

MOST_RUNS: Final = 1_000_000

STUDIES: Final = 4
"""What follows the runs themselves: intervals, spares, alternatives, completion."""

STUDY_RUNS: Final = 1000
"""Each of them takes about as long as so many runs."""

STEPS: Final = 24
"""Bars of the histogram, at most."""


def simulate_faults(
    preset: str = "",
    *,
    model: str | Model = "",
    cluster: str | Cluster = "",
    duration_s: float | None = None,
    work_s: float = 0.0,
    causes: Sequence[FaultCause] = (),
    runs: int = RUNS,
    seed: int = 0,
    told: Told | None = None,
    progress: Callable[[int, int], None] | None = None,
    **options: Any,
) -> FaultsResult:
    """What failures cost a training run, over many simulated runs.

    Parameters
    ----------
    preset
        A run that was published: ``llama-3-405b``, ``article-2048``; what else is given changes it.
    model, cluster
        What is trained, on what; by default the preset's.
    duration_s
        Wall-clock time that is simulated [s]; by default the preset's, or 30 days.
    work_s
        Ideal training time of the work whose end is looked for [s]; 0: as long as ``duration_s``.
    causes
        What fails, instead of the preset's causes or the usual ones.
    runs, seed
        How many runs, and what makes them repeat.
    told
        Takes the rows of each batch of runs as soon as they are there.
    progress
        Takes what is done, and all.
    **options
        Any field of `FaultRates`, `Checkpointing`, `Recovery` and `Stragglers`; ``host_bytes_per_s``, what
        each host writes [byte/s]; ``usd_per_accelerator_hour``.

    Returns
    -------
    FaultsResult

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, questions that contradict themselves.

    Examples
    --------
    >>> found = simulate_faults("article-2048", runs=64, duration_s=5 * 86400.0)
    >>> 0.3 < found.goodput.mean < 0.6, round(found.mtbf_seen_s / 60)
    (True, 21)
    """
    numbers = {"duration_s": duration_s, "work_s": work_s, "runs": runs, "seed": seed}
    given = {name: plain(value) for name, value in numbers.items()}
    check_number("question", "runs", given["runs"], 1, MOST_RUNS, whole=True)
    check_number("question", "seed", given["seed"], 0, 2**63 - 1, whole=True)
    check_number("question", "work_s", given["work_s"], 0)
    if given["duration_s"] is not None:
        check_number("question", "duration_s", given["duration_s"], 0, above=True)
    if not all(isinstance(cause, FaultCause) for cause in causes):
        raise InvalidInput("causes must be records FaultCause")
    run = scenario(
        preset,
        model,
        cluster,
        duration_s=given["duration_s"],
        causes=tuple(causes),
        options={name: plain(value) for name, value in options.items()},
    )
    base = fault_preset(preset) if preset else None
    answer = answered(run, given["runs"], given["seed"], work_s=given["work_s"], told=told, progress=progress)
    if base is None:
        return answer
    if model or cluster:
        # What was published is of another run.
        return answer
    return dataclasses.replace(answer, published=base.published, published_goodput=base.published_goodput)


def answered(
    run: FaultRun,
    runs: int,
    seed: int,
    *,
    work_s: float = 0.0,
    told: Told | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> FaultsResult:
    """All figures of a run: as `simulate_faults`, of a record."""
    check_size(run)

    def tell(count: int) -> None:
        if progress is not None:
            progress(count, runs + STUDIES * STUDY_RUNS)

    few = run.recovery.spare_hosts is not None
    first = timeline(run, seed, 0, repairs=few)
    mtbf_s = needed_mtbf_s(run, first)
    interval_s = cycle(run, run.checkpointing.interval_s or default_interval_s(run, mtbf_s)).all_work_s
    found = sample(run, interval_s, seed, runs, told=told, progress=tell)
    events = studied(first, runs)
    interval = best_interval(run, events, mtbf_s, interval_s)
    tell(runs + STUDY_RUNS)
    repaired = events if few else timeline(run, seed, 0, repairs=True).first(events.runs)
    spares = spare_need(run, repaired, interval_s)
    tell(runs + 2 * STUDY_RUNS)
    others = alternatives(run, events, seed, mtbf_s, interval_s)
    tell(runs + 3 * STUDY_RUNS)
    wanted_s = work_s or run.duration_s
    finish = finish_times(run, wanted_s, float(found.goodput.mean()), interval_s, seed, events.runs)
    tell(runs + STUDIES * STUDY_RUNS)
    finished = np.isfinite(finish)
    total = float(found.failures.sum())
    seen_s = run.duration_s * found.runs / total if total else float("inf")
    counts, edges = _histogram(found.goodput)
    return FaultsResult(
        run=run,
        runs=runs,
        seed=seed,
        goodput=distribution(found.goodput),
        histogram_edges=edges,
        histogram_runs=counts,
        failures=distribution(found.failures),
        planned=distribution(found.planned),
        mtbf_seen_s=seen_s,
        kinds=_kinds(run, found),
        by_cause=_causes(run, found),
        formula_share=_formula(run, interval_s, seen_s),
        formula_applies=formula_applies(run),
        studied_runs=events.runs,
        interval=interval,
        spares=spares,
        sensitivity=others,
        work_s=wanted_s,
        finish_s=distribution(finish[finished]) if finished.mean() > 0.5 else None,
        unfinished_share=float(1 - finished.mean()),
    )


def _loss(run: FaultRun, name: str, lost_s: float, events: float = 0.0) -> Loss:
    return Loss(
        name=name,
        share=lost_s / run.duration_s,
        lost_s=lost_s,
        lost_card_s=lost_s * run.cards,
        lost_usd=lost_s * run.cards_usd_per_s,
        events=events,
    )


def _kinds(run: FaultRun, found: Sample) -> tuple[Loss, ...]:
    means = found.lost_s.mean(axis=1)
    return tuple(_loss(run, name, float(lost)) for name, lost in zip(KINDS, means, strict=True))


def _causes(run: FaultRun, found: Sample) -> tuple[Loss, ...]:
    names = [*(cause.name for cause in run.causes), "slow parts", "planned maintenance"]
    rows = [
        _loss(run, name, float(lost) / found.runs, float(events) / found.runs)
        for name, lost, events in zip(names, found.by_cause_s, found.events, strict=False)
    ]
    regular = _loss(run, f"regular {KINDS[CHECKPOINTS]}", float(found.by_cause_s[-1]) / found.runs)
    usual = (*rows[: len(run.causes)], *(row for row in rows[len(run.causes) :] if row.events), regular)
    return tuple(sorted(usual, key=lambda row: -row.share))


def _formula(run: FaultRun, interval_s: float, mtbf_s: float) -> float:
    recovery, saved = run.recovery, run.checkpointing
    noticed = recovery.detection_s + recovery.manual_share * recovery.manual_s
    restart_s = noticed + recovery.restart_s + saved.load_s
    if not np.isfinite(mtbf_s):
        return interval_s / (interval_s + saved.stall_s)
    if (interval_s + saved.stall_s + restart_s) / mtbf_s > 300:
        return 0.0  # beyond the formula's range: nothing ever gets done
    return float(effective_time_share(interval_s, saved.stall_s, restart_s, mtbf_s))


def formula_applies(run: FaultRun) -> bool:
    """Whether a run is what Daly's formula assumes.

    Examples
    --------
    >>> from farthing.simulate.faults.scenario import scenario
    >>> options = {"detection_spread": "constant"}
    >>> formula_applies(scenario("article-2048", "", "", duration_s=None, causes=(), options=options))
    True
    """
    recovery, saved = run.recovery, run.checkpointing
    alike = recovery.detection_spread == "constant" or not recovery.detection_s
    return (
        all(cause.lifetime == "exponential" and not cause.followed_share for cause in run.causes)
        and saved.checkpoint_mode == "sync"
        and not saved.memory_interval_s
        and recovery.spare_hosts is None
        and run.stragglers is None
        and not recovery.maintenance_per_day
        and not (recovery.manual_share and recovery.manual_s)
        and alike
    )


def _histogram(goodput: np.ndarray[Any, np.dtype[np.float64]]) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Runs in even steps of goodput between the least and the most."""
    low, high = float(goodput.min()), float(goodput.max())
    if high - low < 1e-9:
        low, high = max(low - 0.005, 0.0), low + 0.005
    steps = int(np.clip(np.sqrt(len(goodput)), 1, STEPS))
    counts, edges = np.histogram(goodput, bins=steps, range=(low, high))
    return tuple(int(count) for count in counts), tuple(float(edge) for edge in edges)
