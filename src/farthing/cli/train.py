"""``farthing train``: memory, time, utilisation and cost of training a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import click

from farthing.cli.launch import launch_option, show_launch
from farthing.cli.options import (
    Command,
    Count,
    Name,
    Number,
    Several,
    Tokens,
    Word,
    cluster_option,
    complete_engine,
    complete_format,
    cost_options,
    estimate_options,
    field_option,
    joined,
    model_options,
    option,
    output_options,
    refuse_two_inputs,
)
from farthing.cli.plots import check_plots, plot_options, show_charts
from farthing.cli.search import (
    answer,
    priced,
    refuse_misfit,
    search_options,
    show_search,
    show_verdict,
)
from farthing.records.plan import Offload, OffloadTo, RankOrder, Recompute, Schedule, TrainingPlan
from farthing.records.workload import LoraTargets, Optimizer, TrainingWorkload

_LOAD = "Workload"
_PLAN = "Plan (what is left out is searched; several values with commas leave a choice)"
_GIVEN = "Plan (what is left out takes its default)"


def workload_options(function: Any) -> Any:
    """The fields of `TrainingWorkload`."""
    record = TrainingWorkload
    return joined(
        field_option(
            _LOAD,
            record,
            "training_tokens",
            "--tokens",
            "--training-tokens",
            type=Tokens(),
            text="Tokens of the whole run, e.g. 2T.  [default: one step]",
        ),
        field_option(
            _LOAD,
            record,
            "global_batch_size",
            "--global-batch",
            "--global-batch-size",
            type=Count(),
            text="Sequences of one optimizer step.  [default: about 4M tokens, fewer on few cards]",
        ),
        field_option(
            _LOAD,
            record,
            "sequence_tokens",
            "--seq",
            "--sequence-tokens",
            type=Count(),
            text="Tokens of one sequence.  [default: the model's context, at most 4096]",
        ),
        field_option(
            _LOAD,
            record,
            "optimizer",
            "--optimizer",
            type=Word(get_args(Optimizer)),
            text="What keeps state for each parameter.",
        ),
        field_option(
            _LOAD,
            record,
            "lora_rank",
            "--lora-rank",
            type=Count(0),
            text="Train only low-rank adapters of this rank.  [default: all parameters]",
        ),
        field_option(
            _LOAD,
            record,
            "lora_targets",
            "--lora-targets",
            type=Word(get_args(LoraTargets)),
            text="The linear layers that adapters stand beside.",
        ),
        field_option(
            _LOAD,
            record,
            "memory_tokens",
            "--memory-tokens",
            type=Count(0),
            text="Tokens of the segment before that each sequence also attends to.  [default: none]",
        ),
        field_option(
            _LOAD,
            record,
            "predictors",
            "--predictors",
            type=Count(0),
            text="Layers that learn to predict tokens further ahead.  [default: none]",
        ),
    )(function)


def plan_options(function: Any) -> Any:
    """The fields of `TrainingPlan`: those that are searched, then those that are as given."""
    record = TrainingPlan
    searched: tuple[tuple[str, tuple[str, ...], click.ParamType[Any], str], ...] = (
        ("tp", ("--tp",), Count(), "Tensor parallel size."),
        ("pp", ("--pp",), Count(), "Pipeline stages."),
        ("dp", ("--dp",), Count(), "Data parallel size."),
        ("cp", ("--cp",), Count(), "Context parallel size."),
        ("ep", ("--ep",), Count(), "Expert parallel size."),
        ("expert_tp", ("--expert-tp",), Count(), "Tensor parallel size inside an expert."),
        (
            "micro_batch_size",
            ("--micro-batch", "--micro-batch-size"),
            Count(),
            "Sequences of one micro-batch.",
        ),
        (
            "zero_stage",
            ("--zero", "--zero-stage"),
            Count(0, 3),
            "Shard over dp: 1 the optimizer, 2 also gradients, 3 also weights (FSDP).",
        ),
        ("schedule", ("--schedule",), Word(get_args(Schedule)), "Of the pipeline."),
        ("interleave", ("--interleave",), Count(), "Virtual stages a card, with --schedule interleaved."),
        (
            "first_spared",
            ("--first-spared",),
            Count(0),
            "Layers that the first stage holds fewer than an even split gives it.",
        ),
        ("last_spared", ("--last-spared",), Count(0), "The same of the last stage."),
        (
            "rank_order",
            ("--rank-order",),
            Word(get_args(RankOrder)),
            "How ranks are numbered, the axis of neighbours first: what lies inside hosts.",
        ),
        (
            "recompute",
            ("--recompute",),
            Word(get_args(Recompute)),
            "Activations computed again in the backward pass.",
        ),
        (
            "recompute_layers",
            ("--recompute-layers",),
            Count(),
            "Layers of a group that keeps its input alone; with --recompute full.",
        ),
        (
            "recompute_share",
            ("--recompute-share",),
            Number(0, 1),
            "Share of the layers that are recomputed; with --recompute full.",
        ),
        ("offload", ("--offload",), Word(get_args(Offload)), "What lives outside the card."),
    )
    named: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("engine", ("--engine",), "Engine whose kernels and host count, e.g. megatron-lm."),
        ("weight_format", ("--weights", "--weight-format"), "Number format of the stored weights."),
        ("compute_format", ("--compute-format",), "Number format of the matrix products."),
        ("gradient_format", ("--gradient-format",), "Number format of the accumulated gradients."),
    )
    overlaps = (("data", "data"), ("tensor", "tensor"), ("expert", "expert"))
    return joined(
        *(
            option(_PLAN, field, *names, type=Several(kind), help=text)
            for field, names, kind, text in searched
        ),
        option(
            _PLAN,
            "sequence_parallel",
            "--sequence-parallel/--no-sequence-parallel",
            default=None,
            help="Cards of a tensor-parallel group share norms and dropouts.",
        ),
        *(
            field_option(
                _GIVEN,
                record,
                field,
                *names,
                type=Several(Name()),
                metavar="ENGINE[,...]" if field == "engine" else "FORMAT[,...]",
                shell_complete=complete_engine if field == "engine" else complete_format,
                text=text,
            )
            for field, names, text in named
        ),
        field_option(
            _GIVEN,
            record,
            "flash_attention",
            "--flash-attention/--no-flash-attention",
            text="The score matrix is never stored.",
        ),
        field_option(
            _GIVEN,
            record,
            "loss_chunks",
            "--loss-chunks",
            type=Several(Count()),
            text="Pieces whose logits are made and dropped one after the other.",
        ),
        field_option(
            _GIVEN,
            record,
            "offload_to",
            "--offload-to",
            type=Several(Word(get_args(OffloadTo))),
            text="Where offloaded states live.",
        ),
        *(
            field_option(
                _GIVEN,
                record,
                f"overlap_{axis}_parallel",
                f"--overlap-{axis}-parallel",
                type=Several(Number(0, 1)),
                text=f"Share of the compute under which {word}-parallel traffic may hide.",
            )
            for axis, word in overlaps
        ),
    )(function)


@click.command("train", cls=Command, short_help="Memory, time, utilisation and cost of training.")
@model_options
@cluster_option
@workload_options
@plan_options
@cost_options
@search_options("training")
@estimate_options
@launch_option("training")
@plot_options
@output_options
def train(
    model: str,
    changes: tuple[str, ...],
    cluster: str,
    as_json: bool,
    explain: bool,
    explain_depth: int,
    launch: str | None,
    chart: bool,
    plots: tuple[Path, ...],
    **options: Any,
) -> None:
    """Memory, step time, utilisation, duration and cost of training MODEL, split in the best way.

    Every legal plan is evaluated; what is given of it is kept. MODEL is an id of the catalogue (farthing
    model list), a .toml, .json or .gguf file, a folder with a config.json, a Hugging Face id org/name, or -
    for TOML or JSON on standard input. Counts may be written like 4k (4000) or 2T. Where no plan fits, or
    keeps the limits, the nearest is shown and the exit code is 3.

    \b
    Examples:
      farthing train llama-2-70b --on 8x8:h100-sxm@ib-ndr --tokens 100B --launch megatron-lm
      farthing train llama-2-70b --on 256x8:a100-sxm-80gb@ib-hdr --tokens 2T --tp 8 --pp 4,8 \\
          --global-batch 1024 --seq 4096
      farthing train llama-2-7b --on 1x8:a100-sxm-80gb --zero 3 --front step,memory
      farthing train llama-2-70b --on 1x8:h100-sxm --lora-rank 16 --weights bnb-nf4 --explain
      farthing train mixtral-8x7b --on 4x8:h100-sxm@ib-ndr --tp 4 --ep 8 --json
      farthing train llama-2-7b --on 1x8:a100-sxm-80gb --no-search --zero 3
      farthing train llama-2-70b --on 8x8:h100-sxm@ib-ndr --tp 8 --pp 8 --schedule 1f1b --global-batch 16 \\
          --plot step.svg
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.planning import answer_record, launch_of

    refuse_two_inputs(model, cluster)
    check_plots(chart, plots, as_json)
    shape = api.find_model(model, **api.parsed_changes(changes))
    machines = api.find_cluster(cluster)
    estimate, found = answer("training", shape, machines, options, explain=explain)
    commands = launch_of(launch or "", shape, machines, estimate, found)
    if as_json:
        show_json(answer_record(estimate, found, commands))
    else:
        from farthing.report.training import training_report

        show_verdict(found, estimate.fits)
        show(training_report(estimate, machines))
        show_search(found)
        if estimate.terms:
            from farthing.report.explanation import explanation

            show(explanation(estimate.terms, depth=explain_depth, citation=api.citation))
        show_launch(commands)
    if chart or plots:
        from farthing.report.training_charts import training_charts

        question = {
            "workload": estimate.workload,
            "plan": estimate.plan,
            "ideal": priced(options)["ideal"],
        }
        drawn = training_charts(
            estimate,
            api.stage_memory(shape, machines, **question),
            api.step_timeline(shape, machines, **question),
        )
        show_charts(drawn, chart, plots, as_json)
    refuse_misfit(estimate, found)
