"""Questions as runs: presets, usual rates, changes, and what contradicts itself."""

import dataclasses

import pytest

from farthing.catalog.cluster import parse_cluster
from farthing.catalog.fault_presets import fault_preset
from farthing.errors import InvalidInput, UnknownName
from farthing.predict.reliability import checkpoint_bytes, combined_mtbf_s
from farthing.records.fault_rates import FaultRates
from farthing.records.fault_run import Checkpointing, FaultCause, Recovery
from farthing.simulate.faults.scenario import scenario
from farthing.units import DAY

OWN = ("llama-3.1-8b", "4x8:h100-sxm@ib-ndr")


def asked(preset="", model="", cluster="", duration_s=None, causes=(), **options):
    return scenario(preset, model, cluster, duration_s=duration_s, causes=causes, options=options)


def own(**options):
    return asked("", *OWN, **options)


def mtbf_s(run):
    return combined_mtbf_s([cause.part_mtbf_s / cause.fault_parts for cause in run.causes])


def test_llama_3_fails_as_often_as_it_was_counted():
    run = asked("llama-3-405b")
    assert (run.hosts, run.cards, run.duration_s) == (2048, 16_384, 54 * DAY)
    assert mtbf_s(run) == pytest.approx(54 * DAY / 419)
    assert run.recovery.maintenance_per_day == pytest.approx(47 / 54)
    assert run.recovery.manual_share == pytest.approx(3 / 419)
    assert run.checkpointing.write_s == pytest.approx(checkpoint_bytes(405.85e9, 14) / 2e12, rel=1e-3)


def test_usual_rates_are_those_counts_by_what_is_struck():
    run = asked("", "llama-3.1-405b", "2048x8:h100-sxm@ib-ndr")
    events = {cause.name: cause.fault_parts * 54 * DAY / cause.part_mtbf_s for cause in run.causes}
    assert events == pytest.approx(
        {"card": 268, "host without its cards": 46, "NIC, cable or switch port": 42, "software": 63}
    )
    half = asked("", "llama-3.1-405b", "1024x8:h100-sxm@ib-ndr")
    assert mtbf_s(half) == pytest.approx(2 * mtbf_s(run))


def test_a_preset_on_another_cluster_has_its_rates_by_part():
    assert mtbf_s(asked("llama-3-405b", cluster="512x8:h100-sxm@ib-ndr")) == pytest.approx(4 * 54 * DAY / 419)


def test_a_given_life_replaces_what_strikes_the_same():
    run = asked("llama-3-405b", card_mtbf_s=30 * DAY)
    cards = [cause for cause in run.causes if cause.strikes == "card"]
    assert [(cause.name, cause.part_mtbf_s, cause.fault_parts) for cause in cards] == [
        ("card", 30 * DAY, 16_384)
    ]
    assert sum(cause.strikes == "host" for cause in run.causes) == 7


def test_software_of_the_whole_job_is_one_part():
    (job,) = [cause for cause in own(job_mtbf_s=DAY).causes if cause.strikes == "job"]
    assert (job.fault_parts, job.part_mtbf_s, job.hosts_out) == (1, DAY, 0)


def test_racks_take_all_their_hosts():
    (rack,) = [cause for cause in own(rack_mtbf_s=DAY, hosts_per_rack=3).causes if cause.strikes == "rack"]
    assert (rack.fault_parts, rack.hosts_out, rack.memory_survives) == (2, 3, False)


def test_hardware_ages_and_software_does_not():
    run = own(lifetime="weibull", shape=0.8, age_s=10 * DAY, repair_s=DAY, followed_share=0.1)
    for cause in run.causes:
        old = (cause.lifetime, cause.age_s, cause.followed_share)
        assert old == (("exponential", 0.0, 0.0) if cause.strikes == "job" else ("weibull", 10 * DAY, 0.1))


def test_everything_fails_so_often_more():
    assert mtbf_s(own(failure_factor=3.0)) == pytest.approx(mtbf_s(own()) / 3)


def test_own_causes_are_taken_as_they_are():
    mine = FaultCause(name="mine", strikes="job", fault_parts=1, part_mtbf_s=100.0)
    assert own(causes=(mine,)).causes == (mine,)
    assert own(causes=(mine,), failure_factor=2.0).causes == (dataclasses.replace(mine, part_mtbf_s=50.0),)
    with pytest.raises(InvalidInput, match="contradict"):
        own(causes=(mine,), card_mtbf_s=5.0)


def test_storage_by_host_or_in_all():
    assert own(host_bytes_per_s=1e9).checkpointing.write_bytes_per_s == 4e9
    both = own(write_bytes_per_s=5e9).checkpointing
    assert (both.write_bytes_per_s, both.read_bytes_per_s) == (5e9, 5e9)
    assert own(write_bytes_per_s=5e9, read_bytes_per_s=1e9).checkpointing.read_bytes_per_s == 1e9


def test_a_size_needs_no_model():
    run = asked("", "", OWN[1], stored_bytes=1e12)
    assert run.checkpointing.stored_bytes == 1e12
    assert run.name.startswith("a checkpoint of given size")


def test_what_is_assumed_is_said_and_what_is_given_is_not():
    usual = " ".join(own().assumptions)
    for words in ("each card in 9.0 years", "repaired within", "2.00 GB/s of each host", "300 s on average"):
        assert words in usual
    told = " ".join(
        own(
            card_mtbf_s=DAY,
            repair_s=DAY,
            write_bytes_per_s=1e9,
            detection_s=1.0,
            restart_s=1.0,
            spare_hosts=1,
            stored_bytes=1.0,
            usd_per_accelerator_hour=2.0,
        ).assumptions
    )
    for words in ("each card", "repaired", "of each host,", "noticed", "schedule", "spare", "holds", "$"):
        assert f"{words} " not in told.replace("each card's", "").replace("each host without", "")


def test_a_preset_assumes_nothing_that_is_given():
    preset = fault_preset("llama-3-405b")
    said = asked("llama-3-405b").assumptions
    assert {one.words for one in preset.assumptions} <= set(said)
    for one in preset.assumptions:
        field = one.about[0]
        value = {"checkpoint_mode": "async", "spare_hosts": 5}.get(field, 1.0)
        value = 0.5 if field == "manual_share" else value
        assert one.words not in asked("llama-3-405b", **{field: value}).assumptions
    # What an assumption is about is what a question can give.
    known = {name for record in (FaultRates, Checkpointing, Recovery) for name in record.__dataclass_fields__}
    for one in preset.assumptions:
        assert set(one.about) <= known | {"host_bytes_per_s", "model", "cluster"}


def test_money_is_the_users_the_catalogues_or_unknown():
    assert own(usd_per_accelerator_hour=3.0).cards_usd_per_s == pytest.approx(32 * 3 / 3600)
    assert own(usd_per_accelerator_hour=0.0).cards_usd_per_s == 0
    assert own().cards_usd_per_s > 0
    assert asked("", "llama-3.1-8b", "m3-max").cards_usd_per_s == 0


def test_clusters_may_be_records():
    assert asked("", OWN[0], parse_cluster(OWN[1])).cards == 32


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({}, "say what is simulated"),
        ({"model": "llama-3.1-8b"}, "say what is simulated"),
        ({"cluster": OWN[1]}, "say which model"),
        ({"preset": "article-2048", "elastic_replicas": 4}, "give spare_hosts too"),
        ({"preset": "article-2048", "maintenance_s": 4.0}, "maintenance_per_day"),
        ({"preset": "article-2048", "snapshot_s": 4.0}, "async"),
        ({"preset": "article-2048", "memory_load_s": 4.0}, "memory_interval_s"),
        ({"preset": "article-2048", "slowdown": 4.0}, "straggler_mtbf_s"),
        ({"preset": "article-2048", "shape": 2.0}, "weibull"),
        ({"preset": "article-2048", "lifetime": "weibull"}, "needs a shape"),
        ({"preset": "article-2048", "lifetime": "bathtub"}, "walls"),
        ({"preset": "article-2048", "wear_s": 9.0}, "bathtub"),
        ({"preset": "article-2048", "host_bytes_per_s": 1.0, "write_bytes_per_s": 1.0}, "not both"),
        ({"preset": "article-2048", "restart": 1.0}, "unknown option 'restart'; did you mean restart_s"),
        ({"preset": "article-2048", "restart_s": -1.0}, "at least 0"),
        ({"preset": "article-2048", "restart_s": float("nan")}, "at least 0, not nan"),
        ({"preset": "article-2048", "restart_s": 1e13}, "at most"),
        ({"preset": "article-2048", "restart_s": "1"}, "must be a number"),
        ({"preset": "article-2048", "spare_hosts": 1.5}, "whole number"),
        ({"preset": "article-2048", "duration_s": 0.0}, "more than 0"),
        ({"preset": "article-2048", "usd_per_accelerator_hour": "x"}, "must be a number"),
    ],
)
def test_contradictions_are_refused(question, words):
    with pytest.raises(InvalidInput, match=words):
        asked(**question)


def test_unknown_presets_offer_the_nearest():
    with pytest.raises(UnknownName, match="did you mean llama-3-405b"):
        fault_preset("llama-3-450b")
