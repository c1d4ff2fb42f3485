"""A thousand requests that break the OpenAPI document, made from it: none is an error of the server."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from farthing.web.app import create_app
from farthing.web.settings import Settings
from farthing.web.views import VIEWS

schemathesis = pytest.importorskip("schemathesis")

REQUESTS = 1000
APP = create_app(Settings(workers=0, requests_per_s=0.0, names=("*",)))
SCHEMA = schemathesis.openapi.from_asgi("/api/openapi.json", APP)
OPERATIONS = {found.ok().label: found.ok() for found in SCHEMA.get_all_operations()}
EACH = math.ceil(REQUESTS / len(OPERATIONS))

# No example is kept or made smaller: each is one request.
QUICK = settings(
    max_examples=EACH,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("label", OPERATIONS)
def test_a_malformed_request_is_no_error_of_the_server(label: str) -> None:
    sent = 0

    @QUICK
    @given(case=OPERATIONS[label].as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))
    def ask(case: Any) -> None:
        nonlocal sent
        sent += 1
        answer = case.call()
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400:
            assert answer.json()["error"]["message"]

    ask()
    assert sent >= EACH


USUAL = [
    "0",
    "-1",
    "NaN",
    "1e999",
    "../../etc/passwd",
    "<b>",
    "'",
    '"',
    "yes",
    "1",
    "8",
    "llama-2-7b",
    "rtx-4090",
]
TEXTS = st.text(max_size=40) | st.sampled_from(USUAL)
QUICK_VIEWS = [name for name, view in VIEWS.items() if not view.slow]


@pytest.mark.parametrize("name", QUICK_VIEWS)
def test_a_page_of_a_malformed_question_is_no_error_of_the_server(name: str) -> None:
    fields = [ask.name for ask in VIEWS[name].asks]
    client = TestClient(APP)

    @settings(QUICK, max_examples=40)
    @given(values=st.dictionaries(st.sampled_from([*fields, "unheard_of"]), TEXTS, min_size=1, max_size=4))
    def ask(values: dict[str, str]) -> None:
        answer = client.get(f"/{name}", params=values)
        assert answer.status_code < 500
        if answer.status_code != 200:
            assert "No answer" in answer.text
            assert "<b>" not in answer.text.partition('class="verdict bad"')[2].partition("</div>")[0]
        explained = client.get(f"/{name}/explain", params={"number": next(iter(values.values()))})
        assert explained.status_code < 500

    ask()


@pytest.mark.parametrize("path", ["/%ff", "/static/../app.py", "/static/%2e%2e/app.py", "/a" * 900])
def test_addresses_that_are_none_are_told_so(path: str) -> None:
    assert TestClient(APP).get(path).status_code in (400, 404)
