"""What the views of serving ask."""

from __future__ import annotations

from typing import Final

from farthing import api
from farthing.web.asks import Ask
from farthing.web.estimate_parts import LIMITS, MODEL_ASKS, MONEY_ASKS
from farthing.web.kinds import cluster, count, counts, flag, name, number, seconds, several, word

OBJECTIVES: Final = ("tokens-per-s", "ttft", "tpot", "usd", "energy", "memory")

WORKLOAD_ASKS: Final = (
    Ask(
        name="batch_size",
        title="Batch",
        text="Sequences decoded together, over the whole cluster; several with commas leave a choice. By "
        "default 1, or searched where there is a goal or a limit.",
        kind=several(count()),
        flag="--batch",
        default="1",
        slider=(1, 1024),
    ),
    Ask(
        name="context_tokens",
        title="Context",
        text="Tokens in the cache of a sequence at the step that is timed; by default prompt + output / 2.",
        kind=count(),
        flag="--context",
        default="mean",
        slider=(128, 131072),
    ),
    Ask(
        name="prompt_tokens",
        title="Prompt",
        text="Tokens of one request's prompt.",
        kind=count(),
        flag="--prompt",
        default="1024",
    ),
    Ask(
        name="output_tokens",
        title="Output",
        text="Tokens of one request's answer.",
        kind=count(0),
        flag="--output",
        default="256",
    ),
    Ask(
        name="weight_format",
        title="Weights",
        text="Number format of the weights, e.g. fp8 or q4_k_m.",
        kind=several(name("formats")),
        flag="--weights",
        default="as published",
    ),
    Ask(
        name="kv_format",
        title="KV cache",
        text="Number format of the keys and values.",
        kind=several(name("formats")),
        flag="--kv",
        default="fp16",
    ),
)

_SPLIT: Final = "Plan"
_MORE: Final = "More of the load"

PLAN_ASKS: Final = (
    *(
        Ask(name=field, title=title, text=text, kind=several(count()), section=_SPLIT, default="searched")
        for field, title, text in (
            ("tp", "Tensor parallel", "Cards that share each matrix."),
            ("pp", "Pipeline stages", "Groups of layers that follow one another."),
            ("dp", "Replicas", "Copies of the model; with expert parallelism, of its attention."),
            ("ep", "Expert parallel", "Cards that the experts are dealt out over."),
        )
    ),
    Ask(
        name="engine",
        title="Engine",
        text="Engine whose overheads and limits count.",
        kind=several(name("engines")),
        section=_SPLIT,
        default="the usual one",
    ),
    Ask(
        name="micro_batches",
        title="Micro-batches",
        text="Batches in flight in the pipeline; 0 is one a stage.",
        kind=several(count(0)),
        section=_SPLIT,
        default="searched",
    ),
    Ask(
        name="chunk_tokens",
        title="Prefill chunk",
        text="Tokens of a prefill chunk; 0 is the whole prompt.",
        kind=several(count(0)),
        section=_SPLIT,
        default="searched",
    ),
    Ask(
        name="stage_layers",
        title="Layers a stage",
        text="Layers of each pipeline stage, with commas.",
        kind=counts(),
        section=_SPLIT,
        default="even, or the best over unlike cards",
    ),
    Ask(
        name="compute_format",
        title="Computing",
        text="Number format of the matrix products.",
        kind=name("formats"),
        section=_SPLIT,
        default="what the weights compute in",
    ),
    Ask(
        name="dense_format",
        title="Dense weights",
        text="Number format of all weights but the routed experts'.",
        kind=name("formats"),
        section=_SPLIT,
        default="as the weights",
    ),
    Ask(
        name="overlap_communication",
        title="Overlap",
        text="Share of the tensor-parallel traffic that hides under compute.",
        kind=number(0, 1),
        section=_SPLIT,
        default="0",
    ),
    Ask(
        name="search",
        title="Search",
        text="Search what is left out of the plan, or take its default.",
        kind=flag(),
        flag="/--no-search",
        section=_SPLIT,
        default="yes",
    ),
)

_GOAL: Final = "Goal and limits"

GOAL_ASKS: Final = (
    Ask(
        name="objective",
        title="Goal",
        text="What the best plan is best in.",
        kind=word(OBJECTIVES),
        section=_GOAL,
        default="tokens-per-s",
    ),
    Ask(
        name="ttft_s",
        title="First token within",
        text="Longest time to the first token, e.g. 2s.",
        kind=seconds(),
        flag="--ttft",
        section=_GOAL,
    ),
    Ask(
        name="tpot_s",
        title="A token within",
        text="Longest time between two tokens, e.g. 50ms.",
        kind=seconds(),
        flag="--tpot",
        section=_GOAL,
    ),
    Ask(
        name="max_batch_size",
        title="Largest batch",
        text="Largest batch that a search tries.",
        kind=count(),
        flag="--max-batch",
        section=_GOAL,
    ),
    *LIMITS,
    Ask(
        name="front",
        title="Front",
        text="Two or three goals with commas: also the plans that none beats in all of these.",
        kind=several(word(OBJECTIVES), always=True),
        section=_GOAL,
    ),
    Ask(
        name="top",
        title="Plans",
        text="Plans that are compared, each of another kind.",
        kind=count(1, 20),
        section=_GOAL,
        default="5",
    ),
)

MORE_ASKS: Final = (
    Ask(
        name="prefix_share",
        title="Cached prompt",
        text="Share of the prompt that is cached already.",
        kind=number(0, 1),
        section=_MORE,
        default="0",
    ),
    Ask(
        name="routing_spread",
        title="Routing spread",
        text="Unevenness of the experts' popularity among the tokens of a step; 0 is even.",
        kind=number(0, 1e3),
        section=_MORE,
        default="0.5",
    ),
    Ask(
        name="draft_tokens",
        title="Draft tokens",
        text="Tokens that a draft model proposes a step (speculative decoding).",
        kind=count(0, 64),
        section=_MORE,
        default="0",
    ),
    Ask(
        name="acceptance_rate",
        title="Acceptance",
        text="Chance that a drafted token is accepted.",
        kind=number(0, 1),
        section=_MORE,
        default="0.7",
    ),
    Ask(
        name="draft_cost_share",
        title="Draft cost",
        text="Time of a draft step as a share of the model's.",
        kind=number(0, 10),
        section=_MORE,
        default="0.05",
    ),
)

_OUTPUT_ASKS: Final = (
    Ask(
        name="ideal",
        title="Paper arithmetic",
        text="Every efficiency is 1.",
        kind=flag(),
        flag="--ideal/",
        section=_MORE,
        default="no",
    ),
    Ask(
        name="launch",
        title="Commands of",
        text="The plan as commands of an engine.",
        kind=word(api.launchers("inference")),
        section=_SPLIT,
        default="none",
        in_python=False,
    ),
)

ASKS: Final = (
    *MODEL_ASKS,
    Ask(
        name="cluster",
        title="Cluster",
        text="Hosts x cards, the accelerator, and the network between hosts: 2x8:h100-sxm@ib-ndr.",
        kind=cluster(),
        flag="--on",
    ),
    *WORKLOAD_ASKS,
    *PLAN_ASKS,
    *GOAL_ASKS,
    *MORE_ASKS,
    *MONEY_ASKS,
    *_OUTPUT_ASKS,
)
