"""The server's edges: headers, limits, hosts, prefixes, and what is told of bad requests."""

import json
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from farthing.web.app import create_app
from farthing.web.guard import Rate
from farthing.web.settings import Settings
from farthing.web.views import VIEWS

QUICK = Settings(workers=0, requests_per_s=0.0, names=("*",))
QUESTION = {"model": "llama-2-7b", "cluster": "rtx-4090"}


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(QUICK)) as made:
        yield made


@pytest.mark.parametrize(
    "path", ["/", "/inference", "/api/inference", "/api", "/nowhere", "/static/page.css"]
)
def test_every_answer_has_the_headers_that_keep_a_browser_safe(client: TestClient, path: str) -> None:
    headers = client.get(path, params=QUESTION if path == "/inference" else {}).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert "set-cookie" not in headers
    assert "access-control-allow-origin" not in headers
    assert headers["cache-control"] == (
        "public, max-age=31536000, immutable" if path.startswith("/static") else "no-store"
    )


def test_pages_hold_no_script_and_no_style_of_their_own(client: TestClient) -> None:
    page = client.get("/inference", params=QUESTION).text
    assert " style=" not in page
    assert " onclick=" not in page
    assert "<script>" not in page
    assert "http://" not in page.replace("http://www.w3.org/", "").replace("http://127.0.0.1", "")


def test_what_is_sent_never_becomes_markup(client: TestClient) -> None:
    trick = '"><script>alert(1)</script>'
    for path in ("/inference", "/compare"):
        answer = client.get(path, params={"model": trick, "engine": trick})
        assert answer.status_code in (404, 422)
        assert "<script>alert" not in answer.text
    refused = client.get("/api/inference", params={trick: "1"})
    assert refused.status_code == 422
    assert "alert" not in refused.text


def test_a_page_opens_no_files(client: TestClient, tmp_path: object) -> None:
    for name in ("/etc/passwd", "-", "shape.toml", "org/name", "../x.gguf"):
        assert client.get("/api/inference", params={"model": name}).status_code in (404, 422), name
    for name in ("/etc/passwd", "-", "cluster.toml", "../cluster.toml"):
        assert client.get("/api/inference", params={**QUESTION, "cluster": name}).status_code in (404, 422)


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ({"model": "lama-2-70b"}, 404, "did you mean llama-2-70b"),
        ({"cluster": "1x8:rtx-4900"}, 404, "rtx-4090"),
        ({"tp": "0"}, 422, "out of range"),
        ({"tp": "-1"}, 422, "out of range"),
        ({"tp": "NaN"}, 422, "not a whole number"),
        ({"tp": "1e999"}, 422, "whole number"),
        ({"batch_size": "1,,2"}, 422, "not a whole number"),
        ({"tpot_s": "fast"}, 422, "write it like 50ms"),
        ({"objective": "speed"}, 422, "tokens-per-s"),
        ({"unheard_of": "1"}, 422, "unknown field; known: model"),
        ({"model": ""}, 422, "model is missing"),
        ({"cluster": "SECRET.TOML"}, 422, "not a cluster"),
        ({"search": "maybe"}, 422, "neither yes nor no"),
        ({"model": "x" * 500}, 422, "at most 400"),
        ({"changes": "layers"}, 422, "layers=40"),
        ({"changes": "layerz=4"}, 422, "layers"),
        ({"usd_per_kwh": "-1"}, 422, "out of range"),
    ],
)
def test_a_bad_question_is_told_what_to_change(
    client: TestClient, query: dict[str, str], status: int, words: str
) -> None:
    answer = client.get("/api/inference", params={**QUESTION, **query})
    assert answer.status_code == status
    assert words in answer.json()["error"]["message"]
    page = client.get("/inference", params={**QUESTION, **query})
    assert page.status_code in (404, 422)
    assert "No answer" in page.text


def test_cards_are_read_as_people_write_them(client: TestClient) -> None:
    for text, name in (
        ("3x RTX 3090", "1x3:rtx-3090"),
        ("GTX 1080 Ti", "gtx-1080-ti"),
        ("rtx4090", "rtx-4090"),
    ):
        found = client.get("/api/inference", params={"model": "llama-2-7b", "cluster": text})
        assert found.json()["cluster"] == name


def test_a_field_that_comes_again_has_several_values(client: TestClient) -> None:
    twice = client.get("/api/inference?model=llama-2-7b&cluster=1x2:rtx-4090&tp=1&tp=2")
    assert twice.json() == client.get("/api/inference?model=llama-2-7b&cluster=1x2:rtx-4090&tp=1,2").json()
    assert client.get("/api/inference?model=llama-2-7b&model=llama-2-13b&cluster=rtx-4090").status_code == 422


def test_refusals_are_pages_for_people_and_json_for_programs() -> None:
    with TestClient(create_app(Settings(workers=0, requests_per_s=0.0))) as client:
        named = {"host": "evil.example"}
        assert client.get("/api/inference", headers=named).json()["error"]["kind"] == "wrong-host"
        page = client.get("/", headers=named | {"accept": "text/html"})
        assert page.status_code == 400
        assert "--name" in page.text
        part = client.get("/inference", headers=named | {"hx-request": "true"}).text
        assert part.startswith('<div class="verdict bad"')


def test_pages_answer_monitors_that_ask_for_the_head_alone(client: TestClient) -> None:
    assert client.head("/inference", params=QUESTION).status_code == 200
    assert client.head("/").status_code == 200


def test_blank_fields_are_not_given(client: TestClient) -> None:
    blank = client.get("/api/inference", params={**QUESTION, "tp": "", "tpot_s": ""})
    assert blank.json() == client.get("/api/inference", params=QUESTION).json()


def test_a_body_asks_as_an_address_does(client: TestClient) -> None:
    body = client.post("/api/inference", json={**QUESTION, "batch_size": [1, 4], "tpot_s": 0.5})
    query = client.get("/api/inference", params={**QUESTION, "batch_size": "1,4", "tpot_s": "500ms"})
    assert body.status_code == 200
    assert body.json() == query.json()


@pytest.mark.parametrize("content", ["{", "[]", "1", '"x"', "null", '{"tp": {"a": 1}}', "\x00", "[" * 5000])
def test_a_body_that_is_no_question_is_refused(client: TestClient, content: str) -> None:
    sent = client.post("/api/inference", content=content, headers={"content-type": "application/json"})
    assert sent.status_code in (400, 422)
    assert sent.json()["error"]["message"]


def test_a_large_body_and_a_long_address_are_refused(client: TestClient) -> None:
    assert client.post("/api/inference", content=b"x" * 100_000).status_code == 413
    assert client.get("/api/inference?model=" + "x" * 10_000).status_code == 414


def test_other_names_of_this_host_are_refused() -> None:
    with TestClient(create_app(Settings(workers=0, requests_per_s=0.0))) as client:
        assert client.get("/api", headers={"host": "evil.example"}).status_code == 400
        assert client.get("/api", headers={"host": "localhost:8300"}).status_code == 200


def test_one_client_cannot_ask_without_end() -> None:
    settings = Settings(workers=0, requests_per_s=1.0, burst=3.0, names=("*",))
    with TestClient(create_app(settings)) as client:
        codes = [client.get("/api").status_code for _ in range(5)]
        assert codes[:3] == [200, 200, 200]
        assert codes[-1] == 429
        refused = client.get("/api")
        assert int(refused.headers["retry-after"]) >= 1
        assert client.get("/static/page.css").status_code == 200


def test_a_rate_forgets_whom_it_has_not_seen_for_longest() -> None:
    rate = Rate(per_s=1.0, burst=1.0)
    for number in range(10_050):
        rate.wait_s(f"client {number}", 1.0, now=0.0)
    assert rate.wait_s("client 10049", 1.0, now=0.0) > 0
    assert rate.wait_s("client 0", 1.0, now=0.0) == 0


def test_too_many_waiting_questions_are_sent_away() -> None:
    settings = Settings(workers=0, requests_per_s=0.0, waiting=0, names=("*",))
    with TestClient(create_app(settings)) as client:
        refused = client.get("/api/inference", params=QUESTION)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "5"


def test_a_prefix_stands_before_every_address() -> None:
    settings = Settings(workers=0, requests_per_s=0.0, prefix="/far", names=("*",))
    with TestClient(create_app(settings)) as client:
        for path in ("/far/inference", "/inference"):  # proxies pass the prefix on, or take it off
            page = client.get(path, params=QUESTION)
            assert page.status_code == 200
            links = [part.split('"')[0] for part in page.text.split('href="')[1:]]
            assert all(link.startswith(("/far/", "#")) for link in links), links
        assert client.get("/far/static/page.css").status_code == 200
        assert client.get("/far/api/inference", params=QUESTION).status_code == 200


def test_a_part_is_a_page_without_what_stands_around_it(client: TestClient) -> None:
    part = client.get("/inference", params={**QUESTION, "pp": ""}, headers={"hx-request": "true"})
    assert not part.text.lstrip().startswith("<!DOCTYPE")
    assert part.headers["hx-push-url"] == "/inference?model=llama-2-7b&cluster=rtx-4090"
    whole = client.get("/inference", params=QUESTION)
    assert part.text.strip() in whole.text


def test_the_document_tells_every_view_and_every_record(client: TestClient) -> None:
    document = client.get("/api/openapi.json").json()
    for name in VIEWS:
        assert {"get", "post"} <= set(document["paths"][f"/api/{name}"])
        assert "get" in document["paths"][f"/api/{name}.csv"]
        assert name in document["components"]["schemas"]
    told = json.dumps(document)
    for part in told.split('"$ref": "')[1:]:
        assert part.split('"')[0].rpartition("/")[2] in document["components"]["schemas"]


def test_an_unknown_address_is_told_in_the_language_of_the_asker(client: TestClient) -> None:
    assert client.get("/api/nowhere").json()["error"]["kind"] == "no-such-page"
    page = client.get("/nowhere", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert "Start page" in page.text
    assert client.delete("/api/inference").status_code == 405
