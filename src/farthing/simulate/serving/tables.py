"""Pass times of a plan, read off the cost model once so that a simulation can look them up."""

from __future__ import annotations

import dataclasses
from typing import Final

import numpy as np
from numpy.typing import NDArray

from farthing.estimate.run import Run
from farthing.predict.inference import speculated_tokens
from farthing.simulate.serving.passes import OCTAVES, PassTimes

MOST_TOKENS: Final = 1 << 16
"""Longest pass that is tabled; longer ones take as much longer as they have more tokens."""
DEEPEST: Final = 20
"""Octave of the longest tabled context; beyond, times grow as they do there."""

_Column = NDArray[np.float64]


def pass_times(
    run: Run,
    *,
    max_sequences: int,
    pass_tokens: int,
    reading_factor: float = 1.0,
    reading_kernel_s: float = 0.0,
) -> PassTimes:
    """Tables of a replica of a plan.

    Parameters
    ----------
    run
        The plan on its cards. Sizes of batches and prompts are not taken from it.
    max_sequences
        Most sequences that decode at a time.
    pass_tokens
        Most tokens of a pass that reads prompts.
    reading_factor
        How many times as long such passes take on the device as the model says.
    reading_kernel_s
        That the host needs to issue a kernel of them [s]; 0 for what the engine's constants say.

    Examples
    --------
    >>> from farthing.catalog import model
    >>> from farthing.catalog.cluster import parse_cluster
    >>> from farthing.estimate.run import run_of
    >>> from farthing.estimate.subject import subject
    >>> from farthing.records.plan import InferencePlan
    >>> from farthing.records.workload import InferenceWorkload
    >>> about = subject(model("llama-2-7b"), parse_cluster("rtx-4090"), weight_format="bf16",
    ...                 compute_format="", engine="vllm")
    >>> run = run_of(about, InferenceWorkload(), InferencePlan(engine="vllm"))
    >>> times = pass_times(run, max_sequences=64, pass_tokens=2048)
    >>> alike = run.decode_step(16, 1000.0)[1]
    >>> abs(times.decode_s(16, 16 * 1000)[0] / alike - 1) < 0.01
    True
    """
    drafted = run.workload.draft_tokens
    draft_share = 1 + drafted * run.workload.draft_cost_share
    octaves = np.concatenate([[1.0], 2.0 ** np.arange(0, DEEPEST + 1)])
    sequences = np.arange(1, max_sequences + 1, dtype=float)[:, None]
    decode = run.step(sequences, 1 + drafted, octaves[None, :], decode=True)
    shape = (max_sequences, len(octaves))
    attention = np.broadcast_to(decode.attention_s, shape) * draft_share
    total = np.broadcast_to(decode.total_s, shape) * draft_share
    written = (total - attention)[:, 0]
    base, slope = _segments(attention, octaves)

    tokens = np.arange(1, min(pass_tokens, MOST_TOKENS) + 1, dtype=float)
    read = _issued(run, reading_kernel_s).step(1, tokens, 0.0, decode=False)
    prompts = _prompt_attention(run)
    start = float(prompts[0, 0])
    device_s = (read.total_s - read.overhead_s - read.attention_s + start) * reading_factor
    dense = np.broadcast_to(np.maximum(read.overhead_s + device_s, 0.0), tokens.shape)
    parts = 2.0 ** np.arange(prompts.shape[0])[:, None]
    beyond = np.maximum(prompts - start, 0.0) / parts * reading_factor
    slowest = read.slowest_s / read.total_s
    return PassTimes(
        written_s=[0.0, *written.tolist()],
        attention_base_s=[[0.0, *row] for row in base.T.tolist()],
        attention_slope_s=[[0.0, *row] for row in slope.T.tolist()],
        read_s=[float(dense[0]), *dense.tolist()],
        prompt_s=beyond.tolist(),
        start_s=start,
        sequence_s=run.about.overheads.sequence_s,
        pass_tokens=1 + drafted,
        yielded_tokens=float(speculated_tokens(drafted, run.workload.acceptance_rate)) if drafted else 1.0,
        slowest_share=float(np.mean(slowest)),
    )


def _issued(run: Run, kernel_s: float) -> Run:
    """A run whose host needs so long to issue each kernel of a prompt's pass [s]; 0 leaves it as it is."""
    if not kernel_s:
        return run
    overheads = dataclasses.replace(run.about.overheads, prefill_launch_s=kernel_s)
    return dataclasses.replace(run, about=dataclasses.replace(run.about, overheads=overheads))


def _segments(attention: _Column, octaves: _Column) -> tuple[_Column, _Column]:
    """Straight pieces through the tabled contexts: at none, and a token of all sequences' context [s]."""
    counts = np.arange(1, attention.shape[0] + 1, dtype=float)[:, None]
    per_token = np.diff(attention, axis=1) / np.maximum(np.diff(octaves), 1e-9)
    # Octave j holds contexts from 2^(j-1) up to 2^j, between the columns j and j + 1.
    per_token = np.concatenate([per_token[:, 1:2], per_token[:, 1:]], axis=1)
    base = attention[:, : per_token.shape[1]] - per_token * octaves[: per_token.shape[1]]
    missing = OCTAVES + 2 - per_token.shape[1]
    last = np.repeat(per_token[:, -1:], missing, axis=1), np.repeat(base[:, -1:], missing, axis=1)
    per_token = np.concatenate([per_token, last[0]], axis=1)
    return np.concatenate([base, last[1]], axis=1), per_token / counts


def _prompt_attention(run: Run) -> _Column:
    """Attention of parts of prompts of each octave, after nothing and after each octave of cached tokens."""
    parts = 2.0 ** np.arange(0, OCTAVES + 2)[:, None]
    cached = np.concatenate([[0.0], 2.0 ** np.arange(0, OCTAVES + 1)])[None, :]
    step = run.step(1, parts, cached, decode=False)
    return np.broadcast_to(step.attention_s, (parts.shape[0], cached.shape[1])).copy()
