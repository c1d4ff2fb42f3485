"""Published runs under faults: their counts, and files that are refused."""

import pytest

from farthing.catalog.cluster import parse_cluster
from farthing.catalog.fault_presets import fault_preset, fault_presets, read_fault_presets
from farthing.catalog.shapes import find_model
from farthing.errors import CatalogError
from farthing.units import DAY

GOOD = """
[mine]
name = "Mine"
source = "meta-2024-llama3"
model = "llama-3.1-8b"
cluster = "1x8:h100-sxm"
duration_days = 2
[[mine.causes]]
name = "card"
strikes = "card"
events = 3
repair_hours = 4
"""


def test_llama_3_has_the_counts_of_table_5():
    found = fault_preset("LLaMA-3-405B")
    by_kind = {}
    for cause in found.causes:
        by_kind[cause.strikes] = by_kind.get(cause.strikes, 0) + cause.events
    assert by_kind == {"card": 268, "host": 46, "link": 42, "job": 63}
    assert sum(by_kind.values()) + found.planned_events == 466
    assert found.duration_s == 54 * DAY


@pytest.mark.parametrize("name", sorted(fault_presets()))
def test_models_and_clusters_exist_and_assumptions_are_said(name):
    found = fault_presets()[name]
    assert find_model(found.model).id == found.model
    assert parse_cluster(found.cluster).count >= 2048
    assert found.assumptions
    assert found.published


def test_units_of_a_file_are_converted():
    found = read_fault_presets(GOOD)["mine"]
    assert found.duration_s == 2 * DAY
    assert found.causes[0].repair_s == 4 * 3600


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (GOOD.replace("events", "count"), "no such field"),
        (GOOD.replace('model = "llama-3.1-8b"\n', ""), "is missing"),
        (GOOD.replace("duration_days = 2", "duration_days = 2\nduration_s = 5"), "another field fills"),
        (GOOD.replace('"card"\nevents', '"disk"\nevents'), "Invalid enum value|one of"),
        (GOOD.replace("events = 3", "events = -3"), "at least 0"),
        (GOOD.replace("events = 3", "events = 3\npart_mtbf_days = 3"), "one of them"),
        (GOOD.replace("events = 3", 'events = "3"'), "Expected"),
        (GOOD.replace("meta-2024-llama3", "doe-2020"), "references.bib"),
        (GOOD.replace("duration_days = 2", "duration_days = 0"), "more than 0"),
        (GOOD.split("[[")[0], "nothing fails"),
        ("causes = 3\n" + GOOD, "outside of any table"),
        (GOOD.split("[[")[0] + "causes = 3", r"\[\[mine.causes\]\]"),
        (GOOD + "[", "TOML"),
    ],
)
def test_slips_are_refused(text, problem):
    with pytest.raises(CatalogError, match=problem):
        read_fault_presets(text)
