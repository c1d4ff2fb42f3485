"""The fields of the question what users feel of a service under load."""

from __future__ import annotations

from typing import Annotated, Any, Final, get_args

from pydantic import BeforeValidator, TypeAdapter, WithJsonSchema

from farthing.errors import InvalidInput
from farthing.records.lengths_text import parse_lengths
from farthing.records.serving import Arrivals, Preemption, Routing
from farthing.web.asks import Ask
from farthing.web.estimate_parts import MODEL_ASKS, MONEY_ASKS
from farthing.web.kinds import (
    Kind,
    cluster,
    count,
    counts,
    flag,
    name,
    number,
    seconds,
    text,
    word,
)

MOST_REQUESTS: Final = 20_000
"""That are played for a page; the command plays any number."""

_PLAN: Final = "Plan"
_APART: Final = "Readers and writers apart"
_TRAFFIC: Final = "More of the load"
_SCHEDULER: Final = "Scheduler"
_FRONT: Final = "Front"


def _lengths() -> Kind:
    """Tokens of prompts or answers, kept as the text that they were given as."""

    def read(value: Any) -> str:
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        told = f"{value:.12g}" if is_number else value
        if not isinstance(told, str) or len(told) > 80:
            raise InvalidInput("no length; write it like 1000 or lognormal:1000:0.8")
        parse_lengths(told)
        return "".join(told.split()).lower()

    schema = {
        "anyOf": [{"type": "number", "minimum": 1}, {"type": "string", "maxLength": 80}],
        "description": "Tokens, or a text such as lognormal:1000:0.8:8000 or uniform:1000:0.2.",
    }
    return Kind(annotation=Annotated[Any, BeforeValidator(read), WithJsonSchema(schema)])


def _shares() -> Kind:
    """Numbers in their order."""
    one = TypeAdapter(number(0, 1e9).annotation)

    def read(value: Any) -> tuple[float, ...]:
        parts = value[:400].split(",") if isinstance(value, str) else value
        if not isinstance(parts, (list, tuple)) or not 0 < len(parts) <= 32:
            raise InvalidInput("no shares; give at most 32 numbers with commas, such as 0.2,0.8")
        return tuple(one.validate_python(part) for part in parts)

    def command(value: Any) -> str:
        return ",".join(f"{share:.12g}" for share in value)

    schema = {
        "anyOf": [{"type": "string"}, {"type": "array", "items": one.json_schema(), "maxItems": 32}],
    }
    annotation = Annotated[Any, BeforeValidator(read), WithJsonSchema(schema)]
    return Kind(annotation=annotation, command=command)


_SPLIT: Final = text(
    r"[A-Za-z_-]+ ?= ?[A-Za-z0-9._-]+( ?, ?[A-Za-z_-]+ ?= ?[A-Za-z0-9._-]+)*",
    "a split; write it like tp=2,dp=2",
)
_POOL: Final = text(
    r"\d{1,7} ?x ?\d{1,7}( ?: ?[A-Za-z0-9._-]+)?", "a pool; write it like 1x4 or 2x8:h100-sxm"
)

FIRST_ASKS: Final = (
    MODEL_ASKS[0],
    Ask(
        name="cluster",
        title="Cluster",
        text="Hosts x cards, the accelerator, and the network between hosts: 1x8:h100-sxm.",
        kind=cluster(),
        flag="--on",
    ),
    Ask(
        name="requests_per_s",
        title="Rate",
        text="Requests a second, on average.",
        kind=number(0, 1e9, positive=True),
        flag="--rate",
    ),
    Ask(
        name="users",
        title="Users",
        text="Instead of a rate: people who each wait for the answer before they ask again.",
        kind=count(1, MOST_REQUESTS),
    ),
    Ask(
        name="prompt",
        title="Prompt",
        text="Tokens: a number, lognormal:MEAN:VARIATION[:MOST] or uniform:MEAN:HALFWIDTH.",
        kind=_lengths(),
        default="1000",
    ),
    Ask(
        name="output",
        title="Output",
        text="Tokens of an answer, in the same ways.",
        kind=_lengths(),
        default="250",
    ),
    Ask(
        name="ttft_s",
        title="First token within",
        text="Most time to the first token, e.g. 1s.",
        kind=seconds(1e9),
        flag="--ttft",
    ),
    Ask(
        name="tpot_s",
        title="A token within",
        text="Most time between tokens, on average, e.g. 50ms.",
        kind=seconds(1e9),
        flag="--tpot",
    ),
    Ask(
        name="e2e_s",
        title="Answer within",
        text="Most time to the whole answer, e.g. 20s.",
        kind=seconds(1e9),
        flag="--e2e",
    ),
    Ask(
        name="share",
        title="Good share",
        text="Share of the requests that must keep all of these.",
        kind=number(0.01, 1),
        default="0.99",
    ),
    Ask(
        name="seek",
        title="Seek",
        text="The highest rate that keeps these objectives, or the fewest replicas at the rate.",
        kind=word(("rate", "replicas"), {"rate": "--find-rate", "replicas": "--size"}),
        flag="",
        default="nothing: play it",
    ),
)


def _asks(section: str, *rows: tuple[str, str, str, Kind, str | None, str]) -> tuple[Ask, ...]:
    """Fields of a section: name, title, what it means, kind, option and default."""
    return tuple(
        Ask(name=field, title=title, text=words, kind=kind, flag=option, section=section, default=default)
        for field, title, words, kind, option, default in rows
    )


_YES_NO: Final = flag()

LOAD_ASKS: Final = _asks(
    _TRAFFIC,
    ("requests", "Requests", f"After which the load ends; at most {MOST_REQUESTS:,} here.",
     count(1, MOST_REQUESTS), None, "10,000, or the duration's"),
    ("duration_s", "Duration", "After which the load ends, e.g. 10min.", seconds(1e10), "--duration", ""),
    ("arrivals", "Arrivals", "How requests come; recorded traces are for the command.",
     word(word for word in get_args(Arrivals) if word != "trace"), None, "poisson, or as the rest says"),
    ("burstiness", "Burstiness", "Of gamma arrivals: variation of the gaps; 1 is Poisson, more is burstier.",
     number(0.01, 100), None, "1"),
    ("swing", "Swing", "Of diurnal arrivals: how far the rate goes up and down.", number(0, 1), None, "0.5"),
    ("day_s", "Day", "Of diurnal arrivals: length of the day.", seconds(1e9), "--day", "24h"),
    ("think_s", "Pause", "Mean pause of a user between answer and question, e.g. 20s.", seconds(1e9),
     "--think", "0"),
    ("priorities", "Priorities", "Shares of the requests by priority, the most urgent first: 0.2,0.8.",
     _shares(), None, "one priority"),
    ("prefix_groups", "Beginnings", "That prompts have in common.", count(0, 10_000_000), None, "0"),
    ("prefix_share", "Common share", "How much of a mean prompt they are; with beginnings.", number(0, 1),
     None, "0.5"),
    ("cancel_share", "Abandoned", "Share of the requests that are abandoned within the answer.",
     number(0, 1), None, "0"),
    ("warm_up", "Warm-up", "Requests at the beginning that count in no latency.", count(0, MOST_REQUESTS),
     None, "0"),
    ("seed", "Seed", "Of all that is random; the same seed gives the same run.", count(0, 2**63 - 1), None,
     "0"),
)  # fmt: skip

PLAN_ASKS: Final = _asks(
    _PLAN,
    ("tp", "Tensor parallel", "Cards that share each matrix.", count(), None, "as few as fit"),
    ("pp", "Pipeline stages", "Groups of layers that follow one another.", count(), None, "as few as fit"),
    ("dp", "Replicas", "Copies of the model; with expert parallelism, of its attention.", count(), None,
     "as many as fit"),
    ("ep", "Expert parallel", "Cards that the experts are dealt out over.", count(), None, "1"),
    ("micro_batches", "Micro-batches", "Batches in flight in the pipeline; 0 is one a stage.", count(0), None,
     "0"),
    ("stage_layers", "Layers a stage", "Layers of each pipeline stage, with commas.", counts(), None, "even"),
    ("weight_format", "Weights", "Number format of the weights, e.g. fp8.", name("formats"), "--weights",
     "as published"),
    ("kv_format", "KV cache", "Number format of the keys and values.", name("formats"), "--kv", "fp16"),
    ("compute_format", "Computing", "Number format of the matrix products.", name("formats"), None,
     "what the weights compute in"),
    ("dense_format", "Dense weights", "Number format of all weights but the routed experts'.",
     name("formats"), None, "as the weights"),
    ("engine", "Engine", "Engine whose overheads, limits and scheduler count.", name("engines"), None,
     "the usual one"),
    ("overlap_communication", "Overlap", "Share of the tensor-parallel traffic that hides under compute.",
     number(0, 1), None, "0"),
    ("draft_tokens", "Draft tokens", "Tokens that a draft model proposes a pass.", count(0), None, "0"),
    ("acceptance_rate", "Acceptance", "Chance that a drafted token is accepted.", number(0, 1), None, "0.7"),
    ("draft_cost_share", "Draft cost", "Time of a draft step as a share of the model's.", number(), None,
     "0.05"),
    ("routing_spread", "Routing spread", "Unevenness of the experts' popularity; 0 is even.", number(), None,
     "0.5"),
    ("ideal", "Paper arithmetic", "Every efficiency is 1.", _YES_NO, "--ideal/", "no"),
)  # fmt: skip

APART_ASKS: Final = _asks(
    _APART,
    ("prefill", "Prefill", "Split of the workers that read prompts, e.g. tp=2,dp=2; dp counts them.", _SPLIT,
     None, ""),
    ("decode", "Decode", "Split of the workers that write answers, e.g. tp=4.", _SPLIT, None, ""),
    ("prefill_pool", "Prefill cards", "Hosts x cards of those that read, e.g. 1x4.", _POOL, None,
     "what they need"),
    ("decode_pool", "Decode cards", "Hosts x cards of those that write.", _POOL, None, "what they need"),
)  # fmt: skip

SCHEDULER_ASKS: Final = _asks(
    _SCHEDULER,
    ("scheduler", "Scheduler", "How passes are put together: that of an engine, or static.", name(), None,
     "the engine's"),
    ("token_budget", "Token budget", "Tokens of one pass, prompts and answers together.",
     count(1, 10_000_000), None, "the engine's"),
    ("max_sequences", "Most in work", "Requests in work at a time on one replica.", count(1, 1_000_000), None,
     "the engine's"),
    ("block_tokens", "Block", "Tokens of a block of the KV cache.", count(1, 65536), None, "the engine's"),
    ("reserved_share", "Reserved", "Share of the answers to come for which a new request leaves room; with 1 "
     "nobody ever steps back.", number(0, 1), None, "the engine's"),
    ("preemption", "Preemption", "What becomes of the KV cache of who steps back.",
     word(get_args(Preemption)), None, "the engine's"),
    ("poll_steps", "Poll steps", "Passes between two looks at the queue.", count(1, 10_000), None,
     "the engine's"),
    ("mixes", "Mixes", "Read prompts in the passes that write answers; else prompts go first.", _YES_NO,
     "--mixes/--no-mixes", "the engine's"),
    ("chunks", "Chunks", "Read long prompts in parts.", _YES_NO, "--chunks/--no-chunks", "the engine's"),
    ("prefix_caching", "Prefix caching", "Keep and share the beginnings of prompts.", _YES_NO,
     "--prefix-caching/--no-prefix-caching", "the engine's"),
    ("slots", "Slots", "Cut memory into equal parts, one for each request in work.", _YES_NO,
     "--slots/--no-slots", "the engine's"),
    ("holds_batch", "Holds the batch", "Static batching: nothing joins until the longest answer is written.",
     _YES_NO, "--holds-batch/--no-holds-batch", "the engine's"),
    ("batch_wait_s", "Batch wait", "Of static batching: how long the first waits for others, e.g. 50ms.",
     seconds(1e6), "--batch-wait", "0"),
)  # fmt: skip

FRONT_ASKS: Final = _asks(
    _FRONT,
    ("routing", "Routing", "Which replica gets a request.", word(get_args(Routing)), None,
     "least-outstanding"),
    ("queue_limit", "Queue limit", "Requests that may wait at a replica; more are rejected.",
     count(0, 1_000_000_000), None, "none"),
    ("queue_timeout_s", "Queue timeout", "After which a request that has not begun is given up, e.g. 10s.",
     seconds(1e9), "--queue-timeout", "never"),
    ("timeout_s", "Timeout", "After which a request that is not answered is given up, e.g. 2min.",
     seconds(1e9), "--timeout", "never"),
)  # fmt: skip

ASKS: Final = (
    *FIRST_ASKS,
    *LOAD_ASKS,
    MODEL_ASKS[1],
    *PLAN_ASKS,
    *APART_ASKS,
    *SCHEDULER_ASKS,
    *FRONT_ASKS,
    *MONEY_ASKS,
)

TITLES: Final = {
    option: ask.title for ask in ASKS for option in ask.option.split("/") if option.startswith("--")
} | {"--find-rate": "Seek rate", "--size": "Seek replicas"}
"""What the page calls the options of the command."""
