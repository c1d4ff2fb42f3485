"""The front door: every edge, from the command line to a notebook, calls only this.

Examples
--------
>>> import farthing
>>> estimate = farthing.infer("llama-2-70b", "1x8:rtx-4090", tp=8, context_tokens=4096)
>>> estimate.fits, 10 < estimate.tokens_per_s < 60
(True, True)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from farthing import catalog
from farthing.article import known_prices as article_prices
from farthing.article import rows as article_rows
from farthing.catalog import accelerator, accelerators, chips, engines, formats, models, networks
from farthing.catalog import own as _own
from farthing.catalog import references as _references
from farthing.catalog.cluster import find_cluster
from farthing.catalog.cluster import parsed_cluster as parse_cluster
from farthing.catalog.fault_presets import fault_presets
from farthing.catalog.glossary import glossary, term
from farthing.catalog.gpuhunt import update_prices
from farthing.catalog.own_prices import all_kept as own_prices
from farthing.catalog.own_prices import forget_prices, read_prices, use_prices
from farthing.catalog.prices import prices_of as prices
from farthing.catalog.prices import purchase_price, rental_price
from farthing.catalog.shapes import find_model, model_names, parsed_changes
from farthing.catalog.tables import row, table, table_prices
from farthing.catalogue import catalog_records, catalog_row, catalog_rows, catalog_tables
from farthing.curves import batch_curve, stage_memory, step_timeline
from farthing.errors import Infeasible, InvalidInput, UnknownName
from farthing.estimate import disaggregated as _disaggregated
from farthing.estimate import inference as _inference
from farthing.estimate import run as _run
from farthing.estimate import training as _training
from farthing.estimate.chip import chip_cost
from farthing.estimate.cost import CostBasis
from farthing.estimate.disaggregated_text import disaggregated_plan
from farthing.estimate.engine import with_engine
from farthing.estimate.sensitivity import sensitivities
from farthing.estimate.subject import (
    check_cards,
    filled,
    plain,
    refuse_unknown,
    resolve_cluster,
    resolve_model,
    serving_load,
)
from farthing.estimate.summary import model_summary
from farthing.measurements import accuracy, measured_quantities, outcomes
from farthing.records.accuracy import Validation
from farthing.records.card_comparison import CardPlan
from farthing.records.engine_efficiency import EngineEfficiency
from farthing.records.estimate import (
    DisaggregatedEstimate,
    InferenceEstimate,
    Sensitivity,
    TrainingEstimate,
)
from farthing.records.hardware import Cluster
from farthing.records.launch import Launch
from farthing.records.model import Model
from farthing.records.plan import DisaggregatedPlan, InferencePlan, TrainingPlan
from farthing.records.refit import Refit
from farthing.records.search import Limits, Task
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.simulations import perfetto_trace, requests_file, simulate_faults, simulate_serving

if TYPE_CHECKING:
    from farthing.records.design import Build, DesignResult
    from farthing.search.table import Search
    from farthing.sweeps.grid import Grid
    from farthing.sweeps.result import Sweep

__all__ = [
    "CostBasis",
    "accelerator",
    "accelerators",
    "accuracy",
    "article_prices",
    "article_rows",
    "batch_curve",
    "catalog_records",
    "catalog_row",
    "catalog_rows",
    "catalog_tables",
    "chip_cost",
    "chips",
    "citation",
    "compare_cards",
    "design",
    "disaggregated_plan",
    "engines",
    "fault_presets",
    "find_cluster",
    "find_model",
    "forget_prices",
    "forget_refit",
    "formats",
    "glossary",
    "infer",
    "infer_disaggregated",
    "launch",
    "launcher",
    "launchers",
    "measured_quantities",
    "model_names",
    "model_summary",
    "models",
    "networks",
    "outcomes",
    "own_constants",
    "own_prices",
    "parse_cluster",
    "parsed_changes",
    "perfetto_trace",
    "price_build",
    "prices",
    "purchase_price",
    "read_prices",
    "read_sweep",
    "refit",
    "rental_price",
    "requests_file",
    "row",
    "search",
    "simulate_faults",
    "simulate_serving",
    "stage_memory",
    "step_timeline",
    "sweep",
    "table",
    "table_prices",
    "term",
    "train",
    "update_prices",
    "use_prices",
    "validate",
]


def infer(
    model: str | Model,
    cluster: str | Cluster,
    *,
    workload: InferenceWorkload | None = None,
    plan: InferencePlan | None = None,
    cost: CostBasis | None = None,
    ideal: bool = False,
    explain: bool = False,
    sensitivity: bool = False,
    must_fit: bool = False,
    **options: Any,
) -> InferenceEstimate:
    """Memory, latency, throughput, energy and money of serving a model on a cluster.

    Parameters
    ----------
    model
        Catalogue id, file, hub id, or a record.
    cluster
        ``HOSTSxCARDS:ACCELERATOR[@NETWORK]``, a TOML file, or a record.
    workload, plan, cost
        Records; by default made from ``options``.
    ideal
        Paper arithmetic: every efficiency is 1.
    explain
        Carry the derivation in ``terms``.
    sensitivity
        Say what a 10% better part gives (five estimates more).
    must_fit
        Raise where memory does not suffice.
    **options
        Any field of `InferenceWorkload`, `InferencePlan` or `CostBasis`, such as ``tp=8, batch_size=16``.
        Without ``engine`` the one that usually runs such weights on such cards counts.
        Sizes of the plan that are left out follow from the cluster, the weights' format from the model.

    Returns
    -------
    InferenceEstimate

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, a split that the model or cluster does not allow.
    Infeasible
        With ``must_fit``.

    Examples
    --------
    >>> infer("llama-2-70b", "8x1:rtx-4090@10gbe", tp=1, pp=8).plan.pp
    8
    """
    shape, machines = resolve_model(model), resolve_cluster(cluster)
    chosen = set(options) & {"tp", "pp", "dp"}
    load = serving_load(shape, workload, options)
    if plan is None and shape.native_format:
        options.setdefault("weight_format", shape.native_format)
    split = filled(plan, InferencePlan, options)
    assumed: tuple[str, ...] = ()
    if not ideal:
        split, assumed = with_engine(split, machines)
    basis = filled(cost, CostBasis, options)
    refuse_unknown(options, InferenceWorkload, InferencePlan, CostBasis)
    if plan is None:
        split = _run.default_plan(shape, machines, split, chosen, load.batch_size)
    found = _inference.infer_estimate(
        shape, machines, load, split, basis=basis, ideal=ideal, explain=explain, assumed=assumed
    )
    if must_fit and not found.fits:
        raise Infeasible(f"{found.model} on {found.cluster} {found.misfit}")
    if sensitivity:

        def repeat(better: Cluster) -> InferenceEstimate:
            return _inference.infer_estimate(shape, better, load, split, basis=basis, ideal=ideal)

        found = dataclasses.replace(found, sensitivity=sensitivities(found, machines, repeat))
    return found


def infer_disaggregated(
    model: str | Model,
    cluster: str | Cluster,
    plan: DisaggregatedPlan,
    *,
    workload: InferenceWorkload | None = None,
    cost: CostBasis | None = None,
    ideal: bool = False,
    must_fit: bool = False,
    **options: Any,
) -> DisaggregatedEstimate:
    """Latency, throughput, energy and money where some workers read prompts and others decode.

    Parameters
    ----------
    model, cluster, workload, cost, ideal, must_fit
        As in `infer`; ``batch_size`` users each wait for an answer before they ask again.
    plan
        The split and the cards of each side.
    **options
        Any field of `InferenceWorkload` or `CostBasis`. Without an engine in the plans the one that usually
        runs such weights on such cards counts.

    Returns
    -------
    DisaggregatedEstimate

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, a split that the model or cluster does not allow.
    Infeasible
        With ``must_fit``.

    Examples
    --------
    Four H100 read prompts for four that decode:

    >>> from farthing.records.plan import Pool
    >>> half = Pool(accelerators_per_host=4)
    >>> plan = DisaggregatedPlan(prefill=InferencePlan(tp=2, dp=2), decode=InferencePlan(tp=4),
    ...                          prefill_pool=half, decode_pool=half)
    >>> found = infer_disaggregated("llama-2-70b", "1x8:h100-sxm", plan, batch_size=32, output_tokens=500)
    >>> found.fits, found.bottleneck, 0 < found.transfer_s < found.ttft_s
    (True, 'decoding', True)
    """
    if not isinstance(plan, DisaggregatedPlan):
        raise InvalidInput(f"plan must be a DisaggregatedPlan, not {plan!r}")
    shape, machines = resolve_model(model), resolve_cluster(cluster)
    load = serving_load(shape, workload, options)
    basis = filled(cost, CostBasis, options)
    refuse_unknown(options, InferenceWorkload, CostBasis)
    _disaggregated.check_pools(machines, plan.prefill_pool, plan.decode_pool)
    assumed: tuple[str, ...] = ()
    if not ideal:
        plan, assumed = _disaggregated.with_engines(plan, machines)
    found = _disaggregated.disaggregated_estimate(
        shape, machines, load, plan, basis=basis, ideal=ideal, assumed=assumed
    )
    if must_fit and not found.fits:
        raise Infeasible(f"{found.model} on {found.cluster}: {found.misfit}")
    return found


def train(
    model: str | Model,
    cluster: str | Cluster,
    *,
    workload: TrainingWorkload | None = None,
    plan: TrainingPlan | None = None,
    cost: CostBasis | None = None,
    ideal: bool = False,
    explain: bool = False,
    sensitivity: bool = False,
    must_fit: bool = False,
    **options: Any,
) -> TrainingEstimate:
    """Memory, step time, utilisation, duration, energy and money of training a model on a cluster.

    Parameters
    ----------
    model, cluster, workload, plan, cost, ideal, explain, sensitivity, must_fit
        As in `infer`.
    **options
        Any field of `TrainingWorkload`, `TrainingPlan` or `CostBasis`, such as ``tp=8, pp=8,
        global_batch_size=1024, sequence_tokens=4096, training_tokens=2e12``. ``dp`` is what the other axes
        leave of the cluster.

    Returns
    -------
    TrainingEstimate

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, a split that the model or cluster does not allow.
    Infeasible
        With ``must_fit``.

    Examples
    --------
    >>> run = train("llama-2-70b", "256x8:a100-sxm-80gb@ib-hdr", tp=8, pp=8, global_batch_size=1024,
    ...             sequence_tokens=4096, training_tokens=2e12)
    >>> run.fits, 0.3 < run.mfu < 0.6
    (True, True)
    """
    shape, machines = resolve_model(model), resolve_cluster(cluster)
    chosen = set(options) & {"dp"}
    if workload is None:
        options.setdefault("sequence_tokens", min(shape.max_context, 4096))
        options.setdefault("global_batch_size", 0)
    explicit_batch = workload is not None or options["global_batch_size"] != 0
    if not explicit_batch:
        options.pop("global_batch_size")
    split = filled(plan, TrainingPlan, options)
    if plan is None:
        split = _training.default_plan(shape, machines, split, chosen)
    if not explicit_batch:
        # As many micro-batches as keep the pipeline busy four times over.
        options["global_batch_size"] = (
            split.dp * split.micro_batch_size * (4 * split.pp if split.pp > 1 else 1)
        )
    load = filled(workload, TrainingWorkload, options)
    basis = filled(cost, CostBasis, options)
    refuse_unknown(options, TrainingWorkload, TrainingPlan, CostBasis)
    found = _training.train_estimate(
        _training.training_run(shape, machines, load, split, ideal=ideal), basis=basis, explain=explain
    )
    if must_fit and not found.fits:
        raise Infeasible(f"{found.model} on {found.cluster} {found.misfit}")
    if sensitivity:

        def repeat(better: Cluster) -> TrainingEstimate:
            run = _training.training_run(shape, better, load, split, ideal=ideal)
            return _training.train_estimate(run, basis=basis)

        found = dataclasses.replace(found, sensitivity=sensitivities(found, machines, repeat))
    return found


def search(
    model: str | Model,
    cluster: str | Cluster,
    *,
    task: Task = "inference",
    objective: str = "",
    limits: Limits | None = None,
    cost: CostBasis | None = None,
    top: int = 5,
    front: Sequence[str] = (),
    ideal: bool = False,
    sensitivity: bool = False,
    others: bool = True,
    progress: Callable[[int, int], None] | None = None,
    workers: int = 1,
    **options: Any,
) -> Search:
    """The best plans out of every legal one.

    Parameters
    ----------
    model, cluster, cost, ideal
        As in `infer`.
    task
        ``inference`` or ``training``.
    objective
        What is best: ``tokens-per-s`` (by default), ``ttft``, ``tpot``, ``usd``, ``energy`` or ``memory``; in
        training ``step`` (by default), ``usd``, ``energy`` or ``memory``.
    limits
        What every plan must keep; by default made from ``options``.
    top
        Plans that are returned, each of another kind.
    front
        Two or three objectives whose Pareto front is returned too.
    sensitivity
        Say what a 10% better part gives the best plan.
    others
        Look also for plans that are told beside the best: with workers that read prompts for others, with
        machines moved or left out, and the nearest that would be better. Inference only.
    progress, workers
        Called with the pieces of work done and all of them; processes that share a large search (more than
        one needs a script that guards its entry with ``if __name__ == "__main__"``). Training only.
    **options
        Any field of the workload, the plan, `CostBasis` or `Limits`. A field of the plan that is given is
        fixed, a list of values leaves a choice, and what is left out is searched: sizes, batch and chunks in
        inference; sizes, schedule, recomputation, sharding, offload and order of ranks in training. Formats
        and engine are as in `infer` unless they are given.

    Returns
    -------
    Search
        ``best`` is the estimate of the best plan, ``result`` the record, ``table`` the candidates as columns.

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, nothing legal.

    Examples
    --------
    >>> found = search("llama-2-70b", "1x8:h100-sxm", objective="tpot", batch_size=1)
    >>> found.best.plan.tp, found.result.evaluated > 5
    (8, True)
    >>> found = search("llama-2-7b", "1x8:a100-sxm-80gb", task="training", tp=1, schedule="1f1b")
    >>> found.best.fits, found.best.plan.tp
    (True, 1)
    """
    from farthing.search.asked import inference_question, training_question
    from farthing.search.inference import search_inference
    from farthing.search.training import search_training

    shape, machines = resolve_model(model), resolve_cluster(cluster)
    basis = filled(cost, CostBasis, options)
    fronts = (front,) if isinstance(front, str) else tuple(front)
    shared: dict[str, Any] = {"basis": basis, "top": plain(top), "front": fronts, "ideal": ideal}
    if task == "training":
        training, given, kept = training_question(shape, machines, limits, options)
        found = search_training(
            shape,
            machines,
            training,
            given,
            objective=cast(Any, objective or "step"),
            limits=kept,
            progress=progress,
            workers=workers,
            **shared,
        )
    elif task == "inference":
        serving, plan, axes, kept = inference_question(shape, machines, limits, options)
        found = search_inference(
            shape,
            machines,
            serving,
            plan,
            axes=axes,
            objective=cast(Any, objective or "tokens-per-s"),
            limits=kept,
            others=others,
            **shared,
        )
    else:
        raise InvalidInput(f"task must be inference or training, not {task!r}")
    if sensitivity and found.result.best:
        found.tell_sensitivity(lambda estimate: _sensitive(shape, machines, estimate, basis, ideal))
    return found


def _sensitive(
    model: Model, cluster: Cluster, estimate: Any, basis: CostBasis, ideal: bool
) -> tuple[Sensitivity, ...]:
    """What a 10% better part gives a plan."""
    ask: Any = train if isinstance(estimate, TrainingEstimate) else infer

    def repeat(better: Cluster) -> Any:
        return ask(model, better, workload=estimate.workload, plan=estimate.plan, cost=basis, ideal=ideal)

    return sensitivities(estimate, cluster, repeat)


def design(model: str | Model, *, task: Task = "inference", **question: Any) -> DesignResult:
    """The best complete builds, to buy or to rent, that do a job.

    Parameters
    ----------
    model
        As in `infer`.
    task
        ``inference``: serve a demand; ``training``: train on so many tokens within a time.
    **question
        Arguments of `farthing.design.ask.design`: records or fields of `Demand`, `DesignLimits`, `Ownership`
        and the workload, number formats and engines to choose from, ``objective``, ``ways``, ``condition``,
        ``country``, ``accelerators``, own prices.

    Returns
    -------
    DesignResult

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, questions that contradict themselves.

    Examples
    --------
    >>> found = design("llama-3.1-8b", tokens_per_s=500, tpot_s=0.05, accelerators=["rtx-3090", "rtx-4090"])
    >>> best = found.best[0]
    >>> best.tokens_per_s >= 500, best.tpot_s <= 0.05, all(row.date for row in best.bill)
    (True, True, True)
    """
    from farthing.design.ask import design as ask

    return ask(resolve_model(model), task=task, **question)


def compare_cards(model: str | Model, accelerators: Sequence[str], **options: Any) -> tuple[CardPlan, ...]:
    """What each card does with a model by its best plan, and for money: see `farthing.design.compare`."""
    from farthing.design.compare import compare_cards as ask

    return ask(resolve_model(model), accelerators, **options)


def price_build(model: str | Model, **question: Any) -> Build:
    """A build that is described, timed and priced as a design's own: `farthing.design.price.price_build`.

    Raises
    ------
    InvalidInput
        Parts that do not go together, unknown names, numbers out of range.
    Infeasible
        Memory that does not suffice, a demand that is not met.

    Examples
    --------
    >>> build = price_build("llama-3.1-8b", accelerator="rtx-3090", accelerators_per_host=2,
    ...                     host="romed8-2t-frame", tp=2, sequences=16, years=4)
    >>> build.accelerators, build.copies, build.capital_usd > 1000
    (2, 1, True)
    """
    from farthing.design.price import price_build as ask

    return ask(resolve_model(model), **question)


def launch(
    engine: str,
    model: str | Model,
    cluster: str | Cluster,
    *,
    workload: TrainingWorkload | InferenceWorkload,
    plan: TrainingPlan | InferencePlan,
) -> Launch:
    """A plan as commands and files of an engine, with what the engine cannot do of it.

    Parameters
    ----------
    engine
        ``megatron-lm torchtitan deepspeed`` for training, ``vllm sglang tensorrt-llm llama.cpp`` for serving.
    model, cluster
        As in `infer`.
    workload, plan
        Records, such as those of an estimate.

    Returns
    -------
    Launch

    Raises
    ------
    UnknownName
        No commands are known for that engine.
    InvalidInput
        A training plan for a serving engine, or the other way round; more cards than the cluster has.

    Examples
    --------
    >>> found = infer("llama-2-70b", "1x8:h100-sxm", tp=8, batch_size=64)
    >>> print(launch("vllm", "llama-2-70b", "1x8:h100-sxm", workload=found.workload,
    ...              plan=found.plan).commands[0].text.splitlines()[1])
      --tensor-parallel-size 8 \\
    """
    from farthing.launch import LAUNCHERS

    training = isinstance(plan, TrainingPlan) and isinstance(workload, TrainingWorkload)
    serving = isinstance(plan, InferencePlan) and isinstance(workload, InferenceWorkload)
    if not (training or serving):
        raise InvalidInput("launch: workload and plan must be records, both of training or both of inference")
    name = launcher(engine, "training" if training else "inference")
    shape, machines = resolve_model(model), resolve_cluster(cluster)
    if isinstance(plan, TrainingPlan):
        check_cards(machines, plan.tp * plan.pp * plan.dp * plan.cp, "tp x pp x dp x cp")
    else:
        check_cards(machines, plan.tp * plan.pp * plan.dp, "tp x pp x dp")
    found: Launch = LAUNCHERS[name](shape, machines, workload, plan)
    return found


def launcher(engine: str, task: Task) -> str:
    """The id of an engine whose commands for a task are known.

    Raises
    ------
    UnknownName
        No commands are known for that engine.
    InvalidInput
        It trains models and the task is to serve them, or the other way round.

    Examples
    --------
    >>> launcher("vLLM", "inference")
    'vllm'
    """
    fitting, name = launchers(task), str(engine).strip().lower()
    if name in fitting:
        return name
    if name not in launchers():
        raise UnknownName("engine", name, fitting, f"commands are known for {', '.join(fitting)}")
    kind, other = ("training", "serves") if task == "training" else ("serving", "trains")
    raise InvalidInput(
        f"launch: {name} {other} models, and this is a plan for {kind}: use one of {', '.join(fitting)}"
    )


def launchers(task: str = "") -> tuple[str, ...]:
    """Engines whose commands are known, by id: of ``training``, of ``inference``, or of both."""
    from farthing.launch import LAUNCHERS, SERVING, TRAINING

    return tuple({"training": TRAINING, "inference": SERVING}.get(task, LAUNCHERS))


def validate(
    files: Sequence[str | Path] = (), *, jobs: int = 1, progress: Callable[[int, int], None] | None = None
) -> Validation:
    """Predictions beside measurements: the shipped ones, or those of CSV files in the same columns.

    Parameters
    ----------
    files
        Any mix of kinds; the header says which.
    jobs
        Processes that share the work; more than one needs a script that guards its entry with
        ``if __name__ == "__main__"``.
    progress
        Called with the rows done and all rows.

    Raises
    ------
    InvalidInput
        A file that cannot be read. A row that cannot be predicted is no error: it says why not.
    """
    # Evidence is gathered through this front door, and loaded only where it is asked for.
    from farthing.evidence.accuracy import validation
    from farthing.evidence.load import all_shipped, read_files
    from farthing.evidence.validate import compare

    cases = read_files([Path(file) for file in files]) if files else all_shipped()
    return validation(compare(cases, own=bool(files), jobs=jobs, progress=progress))


def refit(file: str | Path) -> Refit:
    """Fit constants to your own runs, and keep them in your configuration for all later estimates.

    Parameters
    ----------
    file
        A CSV in the columns of the shipped measurements.
    """
    from farthing.calibrate.mine import refit as fitted

    return fitted(Path(file))


def forget_refit() -> bool:
    """Drop the constants that `refit` keeps; whether there were any."""
    found = _own.forget()
    catalog.engine_efficiency.cache_clear()
    return found


def own_constants() -> tuple[EngineEfficiency, ...]:
    """The constants that `refit` keeps, which estimates rest on."""
    return _own.rows()


def read_sweep(source: str | Path | Mapping[str, Any]) -> Grid:
    """The questions that a description of a `sweep` asks.

    Parameters
    ----------
    source
        A TOML file, ``-`` for TOML on standard input, or what such a file would hold. ``task`` is
        ``inference`` or ``training``; ``models``, ``clusters`` and the fields under ``workload``, ``plan``,
        ``cost`` and ``search`` (an objective and `Limits`) are values or lists of values, the axes of the
        grid.

    Raises
    ------
    InvalidInput
        It makes no sense: unknown or missing keys, values that no question can have, unknown names.

    Examples
    --------
    >>> grid = read_sweep({"task": "inference", "models": "llama-2-7b",
    ...                    "clusters": ["rtx-4090", "rtx-3090"], "workload": {"batch_size": [1, 8, 64]}})
    >>> len(grid), grid[5].cluster, grid[5].workload
    (6, 'rtx-3090', {'batch_size': 64})
    """
    from farthing.sweeps.read import read_sweep as read

    return read(source)


def sweep(
    questions: str | Path | Mapping[str, Any] | Grid,
    out: str | Path | None = None,
    *,
    workers: int = 1,
    ray: str = "",
    restart: bool = False,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Sweep:
    """Answers to every combination of models, clusters, workloads, plans and prices, as a table.

    A combination that makes no sense is a row that says so. With ``out``, rows are kept beside it as they
    come, and a run that was interrupted goes on where it stopped.

    Parameters
    ----------
    questions
        As `read_sweep` reads them, or what it gave.
    out
        A file that ends in ``.csv`` or ``.parquet``; by default rows stay in memory.
    workers
        Processes that share the work; more than one needs a script that guards its entry with
        ``if __name__ == "__main__"``. The table is the same, whatever their number.
    ray
        Share the work over a Ray cluster instead: ``auto``, ``local`` or ``HOST:PORT``.
    restart
        Drop what an interrupted run left.
    force
        Replace ``out`` where it is there already.
    progress
        Called with the questions answered and all questions.

    Returns
    -------
    Sweep
        ``rows`` as dictionaries, ``frame("polars")`` or ``frame("pandas")``, and counts.

    Raises
    ------
    InvalidInput
        The questions, the output or an unfinished run's rows are not in order.
    FarthingError
        A worker died, or the disk is full; what is answered is kept.

    Examples
    --------
    >>> found = sweep({"task": "inference", "models": ["llama-2-7b", "llama-2-70b"], "clusters": ["rtx-4090"],
    ...                "plan": {"weight_format": ["fp16", "q4_k_m"]}})
    >>> [(row["model"], row["weight_format"], row["fits"]) for row in found.rows][1:3]
    [('llama-2-7b', 'q4_k_m', True), ('llama-2-70b', 'fp16', False)]
    """
    from farthing.sweeps.grid import Grid
    from farthing.sweeps.run import run_sweep

    grid = questions if isinstance(questions, Grid) else read_sweep(questions)
    return run_sweep(
        grid,
        None if out is None else Path(out),
        workers=workers,
        ray=ray,
        restart=restart,
        force=force,
        progress=progress,
    )


def citation(key: str) -> str:
    """One line that names a paper of the bibliography."""
    return _references.citation(key)
