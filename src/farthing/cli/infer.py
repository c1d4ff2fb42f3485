"""``farthing infer``: memory, latency, throughput and cost of serving a model."""

from __future__ import annotations

from typing import Any

import click

from farthing.cli.launch import launch_of, launch_option, show_launch, with_launch
from farthing.cli.options import (
    Command,
    Count,
    CountList,
    Number,
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
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

_LOAD = "Workload"
_PLAN = "Plan (what is left out follows from the cluster)"


def workload_options(function: Any) -> Any:
    """The fields of `InferenceWorkload`."""
    record = InferenceWorkload
    return joined(
        field_option(
            _LOAD,
            record,
            "batch_size",
            "--batch",
            "--batch-size",
            type=Count(),
            text="Sequences decoded together, over the whole cluster.",
        ),
        field_option(
            _LOAD,
            record,
            "prompt_tokens",
            "--prompt",
            "--prompt-tokens",
            type=Count(),
            text="Tokens of one request's prompt.",
        ),
        field_option(
            _LOAD,
            record,
            "output_tokens",
            "--output",
            "--output-tokens",
            type=Count(0),
            text="Tokens of one request's answer.",
        ),
        field_option(
            _LOAD,
            record,
            "context_tokens",
            "--context",
            "--context-tokens",
            type=Count(),
            text="Tokens in the cache at the step that is timed.  [default: prompt + output / 2]",
        ),
        field_option(
            _LOAD,
            record,
            "prefix_share",
            "--prefix-share",
            type=Number(0, 1),
            text="Share of the prompt that is cached already.",
        ),
        field_option(
            _LOAD,
            record,
            "routing_spread",
            "--routing-spread",
            type=Number(),
            text="Unevenness of the experts' popularity among the tokens of a step; 0 is even.",
        ),
        field_option(
            _LOAD,
            record,
            "draft_tokens",
            "--draft-tokens",
            type=Count(0),
            text="Tokens that a draft model proposes a step (speculative decoding).",
        ),
        field_option(
            _LOAD,
            record,
            "acceptance_rate",
            "--acceptance-rate",
            type=Number(0, 1),
            text="Chance that a drafted token is accepted.",
        ),
        field_option(
            _LOAD,
            record,
            "draft_cost_share",
            "--draft-cost-share",
            type=Number(),
            text="Time of a draft step as a share of the model's.",
        ),
    )(function)


def plan_options(function: Any) -> Any:
    """The fields of `InferencePlan`."""
    record = InferencePlan
    sizes = (
        ("tp", "Tensor parallel size."),
        ("pp", "Pipeline stages."),
        ("dp", "Replicas."),
        ("ep", "Expert parallel size.  [default: 1]"),
    )
    return joined(
        *(option(_PLAN, axis, f"--{axis}", type=Count(), help=text) for axis, text in sizes),
        field_option(
            _PLAN,
            record,
            "stage_layers",
            "--stage-layers",
            type=CountList(),
            metavar="N,N,...",
            text="Layers of each pipeline stage.",
        ),
        field_option(
            _PLAN,
            record,
            "micro_batches",
            "--micro-batches",
            type=Count(0),
            text="Batches in flight in the pipeline.  [default: one a stage]",
        ),
        field_option(
            _PLAN,
            record,
            "weight_format",
            "--weights",
            "--weight-format",
            metavar="FORMAT",
            shell_complete=complete_format,
            text="Number format of the weights, e.g. fp8, q4_k_m.",
        ),
        field_option(
            _PLAN,
            record,
            "kv_format",
            "--kv",
            "--kv-format",
            metavar="FORMAT",
            shell_complete=complete_format,
            text="Number format of the KV cache.",
        ),
        field_option(
            _PLAN,
            record,
            "compute_format",
            "--compute-format",
            metavar="FORMAT",
            shell_complete=complete_format,
            text="Number format of the matrix products.  [default: what the weights compute in]",
        ),
        field_option(
            _PLAN,
            record,
            "dense_format",
            "--dense-format",
            metavar="FORMAT",
            shell_complete=complete_format,
            text="Number format of all weights but the routed experts'.  [default: as the weights]",
        ),
        field_option(
            _PLAN,
            record,
            "engine",
            "--engine",
            metavar="ENGINE",
            shell_complete=complete_engine,
            text="Engine whose overheads and limits count, e.g. vllm.",
        ),
        field_option(
            _PLAN,
            record,
            "overlap_communication",
            "--overlap-communication",
            type=Number(0, 1),
            text="Share of the tensor-parallel traffic hidden under compute.",
        ),
        field_option(
            _PLAN,
            record,
            "chunk_tokens",
            "--chunk-tokens",
            type=Count(0),
            text="Tokens of a prefill chunk.  [default: the whole prompt]",
        ),
    )(function)


@click.command("infer", cls=Command, short_help="Memory, latency, throughput and cost of serving.")
@model_options
@cluster_option
@workload_options
@plan_options
@cost_options
@estimate_options
@launch_option
@output_options
def infer(
    model: str,
    changes: tuple[str, ...],
    cluster: str,
    as_json: bool,
    explain: bool,
    explain_depth: int,
    launch: str | None,
    **options: Any,
) -> None:
    """Memory, latency, throughput and cost of serving MODEL.

    MODEL is an id of the catalogue (farthing model list), a .toml, .json or .gguf file, a folder with a
    config.json, a Hugging Face id org/name, or - for TOML or JSON on standard input. Counts may be written
    like 4k (4000). A plan that does not fit ends with exit code 3.

    \b
    Examples:
      farthing infer llama-2-70b --on 1x8:rtx-4090 --tp 8 --batch 1 --context 4096
      farthing infer llama-3.1-8b --on rtx-4090 --weights q4_k_m --kv fp8 --explain
      farthing infer llama-2-70b --on 1x4:rtx-4090+1x1:m2-ultra@10gbe --weights q4_k_m
      farthing infer llama-2-70b --on 8x8:h100-sxm@ib-ndr --batch 512 --engine vllm --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.errors import Infeasible

    refuse_two_inputs(model, cluster)
    shape = api.find_model(model, **parsed_changes(changes))
    machines = api.find_cluster(cluster)
    estimate = api.infer(shape, machines, explain=explain, **given(options))
    commands = launch_of(launch, shape, machines, estimate)
    if as_json:
        show_json(with_launch(estimate, commands))
    else:
        from farthing.report.inference import inference_report

        show(inference_report(estimate, machines))
        if estimate.terms:
            from farthing.report.explanation import explanation

            show(explanation(estimate.terms, depth=explain_depth, citation=api.citation))
        show_launch(commands)
    if not estimate.fits:
        raise Infeasible(f"{estimate.model} on {estimate.cluster} does not fit: {estimate.misfit}")
