"""Slow views open without their answer, which the page then asks for."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient
from tests.unit.web.questions import reply

from farthing.web.answers import Job
from farthing.web.app import create_app
from farthing.web.settings import Settings
from farthing.web.view import View
from farthing.web.views import VIEWS

SLOW = [view for view in VIEWS.values() if view.slow]


@pytest.mark.parametrize("view", SLOW, ids=lambda view: view.name)
def test_a_slow_view_opens_at_once_and_asks_then(view: View) -> None:
    text = reply(view.name, "page").body.decode()
    assert 'class="verdict' not in text
    opening = text[text.index('class="opening"') :]
    assert f'hx-get="/{view.name}"' in opening
    assert 'hx-trigger="load"' in opening
    assert re.search(rf'<noscript>.*href="/{view.name}\?[^"]+"', opening)
    assert 'hx-indicator="#answer, #working"' in text


@pytest.mark.parametrize("view", VIEWS.values(), ids=lambda view: view.name)
def test_only_a_page_without_a_question_opens_so(view: View) -> None:
    assert Job(view=view.name, form="page", values=()).opens == view.slow
    assert Job(view=view.name, form="page", values=(("model", ""),)).opens == view.slow
    assert not Job(view=view.name, form="part", values=()).opens
    assert not Job(view=view.name, form="page", values=(("model", "llama-2-7b"),)).opens


def test_the_address_that_is_shown_is_no_new_step_of_the_history() -> None:
    question = "model=llama-2-7b&cluster=rtx-4090"
    with TestClient(create_app(Settings(workers=0, requests_per_s=0.0, names=("*",)))) as client:
        for shown, pushed in ((f"/inference?{question}", None), ("/inference", f"/inference?{question}")):
            headers = {"hx-request": "true", "hx-current-url": f"http://testserver{shown}"}
            found = client.get(f"/inference?{question}", headers=headers)
            assert found.headers.get("hx-push-url") == pushed
