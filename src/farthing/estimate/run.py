"""A plan on a cluster under a load: where its stages lie, and how long its steps take."""

from __future__ import annotations

import dataclasses
from typing import Any, Final, NamedTuple

import numpy as np

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.subject import (
    Subject,
    check_cards,
    check_expert_parallel,
    check_stages,
    check_tensor_parallel,
    cuts_heads,
)
from farthing.predict.compute import VECTOR_ROWS
from farthing.predict.hops import Ports, ports
from farthing.predict.inference import (
    StepTime,
    pipelined_step_time_s,
    step_time,
    window_spare_tokens,
)
from farthing.predict.inference_memory import InferenceMemory, inference_memory
from farthing.predict.parameters import total_parameters
from farthing.predict.placement import Place, places
from farthing.predict.trace import Number, larger, named, rounded_up, select, smaller
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

STEP_TOKENS: Final = 8192
"""Tokens that engines put into one forward pass of a prefill at most; larger batches are cut."""


def default_plan(
    model: Model, cluster: Cluster, plan: InferencePlan, chosen: set[str], batch: int
) -> InferencePlan:
    """Fill in the sizes that the user left open.

    Tensor parallel over the cards of a host as far as the heads allow, pipeline over hosts, replicas with the
    rest. Unlike cards form one chain.
    """
    if cluster.is_mixed or len(cluster.groups) > 1:
        tp = plan.tp
        slots = max(sum(group.hosts * (group.accelerators_per_host // tp) for group in cluster.groups), 1)
        pp = plan.pp if "pp" in chosen else min(slots, model.layers)
        return dataclasses.replace(plan, pp=pp)
    per_host = cluster.groups[0].accelerators_per_host
    tp, pp, dp = plan.tp, plan.pp, plan.dp
    if "tp" not in chosen:
        room = per_host if "pp" not in chosen else max(cluster.count // pp, 1)
        if "dp" in chosen:
            room = min(room, max(cluster.count // ((pp if "pp" in chosen else 1) * dp), 1))
        able = plan.engine == "" or catalog.engine(plan.engine).tensor_parallel
        most = min(per_host, room) if able else 1
        tp = next(size for size in range(most, 0, -1) if per_host % size == 0 and cuts_heads(model, size))
    if "pp" not in chosen:
        able = plan.engine == "" or catalog.engine(plan.engine).tensor_parallel
        pp = max(1, min(cluster.hosts if able else cluster.count, cluster.count // tp, model.layers))
        if "dp" in chosen:
            pp = max(1, min(pp, cluster.count // (tp * dp)))
        elif "tp" in chosen and cluster.hosts == 1 and able:
            pp = 1
    if "dp" not in chosen:
        dp = max(1, min(cluster.count // (tp * pp), batch))
    return dataclasses.replace(plan, tp=tp, pp=pp, dp=dp)


def check(model: Model, cluster: Cluster, workload: InferenceWorkload, plan: InferencePlan) -> None:
    """Refuse a plan that the cluster or the model cannot follow.

    Raises
    ------
    InvalidInput
        Sizes that do not divide, do not fit, or have no sequence to work on.
    """
    check_tensor_parallel(model, plan.tp)
    check_stages(model, plan.pp)
    check_cards(cluster, plan.tp * plan.pp * plan.dp, "tp x pp x dp")
    check_expert_parallel(model, plan.ep, plan.tp * plan.dp, "tp x dp")
    if plan.dp > workload.batch_size:
        raise InvalidInput(
            f"dp={plan.dp} replicas need a batch of at least {plan.dp}, not {workload.batch_size}: "
            "lower dp or raise the batch"
        )
    if plan.stage_layers and (len(plan.stage_layers) != plan.pp or sum(plan.stage_layers) != model.layers):
        raise InvalidInput(
            f"stage_layers must be {plan.pp} numbers that sum to the {model.layers} layers of {model.id}, "
            f"not {', '.join(map(str, plan.stage_layers))}"
        )
    if len(cluster.groups) > 1 and plan.dp > 1:
        raise InvalidInput("dp > 1 needs like hosts; describe each replica as a cluster of its own")
    if plan.micro_batches * plan.dp > workload.batch_size:
        raise InvalidInput(
            f"micro_batches={plan.micro_batches} in flight need a batch of at least "
            f"{plan.micro_batches * plan.dp}, not {workload.batch_size}"
        )
    if len(cluster.groups) > 1:
        slots = sum(group.hosts * (group.accelerators_per_host // plan.tp) for group in cluster.groups)
        if plan.pp > slots:
            raise InvalidInput(
                f"{cluster.name} has room for {slots} stages of tp={plan.tp} cards in a host each, "
                f"not for pp={plan.pp}"
            )
    if model.encoder and workload.output_tokens:
        raise InvalidInput(f"{model.id} is an encoder and decodes nothing: set output_tokens to 0")


class Pass(NamedTuple):
    """Sequences that go through the stages together, the new and the cached tokens of each, and whether they
    are so few that kernels treat them as decoding does."""

    sequences: Number
    new_tokens: Number
    cached_tokens: Number
    decode: Any


@dataclasses.dataclass(slots=True)
class Run:
    """The moving parts of one estimate, or of many.

    ``batch_size`` is the workload's, or a column of others; it broadcasts with columns of the plan's sizes.
    """

    about: Subject
    workload: InferenceWorkload
    plan: InferencePlan
    placed: tuple[Place, ...]
    batch_size: Number

    @property
    def replica_sequences(self) -> Number:
        """Of the fullest replica."""
        return -(-self.batch_size // self.plan.dp)

    @property
    def micro_batches(self) -> Number:
        """In flight in the pipeline."""
        plan = self.plan
        if isinstance(plan.pp, int) and plan.pp == 1:
            return 1
        one_each = larger(smaller(plan.pp, self.replica_sequences), 1)
        return select(plan.pp == 1, 1, select(plan.micro_batches > 0, plan.micro_batches, one_each))

    @property
    def new_prompt_tokens(self) -> float:
        """Of a prompt, without what is cached."""
        return max(1.0, self.workload.prompt_tokens * (1 - self.workload.prefix_share))

    def step(self, sequences: Number, new_tokens: Number, cached_tokens: Number, *, decode: bool) -> StepTime:
        return step_time(
            self.about.model,
            self.about.cluster,
            self.placed,
            self.plan,
            sequences=sequences,
            new_tokens=new_tokens,
            cached_tokens=cached_tokens,
            decode=decode,
            weight_bytes=self.about.dense.bytes_per_element,
            expert_bytes=self.about.weights.bytes_per_element,
            narrow=self.about.narrow,
            head_bytes=self.about.head_bytes,
            kv_bytes=self.about.kv.bytes_per_element,
            routing_spread=self.workload.routing_spread,
            engine=self.about.overheads,
            wiring=self.about.wiring,
        )

    def ports(self, each: Pass) -> tuple[Ports, ...]:
        """What the messages of a pass take from each place."""
        return tuple(
            ports(
                self.about.model,
                self.about.cluster,
                place,
                self.plan,
                sequences=each.sequences,
                new_tokens=each.new_tokens,
                cached_tokens=each.cached_tokens,
                decode=bool(each.decode),
                wiring=self.about.wiring,
            )
            for place in self.placed
        )

    def memory(self, sequences: Number | None = None, context: Number | None = None) -> InferenceMemory:
        own = self.replica_sequences if sequences is None else sequences
        chunk = self.plan.chunk_tokens
        prompt = select(chunk > 0, chunk, np.minimum(self.new_prompt_tokens * own, STEP_TOKENS))
        return inference_memory(
            self.about.model,
            self.placed,
            self.plan,
            sequences=own,
            context_tokens=self.workload.longest_context_tokens if context is None else context,
            step_tokens=np.maximum(prompt, own),
            weight_size=self.about.dense.bytes_per_element,
            expert_size=self.about.weights.bytes_per_element,
            head_size=self.about.head_bytes,
            kv_size=self.about.kv.bytes_per_element,
            reserve_share=self.about.engine.memory_reserve_share,
            window_spare_tokens=window_spare_tokens(self.plan, self.about.overheads),
        )

    def prefill(self, sequences: Number) -> tuple[StepTime, Number]:
        """Step of one chunk or micro-batch, and the time until all of them are done."""
        each, pieces = self.prefill_pass(sequences)
        step = self._prompt_step(each.sequences, each.new_tokens, each.cached_tokens, few=each.decode)
        return step, self.prefilled_s(step.total_s, step.slowest_s, pieces)

    def prefill_pass(self, sequences: Number) -> tuple[Pass, Number]:
        """One chunk or micro-batch of prompts, and how many of them there are."""
        new, cached = self.new_prompt_tokens, self.workload.prompt_tokens - self.new_prompt_tokens
        chunk, pp = self.plan.chunk_tokens, self.plan.pp
        cut = (chunk > 0) & (chunk < new * sequences)
        pieces = select(
            cut,
            rounded_up(new * sequences / larger(chunk, 1)),
            larger(smaller(pp, sequences // 1), 1),
        )
        each = Pass(
            select(cut, sequences, sequences / pieces),
            select(cut, new / pieces, new),
            select(cut, cached + new * (1 - 1 / pieces) / 2, cached),
            cut & (chunk <= VECTOR_ROWS),
        )
        return each, pieces

    def prefilled_s(self, total_s: Number, slowest_s: Number, pieces: Number) -> Number:
        """Time until so many steps are through that each take so long in all and on the slowest stage."""
        return select(self.plan.pp == 1, total_s * pieces, total_s + (pieces - 1) * slowest_s)

    def _prompt_step(self, sequences: Number, new: Number, cached: Number, *, few: Any) -> StepTime:
        """A pass over part of the prompts; of a few tokens it goes as decoding does."""
        if not isinstance(few, np.ndarray):
            return self.step(sequences, new, cached, decode=bool(few))
        if few.all() or not few.any():
            return self.step(sequences, new, cached, decode=bool(few.all()))
        ways = [self.step(sequences, new, cached, decode=decode) for decode in (True, False)]
        return StepTime(
            **{
                field.name: np.where(few, *(getattr(way, field.name) for way in ways))
                for field in dataclasses.fields(StepTime)
            }
        )

    def decode(self) -> tuple[StepTime, Number]:
        """One decode step of a micro-batch, and the time until its turn comes again."""
        each = self.decode_pass
        step, whole = self.decode_step(each.sequences, each.cached_tokens)
        return step, named("decode step_s", whole)

    @property
    def decode_pass(self) -> Pass:
        """One micro-batch that decodes."""
        return Pass(
            self.replica_sequences / self.micro_batches,
            1 + self.workload.draft_tokens,
            max(self.workload.decode_context_tokens - 1, 0.0),
            True,
        )

    def decode_step(self, sequences: Number, cached_tokens: float) -> tuple[StepTime, Number]:
        """One decode step of so many sequences, and the time that it and its drafting take in all."""
        step = self.step(sequences, 1 + self.workload.draft_tokens, cached_tokens, decode=True)
        return step, self.decoded_s(step.total_s, step.slowest_s)

    def decoded_s(self, total_s: Number, slowest_s: Number) -> Number:
        """Time until a micro-batch has its turn again: its step in all, and on the slowest stage."""
        whole, drafted = total_s, self.workload.draft_tokens
        staged = self.plan.pp > 1
        if isinstance(staged, np.ndarray) or staged:
            turn = pipelined_step_time_s(whole, slowest_s, micro_batches=self.micro_batches)
            whole = select(staged, turn, whole)
        if drafted:
            whole = whole * (1 + drafted * self.workload.draft_cost_share)
        return whole


def run_of(
    about: Subject, workload: InferenceWorkload, plan: InferencePlan, batch_size: Number | None = None
) -> Run:
    """Place the stages; a column of batch sizes stands in for the workload's."""
    layer_bytes = total_parameters(about.model) / about.model.layers * about.weights.bytes_per_element
    placed = places(
        about.model,
        about.cluster,
        plan,
        about.devices,
        about.efficiencies,
        layer_bytes=layer_bytes,
        by_memory=about.wiring.layers_by == "memory",
    )
    return Run(about, workload, plan, placed, workload.batch_size if batch_size is None else batch_size)
