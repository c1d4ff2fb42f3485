"""``farthing infer``: memory, latency, throughput and cost of serving a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from farthing.cli.launch import launch_option, show_launch
from farthing.cli.options import (
    Command,
    Count,
    CountList,
    Name,
    Number,
    Several,
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
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

_LOAD = "Workload"
_PLAN = "Plan (what is left out is searched; several values with commas leave a choice)"
_GIVEN = "Plan (what is left out takes its default)"


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
            type=Several(Count()),
            text="Sequences decoded together, over the whole cluster; searched where an objective, a front "
            "or a limit is given.",
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
    """The fields of `InferencePlan`: those that are searched, then those that are as given."""
    record = InferencePlan
    searched: tuple[tuple[str, tuple[str, ...], click.ParamType[Any], str], ...] = (
        ("tp", ("--tp",), Count(), "Tensor parallel size."),
        ("pp", ("--pp",), Count(), "Pipeline stages."),
        ("dp", ("--dp",), Count(), "Replicas; with --ep, attention goes by replica and experts over all."),
        ("ep", ("--ep",), Count(), "Expert parallel size."),
        (
            "micro_batches",
            ("--micro-batches",),
            Count(0),
            "Batches in flight in the pipeline; 0: one a stage.",
        ),
        ("chunk_tokens", ("--chunk-tokens",), Count(0), "Tokens of a prefill chunk; 0 is the whole prompt."),
    )
    named: tuple[tuple[str, tuple[str, ...], str], ...] = (
        ("engine", ("--engine",), "Engine whose overheads and limits count, e.g. vllm."),
        (
            "weight_format",
            ("--weights", "--weight-format"),
            "Number format of the weights, e.g. q4_k_m.",
        ),
        ("kv_format", ("--kv", "--kv-format"), "Number format of the KV cache."),
    )
    formats = (
        ("compute_format", "Number format of the matrix products.  [default: what the weights compute in]"),
        (
            "dense_format",
            "Number format of all weights but the routed experts'.  [default: as the weights]",
        ),
    )
    return joined(
        *(
            option(_PLAN, field, *names, type=Several(kind), help=text)
            for field, names, kind, text in searched
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
            "stage_layers",
            "--stage-layers",
            type=CountList(),
            metavar="N,N,...",
            text="Layers of each pipeline stage.  [default: even, or the best over unlike cards]",
        ),
        *(
            field_option(
                _GIVEN,
                record,
                field,
                "--" + field.replace("_", "-"),
                metavar="FORMAT",
                shell_complete=complete_format,
                text=text,
            )
            for field, text in formats
        ),
        field_option(
            _GIVEN,
            record,
            "overlap_communication",
            "--overlap-communication",
            type=Number(0, 1),
            text="Share of the tensor-parallel traffic hidden under compute.",
        ),
    )(function)


@click.command("infer", cls=Command, short_help="Memory, latency, throughput and cost of serving.")
@model_options
@cluster_option
@workload_options
@plan_options
@cost_options
@search_options("inference")
@estimate_options
@launch_option("inference")
@plot_options
@output_options
def infer(
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
    """Memory, latency, throughput and cost of serving MODEL, split in the best way.

    Every legal plan of all cards is evaluated, of fewer where --tp, --pp and --dp say so or none uses all;
    what is given of a plan is kept. MODEL is an id of the catalogue (farthing model list), a .toml, .json or
    .gguf file, a folder with a config.json, a Hugging Face id org/name, or - for TOML or JSON on standard
    input. Counts may be written like 4k (4000). Where no plan fits, or keeps the limits, the nearest is shown
    and the exit code is 3.

    \b
    Examples:
      farthing infer llama-2-70b --on 1x8:rtx-4090 --tp 8 --batch 1 --context 4096
      farthing infer llama-3.3-70b --on 2x8:h100-sxm@ib-ndr --objective usd --tpot 30ms --ttft 1s
      farthing infer llama-3.1-8b --on rtx-4090 --weights q4_k_m,fp8 --kv fp8 --explain
      farthing infer llama-2-70b --on 1x4:rtx-4090+1x1:m2-ultra@10gbe --weights q4_k_m
      farthing infer llama-2-70b --on 8x8:h100-sxm@ib-ndr --batch 512 --engine vllm --launch vllm
      farthing infer llama-2-70b --on 1x8:rtx-4090 --front tpot,usd --json
      farthing infer llama-3.1-8b --on rtx-4090 --weights fp8 --batch 16 --plot batches.svg
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.planning import answer_record, launch_of

    refuse_two_inputs(model, cluster)
    check_plots(chart, plots, as_json)
    shape = api.find_model(model, **api.parsed_changes(changes))
    machines = api.find_cluster(cluster)
    estimate, found = answer("inference", shape, machines, options, explain=explain)
    commands = launch_of(launch or "", shape, machines, estimate, found)
    if as_json:
        show_json(answer_record(estimate, found, commands))
    else:
        from farthing.report.inference import inference_report

        show_verdict(found, estimate.fits)
        show(inference_report(estimate, machines))
        show_search(found)
        if estimate.terms:
            from farthing.report.explanation import explanation

            show(explanation(estimate.terms, depth=explain_depth, citation=api.citation))
        show_launch(commands)
    if chart or plots:
        from farthing.report.inference_charts import inference_charts

        curve = api.batch_curve(
            shape, machines, workload=estimate.workload, plan=estimate.plan, **priced(options)
        )
        show_charts(inference_charts(estimate, curve), chart, plots, as_json)
    refuse_misfit(estimate, found)
