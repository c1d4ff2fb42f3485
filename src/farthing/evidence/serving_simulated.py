"""Online serving with the queueing simulated: the published client's users against the engine's passes.

The closed form of `farthing.evidence.serving_online` takes the wait before the first token as a fitted share
of the others' prompts. Here it follows from the scheduler: nothing about waiting is fitted.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np

from farthing import catalog
from farthing.errors import FarthingError
from farthing.evidence.outcome import number
from farthing.evidence.published_setups import COLLECTIONS
from farthing.evidence.serving_online import Passes, closed_form
from farthing.evidence.serving_setup import Deployment
from farthing.evidence.split import is_fitted
from farthing.evidence.workers import Workers
from farthing.records.comparison import Case
from farthing.records.serving import Front, Objectives, Scheduler
from farthing.simulate.serving.deployed import request_s
from farthing.simulate.serving.machine import Machine
from farthing.simulate.serving.measures import Measures
from farthing.simulate.serving.service import Deployment as Played
from farthing.simulate.serving.service import Service
from farthing.simulate.serving.stream import Ask
from farthing.simulate.serving.tables import pass_times

ROUNDS: Final = 10
"""Requests of each user, as the published client sends them."""
SPREAD: Final = 0.8
"""Its prompts and answers have between so much of the stated length and all of it, drawn evenly."""
NAMES: Final = {"tensorrt-llm": "trtllm"}
"""The tables' names of engines."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A measurement beside both predictions of the mean time to the first token [s].

    ``fitted`` says whether constants may have been fitted to it.
    """

    id: str
    engine: str
    disaggregated: bool
    fitted: bool
    users: int
    measured_s: float
    closed_form_s: float
    simulated_s: float


def row_of(case: Case) -> Row | None:
    """A row of the tables, predicted both ways; None where it does not say enough or cannot be planned."""
    try:
        measured = number(case, "silicon_ttft_ms") / 1e3
        if not measured > 0:
            return None
        setup, closed = closed_form(case, "TTFT")
        ttft_s, _ = simulated(setup, case)
    except FarthingError:
        return None
    return Row(
        id=case.id,
        engine=setup.engine,
        disaggregated=setup.prefill is not None,
        fitted=is_fitted(case),
        users=setup.users,
        measured_s=measured,
        closed_form_s=closed,
        simulated_s=ttft_s,
    )


def simulated(setup: Deployment, case: Case, **constants: float) -> tuple[float, float]:
    """Mean times to the first token and between tokens that the client of a row sees [s].

    Parameters
    ----------
    setup
        What runs where.
    case
        The row: who measured it, and the names under which its limits are published.
    **constants
        Fields of the scheduler in place of its own, while they are sought.

    Raises
    ------
    FarthingError
        Where the plan cannot be, or no request finds room.
    """
    measures = Measures(Objectives())
    machine, scheduler, before_s = _side(setup, setup.decode, case, "", constants)
    played = Played(
        machine=machine, replicas=max(setup.decode.count, 1), scheduler=scheduler, request_s=before_s
    )
    if setup.prefill is not None:
        reader, reading, _ = _side(setup, setup.prefill, case, "prefill", constants)
        played = dataclasses.replace(
            played,
            reader=dataclasses.replace(reader, reads_only=True),
            readers=max(setup.prefill.count, 1),
            reading=reading,
        )
    Service(played, Front(), measures, users=setup.users).run(_asks(setup, case))
    if not measures.ttft.count:
        raise FarthingError("no request of the row finds room in the cache")
    return measures.ttft.spread().mean, measures.tpot.spread().mean


def _asks(setup: Deployment, case: Case) -> Iterator[Ask]:
    """The client's requests.

    Clients of other collections do not say how lengths spread. Where prompts go before all else and lengths
    are alike, users stay in step, as SGLang's rows among the fitted ones do; elsewhere they fall out of step,
    which the same spread stands for.
    """
    share = SPREAD
    if setup.engine == "sglang" and not COLLECTIONS.match(case.cells.get("silicon_data_source", "")):
        share = 1.0
    draw = np.random.default_rng(0)
    count = setup.users * ROUNDS
    prompts, answers = (
        draw.integers(max(int(length * share), 1), length + 1, count).tolist()
        for length in (setup.prompt, setup.output)
    )
    for prompt, answer in zip(prompts, answers, strict=True):
        yield Ask(0.0, prompt, answer, answer, 0, ())


def _side(
    setup: Deployment, workers: Workers, case: Case, role: str, constants: Mapping[str, float]
) -> tuple[Machine, Scheduler, float]:
    passes = Passes(setup, workers)
    own: Mapping[str, Any] = constants
    scheduler = dataclasses.replace(_scheduler(setup, workers, case, role), **own)
    blocks = int(passes.slots * passes.context / scheduler.block_tokens)
    most = max(1, min(scheduler.max_sequences, blocks, setup.users + 1))
    if not role and setup.decode_batch:
        most = min(most, setup.decode_batch)
    machine = Machine(
        passes=pass_times(
            passes.run,
            max_sequences=most,
            pass_tokens=scheduler.token_budget + most,
            reading_factor=scheduler.reading_factor,
            reading_kernel_s=scheduler.reading_kernel_s,
        ),
        kv_blocks=blocks * workers.dp,
        lanes=workers.dp,
        lockstep=workers.dp > 1,
    )
    return machine, dataclasses.replace(scheduler, max_sequences=most), request_s(scheduler, passes.run)


def _scheduler(setup: Deployment, workers: Workers, case: Case, role: str) -> Scheduler:
    """The engine's default with what the run's own scripts set; prompts of random words share nothing."""
    usual = catalog.usual_scheduler(setup.engine, catalog.accelerator(setup.card)) or Scheduler()
    budget, sequences = usual.token_budget, usual.max_sequences
    if not usual.chunks:
        # Whoever serves such prompts lets a pass hold one.
        budget = max(budget, setup.prompt + setup.users + 64)
    if COLLECTIONS.match(case.cells.get("silicon_data_source", "")):
        limits = _limits(setup, workers, case, role)
        if limits:
            users = setup.users / (workers.dp * max(workers.count, 1))
            stated = _number(limits, "per_prompt_token") * setup.prompt
            stated += _number(limits, "per_user") * (1 + setup.draft_tokens) * users + _number(limits, "more")
            budget = int(max(stated, _number(limits, "tokens")))
            if setup.engine == "sglang":
                # The server divides what it is told by its ranks.
                budget = max(budget // workers.dp, 2048)
            sequences = int(_number(limits, "sequences")) or sequences
    return dataclasses.replace(
        usual,
        token_budget=budget,
        max_sequences=sequences,
        prefix_caching=False,
        poll_steps=setup.poll_steps,
    )


@functools.cache
def _table() -> Sequence[Mapping[str, str]]:
    """Limits of passes in the scripts and recipes of InferenceX of April 2026, by what they run.

    Tokens of a pass are at least ``tokens``, and ``per_prompt_token`` times the prompt, ``per_user`` times
    the users of a rank with their drafts, and ``more`` in all.
    """
    text = (resources.files("farthing.evidence") / "pass_limits.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def _limits(setup: Deployment, workers: Workers, case: Case, role: str) -> Mapping[str, str] | None:
    """The row of the limits that says most of a worker."""
    said = {
        "backend": NAMES.get(setup.engine, setup.engine),
        "role": role,
        "model": setup.model,
        "system": case.cells.get("system", ""),
        "precision": case.cells.get("precision", ""),
        "tp": str(workers.tp),
        "drafted": "yes" if setup.draft_tokens else "no",
    }
    able = [
        row
        for row in _table()
        if all(not row[name] or word in row[name].split() for name, word in said.items())
    ]
    # Workers that only read have limits of their own, whatever they run.
    return max(able, key=lambda row: (bool(row["role"]), sum(bool(row[name]) for name in said)), default=None)


def _number(row: Mapping[str, str], column: str) -> float:
    return float(row[column] or 0)


def median_errors(rows: Sequence[Row]) -> tuple[float, float]:
    """Median of |predicted / measured - 1| over the rows that nothing was fitted to: simulated, closed form.

    Examples
    --------
    >>> kind = dict(engine="vllm", disaggregated=False, fitted=False, users=1)
    >>> rows = [Row(id="a", measured_s=2.0, closed_form_s=3.0, simulated_s=2.2, **kind)]
    >>> [round(error, 2) for error in median_errors(rows)]
    [0.1, 0.5]
    """
    evidence = [row for row in rows if not row.fitted]
    if not evidence:
        return math.nan, math.nan
    simulated, closed = (
        float(np.median([abs(getattr(row, name) / row.measured_s - 1) for row in evidence]))
        for name in ("simulated_s", "closed_form_s")
    )
    return simulated, closed
