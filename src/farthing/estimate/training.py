"""One training estimate."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Final

from farthing import catalog
from farthing.errors import InvalidInput
from farthing.estimate.cost import CostBasis, costs, power_w
from farthing.estimate.likeness import error_bar, training_likeness
from farthing.estimate.subject import (
    Subject,
    check_cards,
    check_expert_parallel,
    check_stages,
    check_tensor_parallel,
    computed_wider,
    efficiency_note,
    hardware_notes,
    refitted_note,
    storage_format,
    subject,
)
from farthing.predict.fabric import host_memory_bytes_per_s
from farthing.predict.memory import lora_parameters, optimizer_bytes_per_parameter, recomputed_share
from farthing.predict.parameters import total_parameters
from farthing.predict.reliability import (
    checkpoint_bytes,
    checkpoint_time_s,
    cluster_mtbf_s,
    daly_interval_s,
    effective_time_share,
)
from farthing.predict.sharding import expert_tp_of
from farthing.predict.stages import each_stage, spared_layers
from farthing.predict.trace import Number, named, term_of, tracing, untraced
from farthing.predict.training import TrainingTime, setting_time
from farthing.predict.training_layer import Setting
from farthing.predict.training_memory import (
    MemorySizes,
    TrainingMemory,
    stage_memories,
    training_memory,
)
from farthing.predict.work import layer_flop_per_token, model_flop
from farthing.records.engine import Engine
from farthing.records.error_bar import ErrorBar
from farthing.records.estimate import MemoryUse, Part, Reliability, TrainingEstimate
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.records.plan import TrainingPlan
from farthing.records.term import Term
from farthing.records.workload import TrainingWorkload
from farthing.units import DAY, MINUTE, format_bytes

ACCELERATOR_MTBF_S: Final = 54 * DAY * 16_384 / 419
"""Mean time between failures per card: 419 unexpected interruptions of 16,384 H100 in 54 days, hosts, network
and software counted (meta-2024-llama3)."""

TRAINING_MEMORY_SHARE: Final = 0.5
"""Share of the memory bandwidth that training keeps busy, for its power alone; an assumption."""

NVME_BYTES_PER_S: Final = 5e9
"""Sequential rate of a host's drive that is not described; an assumption."""

UNNAMED: Final = Engine(id="", name="", version="", kind="training", vendors="")
"""An engine without habits of its own."""

RESTART_S: Final = 10 * MINUTE
"""Detection, replacement, reading the checkpoint and warming up, as the article assumes (li-2023-article)."""

CHECKPOINT_BYTES_PER_S: Final = 2e9
"""Rate at which one host writes a checkpoint to shared storage; an assumption."""


def default_plan(model: Model, cluster: Cluster, plan: TrainingPlan, chosen: set[str]) -> TrainingPlan:
    """Fill in the data-parallel size that the user left open: all cards that the other axes leave."""
    if "dp" in chosen:
        return plan
    inner = plan.tp * plan.pp * plan.cp
    return dataclasses.replace(plan, dp=max(1, cluster.count // inner))


def _check(model: Model, cluster: Cluster, workload: TrainingWorkload, plan: TrainingPlan) -> None:
    check_tensor_parallel(model, plan.tp)
    check_stages(model, plan.pp, plan.interleave)
    check_cards(cluster, plan.tp * plan.pp * plan.cp * plan.dp, "tp x pp x cp x dp")
    expert_tp = expert_tp_of(plan)
    if expert_tp > 1 and plan.tp * plan.cp * plan.dp % expert_tp:
        raise InvalidInput(f"expert_tp={expert_tp} must divide tp x cp x dp ({plan.tp * plan.cp * plan.dp})")
    check_expert_parallel(
        model, plan.ep, plan.tp * plan.cp * plan.dp // expert_tp, "tp x cp x dp / expert_tp"
    )
    if workload.global_batch_size % (plan.dp * plan.micro_batch_size):
        raise InvalidInput(
            f"the global batch of {workload.global_batch_size} is not a multiple of dp x micro_batch_size = "
            f"{plan.dp} x {plan.micro_batch_size}; change one of them"
        )
    if workload.sequence_tokens % plan.cp:
        raise InvalidInput(
            f"cp={plan.cp} does not divide the sequence of {workload.sequence_tokens} tokens; use a divisor"
        )
    if plan.interleave > 1 and plan.schedule != "interleaved":
        raise InvalidInput(
            "interleave > 1 needs the schedule interleaved; choose it, or leave interleave at 1"
        )
    if plan.schedule == "interleaved" and plan.pp > 1:
        micro_batches = workload.global_batch_size // (plan.dp * plan.micro_batch_size)
        if micro_batches % plan.pp:
            raise InvalidInput(
                f"schedule interleaved needs a multiple of pp={plan.pp} micro-batches, not {micro_batches}"
            )
    if plan.first_spared or plan.last_spared:
        if plan.schedule == "interleaved":
            raise InvalidInput(
                "interleaved stages hold equal layers: leave first_spared and last_spared at 0"
            )
        split = spared_layers(model.layers, plan.pp, plan.first_spared, plan.last_spared)
        if min(split) < 1:
            raise InvalidInput(
                f"first_spared={plan.first_spared}, last_spared={plan.last_spared} leave a stage of "
                f"pp={plan.pp} without any of the {model.layers} layers: lower them"
            )
    if plan.rank_order != "tp-cp-dp-pp" and model.is_moe and plan.ep * expert_tp != plan.tp * plan.cp:
        raise InvalidInput(
            f"rank_order={plan.rank_order} needs ep x expert_tp = tp x cp ({plan.tp * plan.cp}), not "
            f"{plan.ep * expert_tp}: stages of layers and of experts must meet on the same cards"
        )
    storage_format(plan.gradient_format, "activations")
    if plan.offload != "none" and plan.offload_to == "memory":
        for group in cluster.groups:
            if group.accelerator.unified_memory or group.accelerator.kind == "cpu":
                raise InvalidInput(
                    f"{group.accelerator.name} computes in the host's memory: offload to nvme, or not at all"
                )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRun:
    """A checked plan with the constants that apply, so that sensitivity can repeat it."""

    about: Subject
    workload: TrainingWorkload
    plan: TrainingPlan

    @property
    def slowest(self) -> int:
        """Index of the group whose cards are slowest: all others wait for them."""
        return min(
            range(len(self.about.devices)),
            key=lambda i: self.about.devices[i].matmul_flop_per_s * self.about.devices[i].matmul_share,
        )

    @property
    def gradient_bytes(self) -> float:
        """Bytes of one accumulated gradient."""
        return storage_format(self.plan.gradient_format, "activations").bytes_per_element

    @property
    def setting(self) -> Setting:
        """What the functions of a step's parts see."""
        return Setting(
            model=self.about.model,
            cluster=self.about.cluster,
            group=self.about.cluster.groups[self.slowest],
            device=self.about.devices[self.slowest],
            workload=self.workload,
            plan=self.plan,
            efficiency=self.about.efficiencies[self.slowest],
            weight_size=self.about.weights.bytes_per_element,
            gradient_size=self.gradient_bytes,
            launch_s=self.about.overheads.prefill_launch_s,
            dispatch_once=self.about.engine.dispatches_once,
        )

    def time(self) -> TrainingTime:
        """One step."""
        card_to_host, host = self.offload_bytes_per_s
        return setting_time(
            self.setting,
            card_to_host_bytes_per_s=card_to_host,
            host_bytes_per_s=host,
            host_s=self.about.overheads.step_s,
        )

    @property
    def offload_bytes_per_s(self) -> tuple[float, float]:
        """Rates between a card and what it offloads, and of what holds it; each card's share [byte/s]."""
        group = self.about.cluster.groups[self.slowest]
        card = group.accelerator
        bus = f"pcie{card.pcie_generation}-x{card.pcie_lanes}"
        link = catalog.links().get(bus) or catalog.link("pcie4-x16")
        card_to_host = link.bytes_per_s * link.efficiency
        if self.plan.offload_to == "memory":
            held = host_memory_bytes_per_s(group)
        else:
            held = (group.host.storage_bytes_per_s if group.host else 0.0) or NVME_BYTES_PER_S
        held /= group.accelerators_per_host
        return min(card_to_host, held), held

    @property
    def memory_sizes(self) -> MemorySizes:
        """What the engine and the formats add to a plan's memory."""
        engine = catalog.engine(self.plan.engine) if self.plan.engine else UNNAMED
        product = storage_format(self.plan.compute_format, "activations").bytes_per_element
        gradient = self.gradient_bytes
        if gradient > 2:
            gradient += engine.gradient_copy_bytes
        return MemorySizes(
            weight_bytes_per_parameter=self.about.weights.bytes_per_element,
            gradient_bytes_per_parameter=gradient,
            plain=self.about.overheads.elementwise_factor > 1,
            eager_loss=engine.eager_loss,
            product_bytes=2.0 if engine.wide_inputs else min(product, 2.0),
            step_copy_bytes_per_parameter=engine.step_copy_bytes,
            bucket_bytes=engine.bucket_bytes,
            kind=self.about.cluster.groups[0].accelerator.kind,
        )

    def memory(self) -> TrainingMemory:
        """Of the fullest card."""
        return training_memory(self.about.model, self.workload, self.plan, self.memory_sizes)

    def stage_memories(self) -> list[TrainingMemory]:
        """Of a card of each pipeline stage, in their order."""
        places = each_stage(self.about.model, self.plan)
        return stage_memories(self.about.model, self.workload, self.plan, self.memory_sizes, places)

    @property
    def host_room_bytes(self) -> float:
        """Memory of the host for what one card offloads; infinite where the host is not described."""
        if self.plan.offload_to != "memory":
            return math.inf
        rooms = [
            group.host.memory_bytes / group.accelerators_per_host
            for group in self.about.cluster.groups
            if group.host is not None and group.host.memory_bytes > 0
        ]
        return min(rooms, default=math.inf)

    @property
    def capacity_bytes(self) -> float:
        """Memory of the smallest card."""
        return min(card.memory_bytes for card in self.about.devices)


def training_run(
    model: Model, cluster: Cluster, workload: TrainingWorkload, plan: TrainingPlan, *, ideal: bool
) -> TrainingRun:
    """Check a plan and look up its constants."""
    _check(model, cluster, workload, plan)
    about = subject(
        model,
        cluster,
        weight_format=plan.weight_format,
        compute_format=plan.compute_format,
        engine=plan.engine,
        ideal=ideal,
        sustained=True,
    )
    return TrainingRun(about=about, workload=workload, plan=plan)


def train_estimate(run: TrainingRun, *, basis: CostBasis, explain: bool = False) -> TrainingEstimate:
    """The estimate of one complete plan."""
    if explain:
        with tracing():
            return _estimate(run, basis)
    return _estimate(run, basis)


def _estimate(run: TrainingRun, basis: CostBasis) -> TrainingEstimate:
    about, workload, plan = run.about, run.workload, run.plan
    model, cluster = about.model, about.cluster
    memory, time = run.memory(), run.time()
    total = named("memory of the fullest card_bytes", memory.total_bytes)
    step_s = float(time.step_s)
    cards = plan.tp * plan.pp * plan.cp * plan.dp
    tokens = workload.global_batch_size * workload.sequence_tokens
    owed = model_flop(model, tokens, workload.sequence_tokens, predictors=workload.predictors)
    if workload.lora_rank:
        # Frozen weights need no gradients of their own: two passes of three.
        owed = owed * (2 / 3)
    work = float(owed)
    peak = about.devices[run.slowest].matmul_flop_per_s * cards
    repeated = executed_factor(model, workload, plan)
    executed = work * repeated
    capacity = run.capacity_bytes
    misfit = _misfit(run, float(total) - capacity, float(untraced(memory.offloaded_bytes)))
    reliability, lasting = _reliability(run, cards) if workload.training_tokens else (None, 1.0)
    steps = named("steps", workload.training_tokens / tokens)
    run_time = steps * time.step_s / lasting
    run_s = float(run_time)
    compute_share = min(executed / peak / step_s, 1.0)
    draw = power_w(
        cluster, compute_share=compute_share, memory_share=TRAINING_MEMORY_SHARE, pue=basis.pue, used=cards
    )
    money = costs(cluster, draw, tokens / step_s, basis)
    terms = [total, time.step_s, named("tokens a second", tokens / time.step_s, "token/s")]
    owed = named("model FLOPs of a step", owed, "FLOP")
    flop_per_s = named("peak rate of all cards", named("peak rate of a card", peak / cards, "FLOP/s") * cards)
    terms.append(named("MFU", owed / flop_per_s / time.step_s))
    terms.append(named("HFU", owed * named("executed over owed work", repeated) / flop_per_s / time.step_s))
    if reliability is not None:
        terms.append(named("time of the run", run_time, "s"))
    return TrainingEstimate(
        model=model.id,
        cluster=cluster.name,
        workload=workload,
        plan=plan,
        accelerators=cards,
        fits=not misfit,
        misfit=misfit,
        memory=memory_use(memory, capacity),
        step_s=step_s,
        parts=_parts(time),
        mfu=work / peak / step_s,
        hfu=executed / peak / step_s,
        tokens_per_s=tokens / step_s,
        tokens_per_s_per_accelerator=tokens / step_s / cards,
        model_flop=work,
        run_s=run_s,
        accelerator_s=run_s * cards,
        reliability=reliability,
        power_w=draw,
        energy_j=draw * (run_s or step_s),
        run_usd={cost.way: cost.usd_per_s * run_s for cost in money} if run_s else {},
        costs=money,
        bottleneck=max(_parts(time), key=lambda part: part.value).name,
        assumptions=_assumptions(run),
        warnings=_warnings(run, cards, float(untraced(memory.offloaded_bytes))),
        intervals=_intervals(run, step_s, tokens / step_s, float(total), executed / peak / step_s),
        terms=tuple(term for term in map(term_of, terms) if isinstance(term, Term)),
    )


def _intervals(
    run: TrainingRun, step_s: float, rate: float, size_bytes: float, share: float
) -> tuple[ErrorBar, ...]:
    step, size = (
        training_likeness(run.about, run.workload, run.plan, what)
        for what in ("training step", "training memory")
    )
    return (
        error_bar(run.about, "step_s", step_s, step, share=share),
        error_bar(run.about, "tokens_per_s", rate, step, rate=True, share=share),
        error_bar(run.about, "total_bytes", size_bytes, size),
    )


def executed_factor(model: Model, workload: TrainingWorkload, plan: TrainingPlan) -> Any:
    """Executed over owed work: recomputation adds, frozen weights take away; a column for shares in one."""
    if plan.recompute == "full":
        return 1 + plan.recompute_share / (2 if workload.lora_rank else 3)
    tokens = workload.sequence_tokens
    if plan.recompute == "selective" and not plan.flash_attention:
        long = sum(float(untraced(layer_flop_per_token(model, k, tokens))) for k in model.layer_kinds)
        short = sum(float(untraced(layer_flop_per_token(model, k, 0))) for k in model.layer_kinds)
        return 1 + (long - short) / (3 * (long + 2 * model.vocab * model.hidden))
    if plan.recompute == "operations":
        again = sum(
            recomputed_share(model, k) * float(untraced(layer_flop_per_token(model, k, 0)))
            for k in model.layer_kinds
        )
        every = tokens * workload.global_batch_size
        return 1 + again * every / float(untraced(model_flop(model, every, tokens)))
    return 1.0


def _parts(time: TrainingTime) -> tuple[Part, ...]:
    rows = (
        ("forward pass", time.forward_s),
        ("backward pass", time.backward_s),
        ("recomputation", time.recompute_s),
        ("tensor-parallel traffic", time.tensor_parallel_s),
        ("context-parallel traffic", time.context_parallel_s),
        ("expert-parallel traffic", time.expert_parallel_s),
        ("hops between stages", time.pipeline_hop_s),
        ("waiting for the host", time.launch_s),
        ("pipeline bubble", time.pipeline_bubble_s),
        ("data-parallel traffic not hidden", time.data_parallel_s),
        ("optimizer", time.optimizer_s),
        ("host", time.host_s),
    )
    step = float(time.step_s)
    return tuple(
        Part(name=name, value=float(value), share=float(value) / step)
        for name, value in rows
        if float(value) > 0
    )


def memory_use(memory: TrainingMemory, capacity: float) -> MemoryUse:
    """What a card of so many bytes holds, by part."""
    rows = (
        ("weights", memory.weight_bytes),
        ("gradients", memory.gradient_bytes),
        ("optimizer", memory.optimizer_bytes),
        ("activations", memory.activation_peak_bytes),
        ("communication buffers", memory.buffer_bytes),
        ("workspace", memory.workspace_bytes),
    )
    total = float(memory.total_bytes)
    return MemoryUse(
        parts=tuple(Part(name=name, value=float(value), share=float(value) / total) for name, value in rows),
        total_bytes=total,
        capacity_bytes=capacity,
        free_bytes=capacity - total,
    )


def _misfit(run: TrainingRun, missing: float, offloaded: float) -> str:
    """What is missing on a card or in its host, and which single changes would do; empty where all fits."""
    over = offloaded - run.host_room_bytes
    if missing <= 0 and over <= 0:
        return ""
    model, plan, workload = run.about.model, run.plan, run.workload
    tries: list[tuple[str, TrainingPlan]] = [
        ("micro_batch_size=1", dataclasses.replace(plan, micro_batch_size=1)),
        ("recompute=full", dataclasses.replace(plan, recompute="full")),
    ]
    if plan.dp * plan.cp > 1:
        tries += [
            (f"zero_stage={stage}", dataclasses.replace(plan, zero_stage=stage))
            for stage in range(plan.zero_stage + 1, 4)
        ]
        tries.append(
            (
                "zero_stage=3, recompute=full, micro_batch_size=1",
                dataclasses.replace(plan, zero_stage=3, recompute="full", micro_batch_size=1),
            )
        )
    for factor in (2, 4, 8):
        if plan.dp % factor == 0:
            if model.heads and model.heads % (plan.tp * factor) == 0:
                wider = dataclasses.replace(plan, tp=plan.tp * factor, dp=plan.dp // factor)
                tries.append((f"tp={wider.tp}", wider))
            if plan.pp * factor <= model.layers:
                deeper = dataclasses.replace(plan, pp=plan.pp * factor, dp=plan.dp // factor)
                tries.append((f"pp={deeper.pp}", deeper))
    tries.append(("offload=optimizer", dataclasses.replace(plan, offload="optimizer")))
    if plan.offload != "none":
        tries.append(("offload_to=nvme", dataclasses.replace(plan, offload_to="nvme")))
    fitting = []
    for name, other in tries:
        try:
            _check(model, run.about.cluster, workload, other)
        except InvalidInput:
            continue
        memory = dataclasses.replace(run, plan=other).memory()
        outside = float(untraced(memory.offloaded_bytes))
        room = dataclasses.replace(run, plan=other).host_room_bytes
        if float(untraced(memory.total_bytes)) <= run.capacity_bytes and outside <= room:
            fitting.append(name)
    what = f"needs {format_bytes(missing, binary=True)} more a card"
    if missing <= 0:
        what = f"needs {format_bytes(over, binary=True)} more of the host's memory for each card"
    # Several changes at once are advice only where no single one helps.
    fitting = [name for name in fitting if "," not in name] or fitting
    return f"{what}; would fit: {', or '.join(fitting[:3])}" if fitting else what


def lasting_share(run: TrainingRun, cards: int) -> float:
    """Share of a run's time that makes lasting progress, failures counted."""
    return _reliability(run, cards)[0].effective_time_share


def _reliability(run: TrainingRun, cards: int) -> tuple[Reliability, Number]:
    """What failures cost, and the share of lasting time with its derivation."""
    model, rank = run.about.model, run.workload.lora_rank
    trained = (
        sum(lora_parameters(model, kind, rank) for kind in model.layer_kinds)
        if rank
        else total_parameters(model)
    )
    # The 16-bit weights that are trained, and the optimizer's states.
    stored = checkpoint_bytes(trained, 2.0 + optimizer_bytes_per_parameter(run.workload.optimizer))
    write = checkpoint_time_s(stored, CHECKPOINT_BYTES_PER_S * run.about.cluster.hosts)
    mtbf = cluster_mtbf_s(ACCELERATOR_MTBF_S, cards)
    interval = daly_interval_s(write, mtbf)
    lasting = effective_time_share(interval, write, RESTART_S, mtbf)
    found = Reliability(
        mtbf_s=float(mtbf),
        checkpoint_time_s=float(write),
        checkpoint_interval_s=float(interval),
        effective_time_share=float(lasting),
    )
    return found, lasting


def _assumptions(run: TrainingRun) -> tuple[str, ...]:
    about, plan = run.about, run.plan
    found = [efficiency_note(about.efficiencies[run.slowest])]
    found += refitted_note(about) + computed_wider(about)
    if about.cluster.is_mixed:
        found.append("unlike cards: all wait for the slowest kind")
    if about.model.is_moe:
        found.append("tokens are spread evenly over the experts")
        if plan.ep > 1 and not plan.overlap_expert_parallel:
            found.append("expert-parallel traffic hides behind nothing; overlap_expert_parallel lets it")
    if plan.dp * plan.cp > 1 and plan.overlap_data_parallel:
        found.append("data-parallel traffic hides behind the passes of one micro-batch")
    if run.workload.training_tokens:
        found.append(
            "failures: one a card in 50,700 hours, 10 minutes a restart, checkpoints of the trained "
            "weights and the optimizer at 2 GB/s a host, written while training waits"
        )
    return tuple(found)


def _warnings(run: TrainingRun, cards: int, offloaded_bytes: float) -> tuple[str, ...]:
    found = hardware_notes(run.about.cluster)
    if offloaded_bytes:
        most = max(group.accelerators_per_host for group in run.about.cluster.groups)
        each = min(most, cards)
        where = "drives" if run.plan.offload_to == "nvme" else "memory"
        unknown = where == "memory" and math.isinf(run.host_room_bytes)
        found.append(
            f"offload needs {format_bytes(offloaded_bytes * each, binary=True)} of a host's {where}"
            + (f", {format_bytes(offloaded_bytes, binary=True)} for each of its cards" if each > 1 else "")
            + ("; how much hosts have is not described" if unknown else "")
        )
    if cards < run.about.cluster.count:
        found.append(
            f"the plan leaves {run.about.cluster.count - cards} of {run.about.cluster.count} cards idle"
        )
    if run.workload.sequence_tokens > run.about.model.max_context:
        found.append(
            f"sequences of {run.workload.sequence_tokens} tokens exceed the {run.about.model.max_context} of "
            f"{run.about.model.id}"
        )
    return tuple(found)
