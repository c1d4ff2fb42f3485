"""What tests of views ask: a question in each form, as the command says it, and in Python."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import shlex
from typing import Any

import click
import pytest

from farthing.cli.main import main
from farthing.report.encoding import json_text
from farthing.web.answers import Form, Job, Reply, reply_to
from farthing.web.view import View
from farthing.web.views import VIEWS

OUTPUTS = {
    "as_json",
    "chart",
    "plots",
    "out",
    "force",
    "debug",
    "explain",
    "explain_depth",
    "sensitivity",
}
"""Options that say how an answer is given; a page gives it in all ways."""


def reply(view: str, form: Form = "json", number: str = "", **values: Any) -> Reply:
    return reply_to(Job(view=view, form=form, values=tuple(values.items()), number=number))


def record(view: str, **values: Any) -> Any:
    """The answer as JSON."""
    found = reply(view, **values)
    assert found.status == 200, json.loads(found.body)
    return json.loads(found.body)


def page(view: str, **values: Any) -> str:
    found = reply(view, "page", **values)
    text = found.body.decode()
    assert found.status == 200, text[text.index("No answer") :][:400]
    return text


def shown(text: str) -> set[float]:
    """Numbers that a page shows."""
    return {float(value) for value in re.findall(r'<data value="([^"]*)">', text)}


def numbers(value: Any) -> set[float]:
    """All numbers of a record."""
    if isinstance(value, dict):
        return {number for part in value.values() for number in numbers(part)}
    if isinstance(value, list):
        return {number for part in value for number in numbers(part)}
    return {float(value)} if isinstance(value, (int, float)) and not isinstance(value, bool) else set()


def table(view: str, **values: Any) -> list[dict[str, str]]:
    found = reply(view, "csv", **values)
    assert (found.status, found.media_type) == (200, "text/csv")
    return list(csv.DictReader(io.StringIO(found.body.decode())))


def complaint(view: str, **values: Any) -> tuple[int, str]:
    """Status and message of a refusal, which says the same on the page."""
    found = reply(view, **values)
    message: str = json.loads(found.body)["error"]["message"]
    told = reply(view, "page", **values)
    assert told.status == found.status
    assert "No answer" in told.body.decode()
    return found.status, message


def given(view: View, **values: Any) -> dict[str, Any]:
    return view.question.model_validate(values).given


def typed(view: str, capsys: pytest.CaptureFixture[str], **values: Any) -> Any:
    """What the command that the page tells prints with ``--json``."""
    line = VIEWS[view].command_line(given(VIEWS[view], **values))
    program, *words = shlex.split(line)
    assert program == "farthing"
    capsys.readouterr()
    assert main([*words, "--json"]) in (0, 3)
    return json.loads(capsys.readouterr().out)


def evaluated(view: str, **values: Any) -> Any:
    """What the Python call that the page tells returns, as JSON."""
    body = ast.parse(VIEWS[view].python_call(given(VIEWS[view], **values))).body
    last = body.pop()
    assert isinstance(last, ast.Expr)
    names: dict[str, Any] = {}
    exec(compile(ast.Module(body, []), "page", "exec"), names)
    return json.loads(json_text(eval(compile(ast.Expression(last.value), "page", "eval"), names)))


def check_options(view: View, command: click.Command, *, unasked: frozenset[str] = frozenset()) -> None:
    """Each field has an option of the command, and each option that is no output a field."""
    spelled: dict[str, str] = {}
    for parameter in command.params:
        for option in (*parameter.opts, *parameter.secondary_opts):
            spelled[option] = parameter.name or ""
    found = set()
    for ask in view.asks:
        options = [option for option in ask.option.split("/") if option] or [ask.name]
        for option in options:
            assert option in spelled, f"{ask.name}: the command has no {option}"
            found.add(spelled[option])
    left = {parameter.name for parameter in command.params} - found - OUTPUTS - unasked
    assert not left, f"nothing asks for {left}"
