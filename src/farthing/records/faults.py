"""What failures cost a training run, over many simulated runs."""

from __future__ import annotations

from dataclasses import dataclass

from farthing.records.fault_run import FaultRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """A figure over all simulated runs.

    Attributes
    ----------
    mean, standard_error
        Mean, and the standard error of the mean.
    p5, p25, p50, p75, p95
        Percentiles over the runs.
    """

    mean: float
    standard_error: float
    p5: float
    p25: float
    p50: float
    p75: float
    p95: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Wall-clock time that is no lasting progress, of one kind or for one cause; the mean of all runs.

    Attributes
    ----------
    name
        The kind or the cause.
    share
        Of the wall-clock time; all kinds, and all causes, sum with the goodput to 1.
    lost_s
        Of one run [s].
    lost_card_s
        The same times the cards [s].
    lost_usd
        What these cards cost in that time [USD]; 0 where their price is unknown.
    events
        How often it comes in a run; 0 where that is not counted.
    """

    name: str
    share: float
    lost_s: float
    lost_card_s: float
    lost_usd: float
    events: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """Goodput with one thing changed, under the same failures.

    Attributes
    ----------
    what
        What was changed, in words.
    amount
        What it was changed to, in SI units.
    goodput
        Mean share of the wall-clock time that is lasting progress.
    goodput_gain
        Over the run as it is.
    gain_error
        Standard error of that gain, run by run.
    """

    what: str
    amount: float
    goodput: float
    goodput_gain: float
    gain_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BestInterval:
    """How often to checkpoint, found by simulation under the same failures, beside the formulas.

    Attributes
    ----------
    best_interval_s
        With the highest mean goodput of those tried [s].
    flat_low_s, flat_high_s
        Between them no interval that was tried is worse by more than two standard errors [s].
    near_low_s, near_high_s
        Between them every interval that was tried is within a tenth of a percent of the time of the best [s].
    best_goodput
        Of that interval.
    interval_used_s
        Of the simulated run [s].
    young_s, daly_s
        The formulas', for the time that a checkpoint stalls the job and the MTBF of failures after which it
        is needed: all, or with checkpoints in memory those that take the memory [s].
    young_goodput, daly_goodput
        Simulated with them.
    intervals
        All that were tried, upwards; ``amount`` is the interval.
    """

    best_interval_s: float
    flat_low_s: float
    flat_high_s: float
    near_low_s: float
    near_high_s: float
    best_goodput: float
    interval_used_s: float
    young_s: float
    daly_s: float
    young_goodput: float
    daly_goodput: float
    intervals: tuple[WhatIf, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpareNeed:
    """How many spare hosts it takes.

    Attributes
    ----------
    peak_out
        Hosts under repair at the worst moment of a run, over the runs: so many spares avoid all waiting.
    poisson_spares
        Those that cover a random moment with 99% by the Poisson formula (`predict.spares_needed`).
    curve
        Goodput over spares, without elasticity; ``amount`` is the number of spare hosts.
    """

    peak_out: Distribution
    poisson_spares: float
    curve: tuple[WhatIf, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultsResult:
    """What failures cost a training run, over many simulated runs.

    Attributes
    ----------
    run
        What was simulated.
    runs, seed
        How many runs, and what makes them repeat.
    goodput
        Share of the wall-clock time that is lasting progress at full pace.
    histogram_edges, histogram_runs
        Goodput in steps: their ends, and the runs in each.
    failures
        Unplanned interruptions of a run.
    planned
        Planned interruptions of a run: maintenance, slow parts that are taken out, replicas that come back.
    mtbf_seen_s
        Wall-clock time over unplanned interruptions [s].
    kinds
        Where the time goes, by kind of loss.
    by_cause
        The same by what caused it.
    formula_share
        Effective time share by Daly's formula, for the MTBF seen and mean recovery [daly-2006].
    formula_applies
        Whether the run is what that formula assumes: constant rates, synchronous checkpoints, a spare always
        there, nothing slow, planned or shrunk, all recoveries alike.
    studied_runs
        Runs that what follows looks at.
    interval
        How often to checkpoint.
    spares
        How many spare hosts it takes; None where no failure takes one out.
    sensitivity
        Goodput with faster and slower recovery, more and fewer failures, other storage.
    work_s
        Ideal training time of the work that is to be finished [s].
    finish_s
        Wall-clock time until it is [s], over the runs; None where most runs never get there.
    unfinished_share
        Share of the runs that had not finished when the simulation gave up.
    published
        What was published of the run, in words; empty where nothing was.
    published_goodput
        The published lower bound of goodput; 0 where none was.
    """

    run: FaultRun
    runs: int
    seed: int
    goodput: Distribution
    histogram_edges: tuple[float, ...]
    histogram_runs: tuple[int, ...]
    failures: Distribution
    planned: Distribution
    mtbf_seen_s: float
    kinds: tuple[Loss, ...]
    by_cause: tuple[Loss, ...]
    formula_share: float
    formula_applies: bool
    studied_runs: int
    interval: BestInterval
    spares: SpareNeed | None
    sensitivity: tuple[WhatIf, ...]
    work_s: float
    finish_s: Distribution | None
    unfinished_share: float
    published: str = ""
    published_goodput: float = 0.0
