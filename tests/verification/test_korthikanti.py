"""Korthikanti et al. 2022: activation memory by their formulas, step times by their measurements.

Nothing in farthing is fitted to this table: its constants come from single kernels and from others' runs.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest

import farthing
from farthing.catalog import model as catalogue_model
from farthing.predict.memory import gpt_activation_bytes, layer_activation_bytes
from farthing.predict.pipeline import in_flight_micro_batches
from farthing.predict.training_memory import training_memory
from farthing.predict.work import model_flop
from farthing.records.estimate import TrainingEstimate
from farthing.records.model import LayerKind
from farthing.records.plan import TrainingPlan
from farthing.records.workload import TrainingWorkload

SEQUENCE = 2048
KIND = LayerKind("full", "dense")


class Row(NamedTuple):
    """Table 3 of the paper, and the iteration times of table 5 [s]."""

    model: str
    layers: int
    hidden: int
    heads: int
    tp: int
    pp: int
    interleave: int
    micro_batch_size: int
    global_batch_size: int
    full_s: float
    selective_s: float


ROWS = (
    Row("gpt-22b", 48, 6144, 64, 8, 1, 1, 4, 4, 1.42, 1.10),
    Row("gpt-3-175b", 96, 12288, 96, 8, 8, 3, 1, 64, 18.13, 13.75),
    Row("mt-nlg-530b", 105, 20480, 128, 8, 35, 3, 1, 280, 49.05, 37.83),
    Row("gpt-1t", 128, 25600, 160, 8, 64, 1, 1, 512, 94.42, 71.49),
)
each = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.model)


def plan_of(row: Row, recompute: Any, sequence_parallel: bool) -> TrainingPlan:
    return TrainingPlan(
        tp=row.tp,
        pp=row.pp,
        interleave=row.interleave,
        schedule="interleaved" if row.interleave > 1 else "1f1b",
        micro_batch_size=row.micro_batch_size,
        recompute=recompute,
        sequence_parallel=sequence_parallel,
        flash_attention=False,
        weight_format="fp16",
        compute_format="fp16",
    )


def run(row: Row, recompute: str, sequence_parallel: bool) -> TrainingEstimate:
    hosts = row.tp * row.pp // 8
    return farthing.train(
        row.model,
        f"{hosts}x8:a100-sxm-80gb@ib-hdr" if hosts > 1 else "1x8:a100-sxm-80gb",
        workload=TrainingWorkload(sequence_tokens=SEQUENCE, global_batch_size=row.global_batch_size),
        plan=plan_of(row, recompute, sequence_parallel),
    )


@each
def test_shapes_are_the_papers(row: Row) -> None:
    model = catalogue_model(row.model)
    assert (model.layers, model.hidden, model.heads) == (row.layers, row.hidden, row.heads)
    assert model.vocab == 51200
    assert model.ffn_hidden == 4 * row.hidden


@each
def test_step_time_with_full_recomputation(row: Row) -> None:
    assert run(row, "full", False).step_s == pytest.approx(row.full_s, rel=0.15)


@each
def test_step_time_with_sequence_parallelism_and_selective_recomputation(row: Row) -> None:
    assert run(row, "selective", True).step_s == pytest.approx(row.selective_s, rel=0.15)


def test_the_error_leans_to_no_side_by_more_than_the_bar() -> None:
    ratios = [run(row, "full", False).step_s / row.full_s for row in ROWS]
    ratios += [run(row, "selective", True).step_s / row.selective_s for row in ROWS]
    assert sum(ratios) / len(ratios) == pytest.approx(1, abs=0.1)


@each
def test_selective_recomputation_saves_what_the_paper_measured(row: Row) -> None:
    """29 to 32% more throughput."""
    gain = run(row, "full", False).step_s / run(row, "selective", True).step_s
    assert gain == pytest.approx(row.full_s / row.selective_s, rel=0.07)


@each
def test_mfu_is_counted_as_in_the_paper(row: Row) -> None:
    """Model FLOPs of an iteration, their appendix A: 72 b L s h^2 (1 + s/6h + V/12hL)."""
    tokens = row.global_batch_size * SEQUENCE
    s, h, layers, vocab = SEQUENCE, row.hidden, row.layers, 51200
    paper = 72 * tokens * layers * h * h * (1 + s / (6 * h) + vocab / (12 * h * layers))
    assert model_flop(catalogue_model(row.model), tokens, s) == pytest.approx(paper, rel=1e-3)


def kept(row: Row, recompute: str, *, tp: int, sequence_parallel: bool) -> float:
    return float(
        layer_activation_bytes(
            catalogue_model(row.model),
            KIND,
            sequences=row.micro_batch_size,
            tokens=SEQUENCE,
            context_tokens=SEQUENCE,
            tp=tp,
            sequence_parallel=sequence_parallel,
            flash_attention=False,
            recompute=recompute,
        )
    )


@each
def test_activations_of_a_layer(row: Row) -> None:
    """Their table 2, worked out: bytes a layer under each technique."""
    s, b, h, a, t = SEQUENCE, row.micro_batch_size, row.hidden, row.heads, row.tp
    sbh, scores = s * b * h, 5 * a * s / h
    assert kept(row, "none", tp=1, sequence_parallel=False) == pytest.approx(sbh * (34 + scores), rel=0.05)
    assert kept(row, "none", tp=t, sequence_parallel=False) == pytest.approx(
        sbh * (10 + 24 / t + scores / t), rel=0.05
    )
    assert kept(row, "none", tp=t, sequence_parallel=True) == pytest.approx(
        sbh * (34 / t + scores / t), rel=0.05
    )
    assert kept(row, "selective", tp=t, sequence_parallel=False) == pytest.approx(
        sbh * (10 + 24 / t), rel=0.05
    )
    assert kept(row, "selective", tp=t, sequence_parallel=True) == pytest.approx(sbh * 34 / t, rel=0.05)
    assert kept(row, "full", tp=t, sequence_parallel=False) == pytest.approx(2 * sbh, rel=0.05)


@each
@pytest.mark.parametrize("recompute", ["none", "selective"])
def test_activations_of_the_first_stage(row: Row, recompute: str) -> None:
    """Equation 5 and section 4.2.3: L layers' worth, times 1 + (p-1)/(p m) with m chunks interleaved."""
    s, b, h, a, t = SEQUENCE, row.micro_batch_size, row.hidden, row.heads, row.tp
    p, chunks = row.pp, row.interleave
    layer = s * b * h * (34 + (5 * a * s / h if recompute == "none" else 0)) / t
    penalty = 1 + (p - 1) / (p * chunks) if chunks > 1 else 1
    paper = row.layers / p * min(p * penalty, row.global_batch_size / b) * layer
    in_flight = in_flight_micro_batches(
        p, 0, row.global_batch_size / b, interleave=chunks, schedule="interleaved" if chunks > 1 else "1f1b"
    )
    ours = row.layers / p * float(in_flight) * kept(row, recompute, tp=t, sequence_parallel=True)
    assert ours == pytest.approx(paper, rel=0.05)
    memory = training_memory(
        catalogue_model(row.model),
        TrainingWorkload(sequence_tokens=s, global_batch_size=row.global_batch_size),
        plan_of(row, recompute, True),
    )
    # One stage alone holds the head's tensors too: the logits of a micro-batch.
    head = s * b * (2 * h + 6 * 51200 / t) if p == 1 else 0
    assert memory.activation_peak_bytes == pytest.approx(paper + head, rel=0.05)


def test_closed_form_agrees_with_the_tensors() -> None:
    row = ROWS[1]
    closed = gpt_activation_bytes(
        SEQUENCE, 1, row.hidden, 1, tp=8, heads=row.heads, sequence_parallel=True, recompute="none"
    )
    assert kept(row, "none", tp=8, sequence_parallel=True) == pytest.approx(closed, rel=1e-12)


def test_the_runs_fit_where_the_paper_ran_them() -> None:
    for row in ROWS:
        assert run(row, "selective", True).fits, row.model
