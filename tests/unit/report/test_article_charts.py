"""Charts of the article: every number is drawn, or told, or within a tenth."""

from __future__ import annotations

import dataclasses

from farthing import api
from farthing.records.article import SECTIONS
from farthing.report.article_charts import LARGEST, OFF, article_charts, distance_chart, ratio_chart


def test_all_parts_have_a_chart_that_can_be_drawn() -> None:
    charts = article_charts(api.article_rows())
    assert len(charts) == 1 + len(SECTIONS)
    assert all(chart.drawable is chart for chart in charts)
    assert [
        title for title in SECTIONS.values() if not any(one.title.startswith(title) for one in charts)
    ] == []


def test_distances_count_every_printed_number() -> None:
    rows = api.article_rows()
    recomputed, realistic = distance_chart(rows).series
    assert sum(point.x for point in recomputed.points) == sum(row.printed is not None for row in rows)
    assert sum(point.x for point in realistic.points) == sum(row.realistic_ratio is not None for row in rows)
    # The article's arithmetic is nearly right, its assumptions are not.
    assert recomputed.points[0].x > realistic.points[0].x


def test_what_is_off_is_drawn_or_told() -> None:
    for section in SECTIONS:
        rows = api.article_rows(section)
        chart = ratio_chart(rows)
        drawn = {point.label for one in chart.series for point in one.points}
        for row in rows:
            ratios = [ratio for ratio in (row.recomputed_ratio, row.realistic_ratio) if ratio is not None]
            beyond = any(ratio > LARGEST for ratio in ratios)
            off = any(abs(ratio - 1) > OFF for ratio in ratios)
            assert (row.what in drawn) is (off and not beyond), row.id
            assert (row.what in chart.note) is beyond, row.id
        assert all(point.x <= LARGEST and point.detail for one in chart.series for point in one.points)


def test_nothing_to_draw() -> None:
    row = dataclasses.replace(api.article_rows()[0], printed=None)
    assert article_charts([row]) == ()
    assert article_charts([]) == ()
