"""A service under load: what comes, how passes are put together, what is wanted, and what users felt."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from farthing.errors import InvalidInput
from farthing.records.estimate import Cost
from farthing.records.plan import DisaggregatedPlan, InferencePlan

Arrivals = Literal["poisson", "gamma", "diurnal", "closed", "trace"]
LengthKind = Literal["fixed", "uniform", "lognormal"]
Routing = Literal["round-robin", "least-outstanding", "prefix-aware", "power-of-two"]
Preemption = Literal["recompute", "swap"]
State = Literal["finished", "cancelled", "timed-out", "rejected", "too-long"]

STATES: Final[tuple[str, ...]] = get_args(State)
MOST_TOKENS: Final = 10_000_000
"""Of one prompt or answer: beyond any model's context."""
MOST_REQUESTS: Final = 1_000_000_000


def _number(owner: str, field: str, value: Any, low: float, high: float = math.inf) -> None:
    good = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if not (good and low <= value <= high):
        limit = f"at least {low:g}" if high == math.inf else f"in {low:g}..{high:g}"
        raise InvalidInput(f"{owner}: {field} must be a number {limit}, not {value!r}")


def _whole(owner: str, field: str, value: Any, low: int, high: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise InvalidInput(f"{owner}: {field} must be a whole number, not {value!r}")
    _number(owner, field, value, low, high)


def _word(owner: str, field: str, value: Any, kind: Any) -> None:
    if value not in get_args(kind):
        raise InvalidInput(f"{owner}: {field} must be one of {', '.join(get_args(kind))}, not {value!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lengths:
    """Tokens of prompts, or of answers.

    Attributes
    ----------
    kind
        ``fixed``, ``uniform`` between shares of the mean, or ``lognormal``.
    tokens
        Mean.
    spread
        Of ``uniform``: half the width over the mean, 0..1. Of ``lognormal``: the coefficient of variation.
    most
        Longer draws are cut to this; 0 for no limit.
    """

    kind: LengthKind = "fixed"
    tokens: float = 1000.0
    spread: float = 0.0
    most: int = 0

    def __post_init__(self) -> None:
        _word("lengths", "kind", self.kind, LengthKind)
        _number("lengths", "tokens", self.tokens, 1, MOST_TOKENS)
        _number("lengths", "spread", self.spread, 0, 1 if self.kind == "uniform" else 10)
        _whole("lengths", "most", self.most, 0, MOST_TOKENS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """The requests that come.

    Attributes
    ----------
    arrivals
        ``poisson``; ``gamma``: gaps between requests with another variation; ``diurnal``: a Poisson process
        whose rate follows a sine over the day; ``closed``: a fixed number of users who each wait for the
        answer before they ask again; ``trace``: as recorded.
    requests_per_s
        Mean rate; of a trace 0 keeps its own, another value stretches or squeezes its gaps.
    requests, duration_s
        Where the load ends: after so many requests, or so much time [s]; 0 leaves one of both out.
    burstiness
        Coefficient of variation of ``gamma`` gaps: 1 is Poisson, more is burstier.
    swing, day_s
        Of ``diurnal``: by which share of the mean the rate rises and falls, and in what time [s].
    users, think_s
        Of ``closed``: how many, and how long each pauses on average (exponential) between an answer and the
        next request [s].
    prompt, output
        Lengths; of a trace its own.
    priorities
        Shares of requests by priority, the most urgent first; empty for one priority.
    prefix_groups, prefix_share
        Prompts that begin alike: how many beginnings there are, and how much of a mean prompt they are.
    cancel_share
        Of the requests, abandoned at a random token of the answer.
    seed
        Of all that is random.
    """

    arrivals: Arrivals = "poisson"
    requests_per_s: float = 0.0
    requests: int = 0
    duration_s: float = 0.0
    burstiness: float = 1.0
    swing: float = 0.5
    day_s: float = 86400.0
    users: int = 0
    think_s: float = 0.0
    prompt: Lengths = field(default_factory=lambda: Lengths(tokens=1000.0))
    output: Lengths = field(default_factory=lambda: Lengths(tokens=250.0))
    priorities: tuple[float, ...] = ()
    prefix_groups: int = 0
    prefix_share: float = 0.5
    cancel_share: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        owner = "traffic"
        _word(owner, "arrivals", self.arrivals, Arrivals)
        for name, low, high in (
            ("requests_per_s", 0, 1e9),
            ("duration_s", 0, 1e10),
            ("burstiness", 0.01, 100),
            ("swing", 0, 1),
            ("day_s", 1, 1e9),
            ("think_s", 0, 1e9),
            ("prefix_share", 0, 1),
            ("cancel_share", 0, 1),
        ):
            _number(owner, name, getattr(self, name), low, high)
        _whole(owner, "requests", self.requests, 0, MOST_REQUESTS)
        _whole(owner, "users", self.users, 0, 10_000_000)
        _whole(owner, "prefix_groups", self.prefix_groups, 0, 10_000_000)
        _whole(owner, "seed", self.seed, 0, 2**63 - 1)
        for name in ("prompt", "output"):
            if not isinstance(getattr(self, name), Lengths):
                raise InvalidInput(f"traffic: {name} must be Lengths, not {getattr(self, name)!r}")
        for share in self.priorities:
            _number(owner, "priorities", share, 0)
        if self.priorities and not sum(self.priorities):
            raise InvalidInput("traffic: priorities are shares of requests; one of them must be above 0")
        if self.arrivals == "closed" and not self.users:
            raise InvalidInput("traffic: closed arrivals need users, e.g. users=64")
        if self.arrivals not in ("closed", "trace") and not self.requests_per_s:
            raise InvalidInput(f"traffic: {self.arrivals} arrivals need requests_per_s, e.g. 2.5")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheduler:
    """How an engine puts passes together.

    Attributes
    ----------
    engines, least_memory_bytes, architectures
        Whose default it is: engines (ids with spaces), on cards with at least so much memory [byte] and of
        these architectures; empty for any.
    token_budget
        Tokens of one pass, prompts and answers together.
    max_sequences
        Requests in work at a time on one replica.
    mixes
        Whether prompts are read in the same pass in which answers are written; else prompts go first.
    chunks
        Whether a prompt may be read in parts; else it waits for a pass that holds it whole.
    holds_batch
        Static batching: nothing joins until the longest answer of the batch is written.
    batch_wait_s
        Of static batching: how long the first request waits for others [s].
    reserved_share
        Share of the answers still to be written for which a new request leaves room: with 0 the engine
        preempts where memory runs out, with 1 it never has to.
    block_tokens
        Tokens of a block of the KV cache.
    preemption
        What becomes of the keys and values of a request that has to step back.
    prefix_caching
        Whether blocks of prompts that begin alike are kept and shared.
    poll_steps
        Passes between two looks at the queue.
    slots
        Whether memory is cut into equal parts, one for each request in work (llama.cpp).
    request_s
        Host time from a request's arrival to the queue [s]; 0 for what the engine's constants say.
    reading_kernel_s
        Host time to issue a kernel of a pass that reads prompts [s]; 0 for what the engine's constants say.
    stream_s
        Host time to hand on a token: a first one waits behind those of all others in work on its replica [s].
    reading_factor
        How many times as long such a pass takes on the device as its kernels' constants say.
    source, fitted_on
        Where the defaults of the engine are from, and the measurements behind these four.
    """

    id: str = "vllm"
    engines: str = ""
    least_memory_bytes: float = 0.0
    architectures: str = ""
    token_budget: int = 8192
    max_sequences: int = 256
    mixes: bool = True
    chunks: bool = True
    holds_batch: bool = False
    batch_wait_s: float = 0.0
    reserved_share: float = 0.0
    block_tokens: int = 16
    preemption: Preemption = "recompute"
    prefix_caching: bool = True
    poll_steps: int = 1
    slots: bool = False
    request_s: float = 0.0
    reading_kernel_s: float = 0.0
    stream_s: float = 0.0
    reading_factor: float = 1.0
    source: str = ""
    fitted_on: str = ""

    def __post_init__(self) -> None:
        owner = "scheduler"
        _whole(owner, "token_budget", self.token_budget, 1, 10_000_000)
        _whole(owner, "max_sequences", self.max_sequences, 1, 1_000_000)
        _whole(owner, "block_tokens", self.block_tokens, 1, 65536)
        _whole(owner, "poll_steps", self.poll_steps, 1, 10_000)
        _number(owner, "batch_wait_s", self.batch_wait_s, 0, 1e6)
        _number(owner, "reserved_share", self.reserved_share, 0, 1)
        _number(owner, "reading_factor", self.reading_factor, 0.01, 100)
        _number(owner, "stream_s", self.stream_s, 0, 10)
        _number(owner, "reading_kernel_s", self.reading_kernel_s, 0, 1)
        _number(owner, "request_s", self.request_s, 0, 1e6)
        _word(owner, "preemption", self.preemption, Preemption)
        for name in ("mixes", "chunks", "holds_batch", "prefix_caching", "slots"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInput(f"scheduler: {name} must be true or false, not {getattr(self, name)!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """What stands before the replicas.

    Attributes
    ----------
    routing
        Which replica gets a request: each in turn, the one with the fewest unanswered, the one that has most
        of the prompt's beginning in its cache, or the better of two drawn by lot.
    queue_limit
        Requests that may wait at a replica; more are rejected. 0 for no limit.
    queue_timeout_s, timeout_s
        After which a request that has not begun, or is not answered, is given up [s]; 0 for never.
    """

    routing: Routing = "least-outstanding"
    queue_limit: int = 0
    queue_timeout_s: float = 0.0
    timeout_s: float = 0.0

    def __post_init__(self) -> None:
        _word("front", "routing", self.routing, Routing)
        _whole("front", "queue_limit", self.queue_limit, 0, MOST_REQUESTS)
        _number("front", "queue_timeout_s", self.queue_timeout_s, 0, 1e9)
        _number("front", "timeout_s", self.timeout_s, 0, 1e9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Objectives:
    """What a request must keep to count as good.

    Attributes
    ----------
    ttft_s, tpot_s, e2e_s
        Most time to the first token, between tokens on average, and to the whole answer [s]; 0 for any.
    share
        Of the requests that must be good where a rate or a number of replicas is sought.
    """

    ttft_s: float = 0.0
    tpot_s: float = 0.0
    e2e_s: float = 0.0
    share: float = 0.99

    def __post_init__(self) -> None:
        for name in ("ttft_s", "tpot_s", "e2e_s"):
            _number("objectives", name, getattr(self, name), 0, 1e9)
        _number("objectives", "share", self.share, 0.01, 1)

    @property
    def any(self) -> bool:
        """Whether anything is asked."""
        return bool(self.ttft_s or self.tpot_s or self.e2e_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A quantity over many requests or tokens; percentiles are within 0.3% of the exact ones.

    All are 0 where nothing was counted.
    """

    count: int
    mean: float
    p50: float
    p90: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Try:
    """A rate, or a number of replicas, that a search has played.

    Attributes
    ----------
    requests_per_s, replicas
        That were played.
    good_share
        Of the requests offered, how many kept the objectives.
    breaks
        As in `ServingResult`.
    """

    requests_per_s: float
    replicas: int
    good_share: float
    breaks: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """The service over a stretch of the simulated time.

    Attributes
    ----------
    start_s, end_s
        Of the stretch [s].
    requests_per_s
        That came.
    tokens_per_s
        That were written.
    sequences, waiting
        In work, and in queues, on average over all replicas together.
    kv_share
        Of the blocks of the cache that hold something in use.
    busy_share
        Of the replicas' time that is spent in passes.
    ttft_s
        Mean of the requests whose first token came then [s]; None where there were none.
    """

    start_s: float
    end_s: float
    requests_per_s: float
    tokens_per_s: float
    sequences: float
    waiting: float
    kv_share: float
    busy_share: float
    ttft_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyMoment:
    """What users felt over a stretch of the simulated time; None where there were none.

    Attributes
    ----------
    start_s, end_s
        Of the stretch [s].
    ttft_p50_s, ttft_p99_s
        Of the requests whose first token came then, to that token [s].
    tpot_p50_s, tpot_p99_s
        Of the requests that were answered then, between their tokens on average [s].
    """

    start_s: float
    end_s: float
    ttft_p50_s: float | None
    ttft_p99_s: float | None
    tpot_p50_s: float | None
    tpot_p99_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingResult:
    """What happened.

    Attributes
    ----------
    plan, disaggregated
        Of the replicas that write; and of both sides where others read the prompts.
    replicas
        That were simulated; ranks that share experts are one.
    prefill_replicas
        Of these, workers that only read prompts.
    offered, ended
        Requests that came, and how many ended how.
    span_s
        Simulated time, from the start of the load to the last end of a request [s].
    ttft_s, tpot_s, itl_s, e2e_s, queue_s
        To the first token, between tokens of a request on average, between any two tokens, to the whole
        answer, and from arrival to the first pass [s].
    requests_per_s, tokens_per_s
        Answered, and written, over the span.
    goodput_requests_per_s, good_share
        Requests that kept the objectives, a second, and of all offered.
    missed
        Of the requests that were answered, how many were too late, by ``ttft``, ``tpot`` and ``e2e``; one may
        miss several. Empty where nothing is asked.
    breaks
        What keeps the service from its objectives: what most of the others missed (``ttft``, ``tpot``,
        ``e2e``, or a state in which they ended), ``queue`` where enough are good but ever more wait, or
        ``load`` where no request came. Empty where the objectives are kept, and where there are none.
    utilisation
        Share of the replicas' time spent in passes.
    mean_sequences
        Of a pass, weighted by its time.
    kv_share, kv_peak_share
        Of the blocks of the replicas that decode in use, on average; and of one of them at most.
    kv_blocks
        Of one replica, and all of them free again at the end (checked).
    preemptions
        Times that a request had to step back.
    prefix_hit_share
        Of the prompts' tokens, found in the cache.
    in_system, in_system_by_little
        Requests in the service on average: counted over time, and as rate x time (Little's law).
    passes, steps
        Passes of the engine that were simulated, and sequences' steps in them.
    power_w, costs
        Power at this load, of the whole cluster or of the cards that a search for replicas took, and what
        tokens cost, each way.
    series, latencies
        The service, and what users felt, over time.
    trace
        What was played, in words; empty where requests were made up.
    tries
        Of a search for a rate or a number of replicas, in the order in which they were played.
    """

    model: str
    cluster: str
    plan: InferencePlan
    disaggregated: DisaggregatedPlan | None
    traffic: Traffic
    scheduler: Scheduler
    front: Front
    objectives: Objectives
    replicas: int
    prefill_replicas: int
    offered: int
    ended: dict[str, int]
    span_s: float
    ttft_s: Spread
    tpot_s: Spread
    itl_s: Spread
    e2e_s: Spread
    queue_s: Spread
    requests_per_s: float
    tokens_per_s: float
    goodput_requests_per_s: float
    good_share: float
    missed: dict[str, int]
    breaks: str
    utilisation: float
    mean_sequences: float
    kv_share: float
    kv_peak_share: float
    kv_blocks: int
    preemptions: int
    prefix_hit_share: float
    in_system: float
    in_system_by_little: float
    passes: int
    steps: int
    power_w: float
    costs: tuple[Cost, ...]
    series: tuple[Moment, ...]
    latencies: tuple[LatencyMoment, ...] = ()
    trace: str = ""
    tries: tuple[Try, ...] = ()
    assumptions: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
