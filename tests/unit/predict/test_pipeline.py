"""Pipeline formulas: the article's rows, relations between schedules, columns, and derivations."""

import numpy as np
import pytest

from farthing.errors import UnknownName
from farthing.predict import pipeline
from farthing.predict.trace import term_of, tracing


def test_article():
    assert pipeline.naive_in_flight(80) == 159
    assert pipeline.grouped_in_flight(80, 10) == 16
    assert pipeline.full_recompute_layers(80) == 3240
    assert pipeline.full_recompute_layers(80) / 80 == 40.5


@pytest.mark.parametrize("schedule", pipeline.SCHEDULES)
def test_one_stage_has_no_bubble_and_keeps_one_micro_batch_at_least(schedule):
    assert pipeline.bubble_share(1, 8, schedule=schedule) == 0
    time = pipeline.pipeline_time_s(1, 2, 1, 8, schedule=schedule, weight_gradient_s=1, hop_s=5)
    assert time == 24
    kept = pipeline.in_flight_micro_batches(1, 0, 8, schedule=schedule)
    assert kept == (8 if schedule == "gpipe" else 1)


def test_known_bubbles():
    assert pipeline.bubble_share(8, 64) == pytest.approx(7 / 64)
    assert pipeline.bubble_share(8, 64, schedule="gpipe") == pytest.approx(7 / 64)
    assert pipeline.bubble_share(8, 64, schedule="interleaved", interleave=4) == pytest.approx(7 / 256)
    assert pipeline.bubble_share(8, 64, schedule="zero-bubble") == pytest.approx(7 / 64 / 3)


@pytest.mark.parametrize("schedule", pipeline.SCHEDULES)
@pytest.mark.parametrize("interleave", [1, 3])
def test_share_is_idle_time_over_work(schedule, interleave):
    both = {"interleave": interleave, "schedule": schedule, "weight_gradient_s": 0.8}
    idle = pipeline.bubble_time_s(1.0, 1.9, 6, 18, **both)
    share = pipeline.bubble_share(6, 18, forward_s=1.0, backward_s=1.9, **both)
    assert idle / (18 * 2.9) == pytest.approx(share)


def test_zero_bubble_without_a_split_is_1f1b():
    for hop in (0, 0.3):
        plain = pipeline.pipeline_time_s(1, 2, 5, 17, hop_s=hop)
        assert pipeline.pipeline_time_s(1, 2, 5, 17, hop_s=hop, schedule="zero-bubble") == pytest.approx(
            plain
        )


def test_in_flight():
    stages = np.arange(4)
    assert pipeline.in_flight_micro_batches(4, stages, 16).tolist() == [4, 3, 2, 1]
    assert pipeline.in_flight_micro_batches(4, stages, 2).tolist() == [2, 2, 2, 1]
    assert pipeline.in_flight_micro_batches(4, 3, 16, schedule="gpipe") == 16
    assert pipeline.in_flight_micro_batches(4, 3, 16, schedule="zero-bubble") == 4
    # The interleaved schedule keeps 1 + (pp - 1) / (pp v) times as much as the plain one in the first stage.
    for v in (2, 4):
        kept = pipeline.in_flight_micro_batches(8, 0, 64, interleave=v, schedule="interleaved")
        assert kept == pytest.approx(8 * (1 + 7 / (8 * v)))


def test_columns_equal_scalars():
    pp, count, interleave = np.array([1, 2, 4, 8, 8]), np.array([8, 8, 16, 16, 64]), np.array([1, 1, 2, 1, 4])
    hop = np.array([0.0, 0.1, 0.3, 2.0, 1.0])
    columns = pipeline.pipeline_time_s(1.0, 2.0, pp, count, interleave=interleave, hop_s=hop)
    kept = pipeline.in_flight_micro_batches(pp, 0, count, interleave=interleave)
    for i in range(len(pp)):
        one = pipeline.pipeline_time_s(
            1.0, 2.0, int(pp[i]), int(count[i]), interleave=int(interleave[i]), hop_s=hop[i]
        )
        assert columns[i] == pytest.approx(one)
        single = pipeline.in_flight_micro_batches(int(pp[i]), 0, int(count[i]), interleave=int(interleave[i]))
        assert kept[i] == pytest.approx(single)


@pytest.mark.parametrize("schedule", pipeline.SCHEDULES)
def test_like_stages_are_a_case_of_unlike_ones(schedule):
    interleave = 2 if schedule == "interleaved" else 1
    more = {"schedule": schedule, "interleave": interleave}
    even = pipeline.pipeline_time_s(1.0, 2.0, 4, 16, weight_gradient_s=0.9, **more)
    uneven = pipeline.uneven_pipeline_time_s(
        np.ones(4), np.full(4, 2.0), 16, stage_weight_gradient_s=0.9, **more
    )
    assert uneven == pytest.approx(even)


@pytest.mark.parametrize("schedule", pipeline.SCHEDULES)
def test_uneven_columns_equal_single_plans(schedule):
    forward = np.array([[1.0, 1.2, 0.9, 1.7], [2.0, 1.0, 1.0, 1.0], [0.5, 0.5, 3.0, 0.5]])
    count, hop = np.array([1, 4, 32]), np.array([0.0, 0.2, 1.5])
    more = {"schedule": schedule, "interleave": 2 if schedule == "interleaved" else 1}
    columns = pipeline.uneven_pipeline_time_s(
        forward, 2 * forward, count, hop_s=hop, stage_weight_gradient_s=forward, **more
    )
    assert columns.shape == (3,)
    for i in range(3):
        one = pipeline.uneven_pipeline_time_s(
            forward[i], 2 * forward[i], count[i], hop_s=hop[i], stage_weight_gradient_s=forward[i], **more
        )
        assert np.ndim(one) == 0
        assert columns[i] == pytest.approx(one)


@pytest.mark.parametrize(
    "call",
    [
        lambda s: pipeline.bubble_share(4, 8, schedule=s),
        lambda s: pipeline.in_flight_micro_batches(4, 0, 8, schedule=s),
        lambda s: pipeline.pipeline_time_s(1, 2, 4, 8, schedule=s),
        lambda s: pipeline.uneven_pipeline_time_s(np.ones(4), np.ones(4), 8, schedule=s),
    ],
)
def test_unknown_schedule_offers_the_nearest(call):
    with pytest.raises(UnknownName, match="interleaved"):
        call("interleave")


@pytest.mark.parametrize("schedule", pipeline.SCHEDULES)
def test_derivation_has_the_value(schedule):
    more = {"schedule": schedule, "weight_gradient_s": 0.7, "hop_s": 0.1}
    if schedule == "interleaved":
        more["interleave"] = 2
    with tracing():
        term = term_of(pipeline.pipeline_time_s(1.0, 2.0, 4, 16, **more))
    assert term.value == pytest.approx(float(pipeline.pipeline_time_s(1.0, 2.0, 4, 16, **more)))
    assert {"bubble time", "exposed hop time"} <= {part.name for part in term.terms}
    with tracing():
        kept = term_of(pipeline.in_flight_micro_batches(4, 1, 16, schedule=schedule))
    assert kept.value == float(pipeline.in_flight_micro_batches(4, 1, 16, schedule=schedule))
