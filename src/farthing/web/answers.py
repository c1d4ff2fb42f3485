"""Answers to questions in the form that was asked for; runs in a worker process."""

from __future__ import annotations

import csv
import functools
import io
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from farthing.errors import FarthingError, InvalidInput
from farthing.report.encoding import json_text
from farthing.web.asks import in_text, read_question
from farthing.web.problem import Problem, problem_of
from farthing.web.view import View
from farthing.web.views import VIEWS

Form = Literal["page", "part", "later", "json", "csv", "explain", "explain-page"]

KEPT: Final = 64
"""Answers that a process remembers: their other forms are asked for next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One question, and the form that its answer is wanted in.

    Attributes
    ----------
    view, form
        Of `VIEWS`; ``part`` is a page without what stands around the answer, as ``explain`` is a part of
        ``explain-page``; ``later`` is what the page asks for when the answer is there.
    values
        What was sent, by field: texts of an address, or JSON.
    prefix
        Before the addresses of the page.
    number
        The number to be explained.
    """

    view: str
    form: Form
    values: tuple[tuple[str, Any], ...]
    prefix: str = ""
    number: str = ""

    @property
    def opens(self) -> bool:
        """Whether it opens a slow view without a question: the page comes at once, its answer after it."""
        return self.form == "page" and VIEWS[self.view].slow and all(not value for _, value in self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What is sent back."""

    status: int
    media_type: str
    body: bytes
    headers: tuple[tuple[str, str], ...] = ()


def reply_to(job: Job) -> Reply:
    """The answer to a question, or what is wrong with it, in the form that was asked for.

    Examples
    --------
    >>> reply = reply_to(Job(view="inference", form="json", values=(("model", "llama-2-7b"),
    ...                                                             ("cluster", "rtx-4090"))))
    >>> reply.status, reply.media_type, b'"tpot_s"' in reply.body
    (200, 'application/json', True)
    >>> reply_to(Job(view="inference", form="json", values=(("model", "lama"),
    ...                                                        ("cluster", "rtx-4090")))).status
    404
    """
    view = VIEWS[job.view]
    values = dict(job.values)
    if job.opens:
        from farthing.web.pages import opening_page

        return Reply(status=200, media_type="text/html", body=opening_page(view, job).encode())
    try:
        given = _given(view, values)
        return _answered(view, job, given)
    except FarthingError as error:
        problem = problem_of(error)
    except RecursionError:
        problem = Problem("invalid-input", "the question is nested too deeply")
    except Exception:
        # What is wrong inside is for the server's own log; the answer says no more than that.
        traceback.print_exc()
        problem = Problem("internal", "this is a fault of farthing; please report what was asked")
    return refused(view, job, values, problem)


def _given(view: View, values: Mapping[str, Any]) -> dict[str, Any]:
    """Fields in SI units; the view's first question where none is given at all."""
    sent = {name: value for name, value in values.items() if value not in ("", None)}
    if not sent:
        return read_question(view.question, dict(view.first)).given
    given = read_question(view.question, {name: view.first[name] for name in view.filled} | sent).given
    for name in view.needed:
        if name not in given:
            raise InvalidInput(f"{name} is missing: give one, such as {in_text(view.first[name])}")
    return given


@functools.lru_cache(maxsize=KEPT)
def _remembered(name: str, given: tuple[tuple[str, Any], ...]) -> Any:
    return VIEWS[name].ask(dict(given))


def _answered(view: View, job: Job, given: dict[str, Any]) -> Reply:
    answer = _remembered(view.name, tuple(sorted(given.items())))
    if job.form == "json":
        return Reply(
            status=200, media_type="application/json", body=json_text(view.record(given, answer)).encode()
        )
    if job.form == "csv":
        named = (("content-disposition", f'attachment; filename="farthing-{view.name}.csv"'),)
        return Reply(status=200, media_type="text/csv", body=_csv(view.rows(answer)), headers=named)
    from farthing.web.pages import explanation_page, later_part, view_page

    if job.form in ("explain", "explain-page"):
        if view.explain is None:
            raise InvalidInput(f"{view.title} explains no numbers")
        body = explanation_page(view, job, view.explain(given, answer, job.number))
    elif job.form == "later":
        if view.later is None:
            raise InvalidInput(f"{view.title} shows all of its answer at once")
        body = later_part(view, job, view.later(given, answer))
    else:
        body = view_page(view, job, given, view.show(given, answer))
    return Reply(status=200, media_type="text/html", body=body.encode())


def refused(view: View, job: Job, values: Mapping[str, Any], problem: Problem) -> Reply:
    """What is told of a question without an answer, in the form that was asked for."""
    if job.form in ("json", "csv"):
        text = json_text({"error": {"kind": problem.kind, "message": problem.message}})
        media, body = "application/json", text.encode()
    else:
        from farthing.web.pages import refusal_page

        media, body = "text/html", refusal_page(view, job, values, problem).encode()
    headers = tuple(problem.headers.items())
    return Reply(status=problem.status, media_type=media, body=body, headers=headers)


def _csv(rows: Any) -> bytes:
    """Rows as CSV; cells that a spreadsheet would take for formulas are marked as text."""
    listed = list(rows)
    page = io.StringIO()
    names = list(dict.fromkeys(name for row in listed for name in row))
    writer = csv.DictWriter(page, names, lineterminator="\n")
    writer.writeheader()
    for row in listed:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return page.getvalue().encode()


def _cell(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value
