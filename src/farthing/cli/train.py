"""``farthing train``: memory, time, utilisation and cost of training a model."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import click

from farthing.cli.launch import launch_of, launch_option, show_launch, with_launch
from farthing.cli.options import (
    Command,
    Count,
    Number,
    Tokens,
    Word,
    cluster_option,
    complete_engine,
    complete_format,
    cost_options,
    estimate_options,
    field_option,
    given,
    joined,
    model_options,
    option,
    output_options,
    parsed_changes,
    refuse_two_inputs,
)
from farthing.records.plan import Offload, Recompute, Schedule, TrainingPlan
from farthing.records.workload import LoraTargets, Optimizer, TrainingWorkload

_LOAD = "Workload"
_PLAN = "Plan"


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
            text="Sequences of one optimizer step.  [default: keeps the pipeline busy]",
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
    """The fields of `TrainingPlan`."""
    record = TrainingPlan
    sizes = (
        ("tp", "Tensor parallel size.  [default: 1]"),
        ("pp", "Pipeline stages.  [default: 1]"),
        ("dp", "Data parallel size.  [default: the cards that are left]"),
        ("cp", "Context parallel size.  [default: 1]"),
        ("ep", "Expert parallel size.  [default: 1]"),
        ("expert_tp", "Tensor parallel size inside an expert.  [default: tp]"),
    )
    formats = (
        ("weight_format", ("--weights", "--weight-format"), "Number format of the stored weights."),
        ("compute_format", ("--compute-format",), "Number format of the matrix products."),
        ("gradient_format", ("--gradient-format",), "Number format of the accumulated gradients."),
    )
    return joined(
        *(
            option(_PLAN, axis, "--" + axis.replace("_", "-"), type=Count(), help=text)
            for axis, text in sizes
        ),
        field_option(
            _PLAN,
            record,
            "micro_batch_size",
            "--micro-batch",
            "--micro-batch-size",
            type=Count(),
            text="Sequences of one micro-batch.",
        ),
        field_option(
            _PLAN,
            record,
            "zero_stage",
            "--zero",
            "--zero-stage",
            type=Count(0),
            text="Shard over dp: 1 the optimizer, 2 also gradients, 3 also weights (FSDP).",
        ),
        field_option(
            _PLAN, record, "schedule", "--schedule", type=Word(get_args(Schedule)), text="Of the pipeline."
        ),
        field_option(
            _PLAN,
            record,
            "interleave",
            "--interleave",
            type=Count(),
            text="Virtual stages a card, with --schedule interleaved.",
        ),
        field_option(
            _PLAN,
            record,
            "recompute",
            "--recompute",
            type=Word(get_args(Recompute)),
            text="Activations computed again in the backward pass.",
        ),
        field_option(
            _PLAN,
            record,
            "recompute_layers",
            "--recompute-layers",
            type=Count(),
            text="Layers of a group that keeps its input alone, with --recompute full.",
        ),
        field_option(
            _PLAN,
            record,
            "recompute_share",
            "--recompute-share",
            type=Number(0, 1),
            text="Share of the layers that --recompute full is for.",
        ),
        field_option(
            _PLAN,
            record,
            "engine",
            "--engine",
            metavar="ENGINE",
            shell_complete=complete_engine,
            text="Engine whose kernels and host count, e.g. megatron-lm.",
        ),
        field_option(
            _PLAN,
            record,
            "sequence_parallel",
            "--sequence-parallel/--no-sequence-parallel",
            text="Cards of a tensor-parallel group share norms and dropouts.",
        ),
        field_option(
            _PLAN,
            record,
            "flash_attention",
            "--flash-attention/--no-flash-attention",
            text="The score matrix is never stored.",
        ),
        field_option(
            _PLAN,
            record,
            "loss_chunks",
            "--loss-chunks",
            type=Count(),
            text="Pieces whose logits are made and dropped one after the other.",
        ),
        *(
            field_option(
                _PLAN, record, name, *names, metavar="FORMAT", shell_complete=complete_format, text=text
            )
            for name, names, text in formats
        ),
        field_option(
            _PLAN,
            record,
            "offload",
            "--offload",
            type=Word(get_args(Offload)),
            text="What lives outside the card.",
        ),
        field_option(
            _PLAN,
            record,
            "offload_to",
            "--offload-to",
            type=Word(get_args(get_type_hints(TrainingPlan)["offload_to"])),
            text="Where it lives.",
        ),
        field_option(
            _PLAN,
            record,
            "overlap_data_parallel",
            "--overlap-data-parallel",
            type=Number(0, 1),
            text="Share of the data-parallel traffic that may hide under compute.",
        ),
        field_option(
            _PLAN,
            record,
            "overlap_tensor_parallel",
            "--overlap-tensor-parallel",
            type=Number(0, 1),
            text="Share of the tensor-parallel traffic that may hide under compute.",
        ),
        field_option(
            _PLAN,
            record,
            "overlap_expert_parallel",
            "--overlap-expert-parallel",
            type=Number(0, 1),
            text="Share of the expert-parallel traffic that may hide under compute.",
        ),
    )(function)


@click.command("train", cls=Command, short_help="Memory, time, utilisation and cost of training.")
@model_options
@cluster_option
@workload_options
@plan_options
@cost_options
@estimate_options
@launch_option
@output_options
def train(
    model: str,
    changes: tuple[str, ...],
    cluster: str,
    as_json: bool,
    explain: bool,
    explain_depth: int,
    launch: str | None,
    **options: Any,
) -> None:
    """Memory, step time, utilisation, duration and cost of training MODEL.

    MODEL is an id of the catalogue (farthing model list), a .toml, .json or .gguf file, a folder with a
    config.json, a Hugging Face id org/name, or - for TOML or JSON on standard input. Counts may be written
    like 4k (4000) or 2T. A plan that does not fit ends with exit code 3.

    \b
    Examples:
      farthing train llama-2-70b --on 256x8:a100-sxm-80gb@ib-hdr --tokens 2T --tp 8 --pp 8 \\
          --global-batch 1024 --seq 4096
      farthing train llama-2-7b --on 1x8:a100-sxm-80gb --tokens 10B --zero 3 --explain
      farthing train llama-2-70b --on 1x8:h100-sxm --lora-rank 16 --weights bnb-nf4 --tp 8
      farthing train mixtral-8x7b --on 4x8:h100-sxm@ib-ndr --tp 4 --ep 8 --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.errors import Infeasible

    refuse_two_inputs(model, cluster)
    shape = api.find_model(model, **parsed_changes(changes))
    machines = api.find_cluster(cluster)
    estimate = api.train(shape, machines, explain=explain, **given(options))
    commands = launch_of(launch, shape, machines, estimate)
    if as_json:
        show_json(with_launch(estimate, commands))
    else:
        from farthing.report.training import training_report

        show(training_report(estimate, machines))
        if estimate.terms:
            from farthing.report.explanation import explanation

            show(explanation(estimate.terms, depth=explain_depth, citation=api.citation))
        show_launch(commands)
    if not estimate.fits:
        raise Infeasible(f"{estimate.model} on {estimate.cluster} does not fit: {estimate.misfit}")
