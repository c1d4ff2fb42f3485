"""The article's view: its numbers, what is marked, and how each comes about."""

import csv
import io
import json
import shlex
from typing import Any

import pytest

from farthing import api
from farthing.cli.main import main
from farthing.records.article import SECTIONS
from farthing.report.article import shown
from farthing.report.encoding import json_text
from farthing.web.answers import Form, Job, Reply, reply_to
from farthing.web.views.article import VIEW


def reply(form: Form, number: str = "", **values: str) -> Reply:
    return reply_to(Job(view="article", form=form, values=tuple(values.items()), number=number))


@pytest.mark.parametrize("section", ["", *SECTIONS])
def test_a_part_shows_the_numbers_of_the_json(section: str) -> None:
    values = {"section": section} if section else {}
    rows = api.article_rows(section)
    told = json.loads(reply("json", **values).body)
    assert told == json.loads(json_text(rows))
    page = reply("page", **values).body.decode()
    for row in told:
        for name in ("printed", "recomputed", "realistic"):
            if row[name] is not None:
                assert f'<data value="{row[name]}">' in page, row["id"]
    assert page.count('<th scope="row">') == len(rows)
    table = list(csv.DictReader(io.StringIO(reply("csv", **values).body.decode())))
    assert [float(row["recomputed"]) for row in table] == [row.recomputed for row in rows]


def test_what_is_off_by_more_than_a_tenth_is_marked_in_words_too() -> None:
    page = reply("page").body.decode()
    ratios = [
        ratio
        for row in api.article_rows()
        for ratio in (row.recomputed_ratio, row.realistic_ratio)
        if ratio is not None
    ]
    off = sum(abs(ratio - 1) > 0.1 for ratio in ratios)
    assert page.count('class="off">') == off + 1  # the sentence that says so
    assert page.count(", off by more than 10%</span>") == off > 20


def test_a_number_is_derived() -> None:
    row = next(row for row in api.article_rows() if row.id == "mem-total")
    body = reply("explain", number="mem-total").body.decode()
    assert shown(row.recomputed, row.unit) in body
    assert "Derivation" in body
    assert row.explanation.name in body


def test_bad_names_are_told() -> None:
    found = reply("json", section="training")
    assert found.status == 422
    assert "choose one of these" in json.loads(found.body)["error"]["message"]
    missing = reply("explain", number="mem-totals")
    assert missing.status == 404
    assert "did you mean mem-total" in missing.body.decode()


@pytest.mark.parametrize("given", [{}, {"section": "infer"}])
def test_the_command_and_the_call_ask_the_same(given: dict[str, str]) -> None:
    assert main(shlex.split(VIEW.command_line(given))[1:]) == 0
    scope: dict[str, Any] = {}
    *before, last = VIEW.python_call(given).splitlines()
    exec("\n".join([*before, f"found = {last}"]), scope)
    assert json.loads(json_text(scope["found"])) == json.loads(reply("json", **given).body)
