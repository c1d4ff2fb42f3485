"""Time to first token and between tokens that users of a closed loop measured."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Final

from farthing import catalog
from farthing.catalog.cluster import find_cluster
from farthing.errors import FarthingError, InvalidInput
from farthing.estimate.likeness import serving_likeness
from farthing.estimate.run import STEP_TOKENS, run_of
from farthing.estimate.subject import check_tensor_parallel, subject
from farthing.evidence.outcome import compared, number, refused
from farthing.evidence.serving_setup import Deployment, deployments_of, unknown
from farthing.evidence.workers import Workers
from farthing.predict.inference import speculated_tokens
from farthing.predict.serving import Serving, continuous_batching, disaggregated
from farthing.predict.trace import Number
from farthing.records.comparison import Case, Comparison, Likeness
from farthing.records.engine_efficiency import EngineEfficiency
from farthing.records.workload import InferenceWorkload

QUANTITIES: Final = {"silicon_ttft_ms": "TTFT", "silicon_tpot_ms": "TPOT"}

ALIKE: Final = 1.5
"""By so much may the ways that a row can have been run differ, for what it leaves out to matter little."""


def compare(cases: Sequence[Case]) -> list[Comparison]:
    """Two comparisons a row, where it has both numbers."""
    return [one for case in cases for one in _compare(case)]


def _compare(case: Case) -> list[Comparison]:
    found = []
    for column, what in QUANTITIES.items():
        group = f"online serving, {what}"
        try:
            measured = number(case, column)
            if math.isnan(measured):
                continue
            if measured <= 0:
                raise FarthingError(f"{column} is {measured:g}, not a positive number")
        except FarthingError as error:
            found.append(refused(case, column, float("nan"), str(error), group=group))
            continue
        try:
            setup, value = closed_form(case, what)
            _, simple = closed_form(case, what, ideal=True)
        except FarthingError as error:
            found.append(refused(case, column, measured, str(error), group=group))
            continue
        likeness = likeness_of(setup, "prefill" if what == "TTFT" else "decode")
        found.append(
            compared(
                case,
                column,
                measured,
                value * 1e3,
                simple=simple * 1e3,
                group=group,
                likeness=likeness,
            )
        )
    return found


def closed_form(case: Case, what: str, *, ideal: bool = False) -> tuple[Deployment, float]:
    """A deployment that a row can have been, and the middle of the times [s] of all that it can."""
    setups = deployments_of(case)
    times: dict[Deployment, float] = {}
    for setup in setups:
        try:
            load = serving(setup, ideal=ideal)
        except FarthingError:
            # What does not fit was not run.
            if len(setups) == 1:
                raise
            continue
        times[setup] = float(load.ttft_s if what == "TTFT" else load.tpot_s)
    if not times:
        raise FarthingError(unknown(setups))
    least, most = min(times.values()), max(times.values())
    if most > least * ALIKE and not ideal:
        raise FarthingError(unknown(list(times)))
    return next(iter(times)), math.sqrt(least * most)


def likeness_of(setup: Deployment, what: str) -> Likeness:
    """As an estimate of one worker has it; workers that only decode are apart."""
    found = serving_likeness(
        what,
        engine=setup.engine,
        card=catalog.accelerator(setup.card),
        cards=setup.decode.tp,
        tp=setup.decode.tp,
        per_host=setup.decode.tp,
        batch_size=setup.users / setup.decode.dp,
    )
    return dataclasses.replace(found, regime=f"{found.regime}, disaggregated") if setup.prefill else found


@functools.lru_cache(maxsize=8192)
def serving(setup: Deployment, *, engine: EngineEfficiency | None = None, ideal: bool = False) -> Serving:
    """What the users of a deployment see.

    Parameters
    ----------
    setup
        What runs where.
    engine
        Constants instead of the table's, while they are sought.
    ideal
        The peaks alone.

    Raises
    ------
    FarthingError
        Where the plan cannot be.
    """
    if setup.users < 1 or setup.prompt < 1 or setup.output < 2:
        raise FarthingError("users, prompt and answer are not all stated")
    decode = Passes(setup, setup.decode, engine, ideal)
    overheads = decode.overheads
    common = {
        "output_tokens": setup.output,
        "request_s": overheads.request_s,
        "step_tokens": decode.step_tokens,
    }
    if setup.prefill is None:
        ranks = setup.decode.dp
        return continuous_batching(
            decode.decode_s,
            decode.prefill_s(),
            users=max(setup.users / ranks, 1.0),
            slots=decode.slots,
            waiting_share=overheads.waiting_share,
            poll_steps=setup.poll_steps,
            **common,
        )
    prefill = Passes(setup, setup.prefill, engine, ideal)
    decode_places = setup.decode.count * setup.decode.dp
    return disaggregated(
        decode.decode_s,
        prefill.prefill_s(),
        shared_prefill_s=prefill.shared_prefill_s(),
        users=setup.users,
        prefill_places=setup.prefill.count * setup.prefill.dp,
        decode_places=decode_places,
        slots=min(decode.slots, setup.decode_batch or decode.slots),
        burst_share=overheads.burst_share,
        **common,
    )


class Passes:
    """Passes of one worker."""

    def __init__(
        self,
        setup: Deployment,
        workers: Workers,
        engine: EngineEfficiency | None = None,
        ideal: bool = False,
    ) -> None:
        model, cluster = catalog.model(setup.model), find_cluster(setup.cluster(workers))
        plan = setup.plan(workers)
        try:
            check_tensor_parallel(model, plan.tp)
            if plan.ep > max(model.experts, 1):
                raise InvalidInput("more ranks than experts")
        except InvalidInput:
            # Often the cards of a whole disaggregated deployment stand where those of a worker belong.
            raise FarthingError("the stated split does not divide the model's heads or experts") from None
        about = subject(
            model,
            cluster,
            weight_format=plan.weight_format,
            compute_format="",
            kv_format=plan.kv_format,
            engine=plan.engine,
            ideal=ideal,
            overheads=engine,
        )
        load = InferenceWorkload(
            batch_size=workers.dp,
            prompt_tokens=setup.prompt,
            output_tokens=setup.output,
            draft_tokens=setup.draft_tokens,
        )
        self.run = run_of(about, load, plan)
        self.overheads = about.overheads
        self.context = setup.prompt + setup.output / 2
        memory = self.run.memory(context=self.context)
        # Sequences are at all stages of their answers, and hold half of it on average.
        free, each = float(memory.free_bytes) + float(memory.kv_cache_bytes), float(memory.sequence_bytes)
        if free < each:
            # What was run left itself less in reserve.
            free = float(memory.capacity_bytes) - float(memory.weight_bytes)
        if free < each:
            raise FarthingError("the weights do not fit on the cards that the row states")
        self.slots = free / each

    @property
    def step_tokens(self) -> Number:
        """That a decode step adds to each answer."""
        load = self.run.workload
        return speculated_tokens(load.draft_tokens, load.acceptance_rate) if load.draft_tokens else 1.0

    def decode_s(self, sequences: Number) -> Number:
        """One decode step of a rank, with the drafting that went before."""
        return self.run.decode_step(sequences, self.context)[1]

    def prefill_s(self) -> Number:
        """Reading one prompt."""
        return self.run.step(1, self.run.workload.prompt_tokens, 0, decode=False).total_s

    def shared_prefill_s(self) -> Number:
        """What one prompt takes of the fullest pass."""
        prompt = self.run.workload.prompt_tokens
        together = max(STEP_TOKENS // prompt, 1)
        return self.run.step(together, prompt, 0, decode=False).total_s / together
