"""The kept outcomes: small, found again, and with the statistics that their comparisons have."""

from __future__ import annotations

import gzip
from importlib import resources

import msgspec
import numpy as np
import pytest

from farthing import api
from farthing.errors import UnknownName
from farthing.evidence import outcomes as kept
from farthing.evidence.accuracy import column_statistics, statistics
from farthing.evidence.load import COLUMNS, shipped
from farthing.evidence.validate import compare_chunk, marked, with_interval
from farthing.evidence.words import QUANTITIES, published_in, setup_words
from farthing.records.comparison import Case

LARGEST = 1.5e6


def test_the_file_is_small() -> None:
    content = (resources.files("farthing.evidence") / kept.FILE).read_bytes()
    assert len(content) < LARGEST
    # No time of writing: the same outcomes give the same bytes.
    assert content[4:8] == b"\0\0\0\0"
    assert gzip.decompress(content)


def test_it_is_read_once() -> None:
    assert api.accuracy() is api.accuracy()
    assert api.outcomes(kind="cluster") is api.outcomes(kind="cluster")


def test_packing_keeps_numbers_and_order() -> None:
    comparisons = [
        with_interval(marked(one, own=False), own=False)
        for kind in ("cluster", "serving_online")
        for one in compare_chunk(shipped(kind)[:40])
    ]
    content = kept.packed(comparisons)
    assert content == kept.packed(comparisons)
    found = msgspec.json.decode(gzip.decompress(content), type=kept.Shipped)
    assert [found.quantities[place] for place in found.quantity] == [one.quantity for one in comparisons]
    assert [found.reasons[place] for place in found.reason] == [one.reason for one in comparisons]
    predicted = [one.predicted for one in comparisons if not one.reason]
    assert [value for value in found.predicted if value] == pytest.approx(predicted, rel=1e-7)


def test_statistics_are_those_of_comparisons() -> None:
    rows = kept.columns()
    cluster = [with_interval(marked(one, own=False), own=False) for one in compare_chunk(shipped("cluster"))]
    places = [i for i, place in enumerate(kept.read().kind) if kept.read().kinds[place] == "cluster"]
    ours, theirs = column_statistics(rows.only(np.array(places))), statistics(cluster)
    assert ours == pytest.approx(theirs, rel=1e-4, nan_ok=True)


def test_each_number_is_found_with_its_row() -> None:
    found = api.outcomes(kind="cluster")
    cases = {case.id: case for case in shipped("cluster")}
    for one in found:
        case = cases[one.id]
        assert one.source == case.source
        assert one.measured == pytest.approx(float(case.cells["value"]))
        assert one.setup == setup_words(case)
        assert one.citation == published_in(case)
    assert sum(row.cases for row in api.accuracy().by_group if row.kind == "cluster") <= len(found)


def test_filters_go_together() -> None:
    both = api.outcomes(group="consumer, decode", source="XiongjieDai GPU-Benchmarks (May 2024)")
    assert both
    assert {(one.group, one.source) for one in both} == {
        ("consumer, decode", "XiongjieDai GPU-Benchmarks (May 2024)")
    }
    assert api.outcomes(kind="gemm", quantity="ttft_ms") == ()


@pytest.mark.parametrize("name", ["kind", "group", "quantity", "source"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UnknownName, match="nothing like it"):
        api.outcomes(**{name: "nothing like it"})


def test_every_quantity_has_words_and_every_row_a_setup() -> None:
    assert set(kept.read().quantities) <= set(QUANTITIES)
    for kind in COLUMNS:
        for case in shipped(kind)[:200]:
            assert setup_words(case)
            assert "  " not in setup_words(case)


def test_what_was_found_by_its_text_has_no_citation() -> None:
    cells = {"url_or_repo_path": "find_string id 69726717747"}
    assert published_in(Case(file="", id="1", source="us", kind="cluster", cells=cells)) == ""
