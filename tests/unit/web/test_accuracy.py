"""The view of accuracy: its figures, its points and where they lead, and what is refused."""

import csv
import html
import io
import json
import math
import re
import shlex
from typing import Any

import pytest

from farthing import api
from farthing.cli.main import main
from farthing.report.encoding import json_text
from farthing.web.answers import Form, Job, Reply, reply_to
from farthing.web.views.accuracy import CASES, GROUP, VIEW, case_id


def reply(form: Form, number: str = "", **values: str) -> Reply:
    return reply_to(Job(view="accuracy", form=form, values=tuple(values.items()), number=number))


def page(**values: str) -> str:
    found = reply("page", **values)
    assert found.status == 200
    return found.body.decode()


def told(**values: str) -> Any:
    return json.loads(reply("json", **values).body)


def chart_of(shown: str) -> Any:
    """The first chart of a page, as the browser reads it."""
    found = re.search(r"<template>(.*?)</template>", shown)
    assert found
    return json.loads(html.unescape(found[1]))


def test_the_table_has_the_figures_of_the_json() -> None:
    shown, overview = page(), told()["accuracy"]
    assert overview == json.loads(json_text(api.accuracy()))
    assert f"{overview['predicted']:,} of {overview['cases']:,} published numbers" in shown
    for row in overview["by_group"]:
        for name in ("cases", "median_error", "inside_80"):
            if row[name] is not None:
                assert f'<data value="{row[name]}">' in shown
        assert f">{html.escape(row['group'])}</a>" in shown


def test_what_is_chosen_is_the_json_and_a_csv() -> None:
    group, source = "consumer, decode", "lhl strix-halo-testing"
    for values in ({"group": group}, {"group": group, "source": source}, {"quantity": "gpu_hours"}):
        found = [one for one in api.outcomes(**values) if not one.fitted]
        assert told(**values)["outcomes"] == json.loads(json_text(found))
        rows = list(csv.DictReader(io.StringIO(reply("csv", **values).body.decode())))
        assert [float(row["measured"]) for row in rows] == [one.measured for one in found]
    assert told()["outcomes"] == told(group=GROUP)["outcomes"]


def test_fitted_numbers_are_shown_where_that_is_asked_or_there_are_no_others() -> None:
    group = "LLM pre-training, full layout, 8 cards or more"
    every = api.outcomes(group=group)
    assert len(told(group=group)["outcomes"]) == sum(not one.fitted for one in every)
    assert len(told(group=group, fitted="yes")["outcomes"]) == len(every)
    alone = "LLM pre-training, full layout, fewer than 8 cards"
    assert len(told(group=alone)["outcomes"]) == 720
    assert "Constants were fitted to all of them" in page(group=alone)


def test_a_point_leads_to_its_measurement_and_the_source() -> None:
    layers = chart_of(page(group=GROUP))["light"]["layer"]
    points = [row for layer in layers for row in layer["data"]["values"] if row.get("link")]
    assert len(points) > 300
    known = {case_id(one): one for one in api.outcomes(group=GROUP)}
    for point in points[::50]:
        address, _, query = point["link"].partition("?")
        assert address == "accuracy/explain"
        number = query.partition("number=")[2]
        one = known[number]
        assert (point["x"], point["y"]) == (one.measured, one.predicted)
        body = html.unescape(reply("explain", number=number, group=GROUP).body.decode())
        assert one.setup in body
        assert one.citation in body
        assert (f'href="{one.url}"' in body) == bool(one.url)


def test_the_worst_come_first_and_more_are_shown_up_to_a_limit() -> None:
    shown = page(group=GROUP)
    outcomes = [one for one in api.outcomes(group=GROUP) if not one.reason and not one.fitted]
    worst = sorted(outcomes, key=lambda one: -abs(math.log(one.predicted / one.measured)))
    assert f"{CASES} of {len(outcomes)}" in shown
    for one in worst[:CASES]:
        assert html.escape(one.setup) in shown
        assert f'<data value="{one.measured}">' in shown
    more = page(group=GROUP, cases="200")
    assert "200 of 404" in more
    assert more.count('<th scope="row" class="wide">') >= 200
    assert reply("json", cases="201").status == 422


def test_a_source_alone_and_a_choice_of_nothing() -> None:
    shown = page(source="MLPerf Training v5.0")
    assert '<h2 class="part">MLPerf Training v5.0' in shown
    empty = page(group=GROUP, quantity="gpu_hours")
    assert "No number that was chosen is predicted" in empty
    assert told(group=GROUP, quantity="gpu_hours")["outcomes"] == []


def test_reasons_are_told() -> None:
    shown = html.unescape(page())
    for row in api.accuracy().refusals:
        assert row.reason in shown
    refused = next(one for one in api.outcomes(group=GROUP) if one.reason)
    body = html.unescape(reply("explain", number=case_id(refused), group=GROUP).body.decode())
    assert refused.reason in body


def test_figures_are_explained() -> None:
    body = reply("explain", number="baseline_error").body.decode()
    assert "one constant times what the peaks give" in body


@pytest.mark.parametrize(
    ("values", "status", "words"),
    [
        ({"group": "consumer, decoding"}, 404, "did you mean consumer, decode"),
        ({"source": "nobody"}, 404, "unknown source"),
        ({"quantity": "ttft"}, 404, "unknown measured quantity"),
        ({"fitted": "perhaps"}, 422, "neither yes nor no"),
        ({"group": "\x00"}, 422, "ordinary characters"),
    ],
)
def test_bad_names_are_told(values: dict[str, str], status: int, words: str) -> None:
    found = reply("json", **values)
    assert found.status == status
    assert words in json.loads(found.body)["error"]["message"]
    assert reply("page", **values).status == status
    assert reply("explain", number="consumer/x/y").status == 404


@pytest.mark.parametrize("given", [{}, {"group": "consumer, saturated", "source": "lhl strix-halo-testing"}])
def test_the_command_and_the_call_are_ones(given: dict[str, str], capsys: Any) -> None:
    # Comparing all of them anew takes too long here; the words are read all the same.
    assert main([*shlex.split(VIEW.command_line(given))[1:], "--help"]) == 0
    assert VIEW.command_line(given) == "farthing validate"
    scope: dict[str, Any] = {}
    *before, last = VIEW.python_call(given).splitlines()
    exec("\n".join([*before, f"found = {last}"]), scope)
    assert json.loads(json_text(scope["found"])) == told(**given, fitted="yes")["outcomes"]
