"""The page in a real browser: views, controls, links, charts, keyboard, screen readers, narrow screens."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from farthing.web.views import VIEWS

playwright = pytest.importorskip("playwright.sync_api")

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
WAIT_MS = 60_000

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
    # One server and one browser for all: they are started once.
    pytest.mark.xdist_group("page"),
]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """Of a server that runs as its users run it, on a port that was free."""
    command = [sys.executable, "-m", "farthing", "web", "--port", "0", "--rate", "0", "--workers", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        yield found.group().rstrip("/")
        server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        yield (made := started.chromium.launch(executable_path=CHROMIUM, args=FLAGS))
        made.close()


class Visit:
    """A tab, and all that went wrong in it."""

    def __init__(self, browser: Any, address: str, **options: Any) -> None:
        self.address = address
        self.context = browser.new_context(viewport={"width": 1440, "height": 900}, **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(WAIT_MS)
        self.wrong: list[str] = []
        self.foreign: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("request", self._request)

    def _console(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self.foreign.append(request.url)

    def open(self, path: str) -> Any:
        self.page.goto(self.address + path)
        self.settled()
        return self.page

    def settled(self) -> None:
        """Wait until the answer is there, and its charts are drawn."""
        self.page.wait_for_selector("#answer:not(.htmx-request) .verdict, #answer:not(.htmx-request) .card")
        self.page.wait_for_selector(".later, [data-chart]:not([data-drawn])", state="detached")

    def number(self, name: str) -> float:
        """Of a tile, in SI units."""
        return float(self.page.get_attribute(f'[data-number="{name}"] data', "value"))

    def api(self, view: str) -> Any:
        """What the API says to the question in the address bar."""
        query = self.page.url.partition("?")[2]
        with urllib.request.urlopen(f"{self.address}/api/{view}?{query}") as answer:
            return json.load(answer)


@pytest.fixture
def visit(browser: Any, address: str) -> Iterator[Visit]:
    made = Visit(browser, address)
    yield made
    made.context.close()


def violations(page: Any) -> list[str]:
    """What axe-core finds that is serious or worse."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]}"
        for one in found
        if one["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", ["", *VIEWS])
def test_a_view_loads_and_all_can_use_it(browser: Any, address: str, view: str, scheme: str) -> None:
    visit = Visit(browser, address, color_scheme=scheme)
    page = visit.open(f"/{view}")
    assert page.title().endswith("farthing")
    assert violations(page) == []
    for width in (1440, 768, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
    assert visit.wrong == []
    assert visit.foreign == []
    visit.context.close()


def test_a_changed_control_changes_the_numbers_to_what_the_api_gives(visit: Visit) -> None:
    page = visit.open("/inference")
    before = visit.number("tokens_per_s")
    page.fill("#ask-batch_size", "32")
    page.wait_for_url("**batch_size=32**")
    visit.settled()
    asked = visit.api("inference")
    assert visit.number("tokens_per_s") == asked["tokens_per_s"] != before
    assert visit.number("tpot_s") == asked["tpot_s"]
    assert visit.number("ttft_s") == asked["ttft_s"]
    assert asked["workload"]["batch_size"] == 32
    page.click("summary:has-text('More of the load')")
    page.select_option("#ask-ideal", "yes")
    page.wait_for_url("**ideal=yes**")
    visit.settled()
    assert visit.number("tpot_s") == visit.api("inference")["tpot_s"] < asked["tpot_s"]
    assert visit.wrong == []


def test_a_slider_and_the_parts_of_a_cluster_ask_as_their_text_does(visit: Visit) -> None:
    page = visit.open("/inference")
    page.locator('[data-for="ask-batch_size"]').focus()
    page.keyboard.press("End")
    page.wait_for_url("**batch_size=1024**")
    visit.settled()
    page.fill('[data-part="hosts"]', "2")
    page.wait_for_url("**cluster=2x8:rtx-4090@10gbe**")
    visit.settled()
    assert page.input_value("#ask-cluster") == "2x8:rtx-4090@10gbe"
    assert visit.api("inference")["cluster"] == "2x8:rtx-4090@10gbe"


def test_a_link_restores_what_was_asked_and_back_goes_back(visit: Visit, browser: Any) -> None:
    page = visit.open("/inference?model=llama-3.1-8b&cluster=1x1:h100-sxm&batch_size=8&tpot_s=50ms")
    page.fill("#ask-batch_size", "16")
    page.wait_for_url("**batch_size=16**")
    visit.settled()
    shown = visit.number("tokens_per_s")
    other = Visit(browser, visit.address)
    there = other.open(page.url.removeprefix(visit.address))
    assert other.number("tokens_per_s") == shown
    assert there.input_value("#ask-batch_size") == "16"
    assert there.input_value("#ask-tpot_s") == "50ms"
    assert there.locator("#ask-tpot_s").is_visible()  # its section is unfolded
    other.context.close()
    page.go_back()
    page.wait_for_url("**batch_size=8**")
    visit.settled()
    assert page.input_value("#ask-batch_size") == "8"
    assert visit.number("tokens_per_s") == visit.api("inference")["tokens_per_s"] != shown
    assert visit.wrong == []


def test_every_number_of_a_tile_is_explained(visit: Visit) -> None:
    page = visit.open("/inference")
    links = page.locator(".tile .explain")
    assert links.count() >= 5
    for place in range(links.count()):
        links.nth(place).click()
        page.wait_for_selector("dialog[open] #explain-title")
        assert len(page.inner_text("#explanation")) > 40
        page.keyboard.press("Escape")
        page.wait_for_selector("dialog:not([open])", state="attached")
    assert visit.wrong == []


def test_clusters_are_added_and_left_out(visit: Visit) -> None:
    page = visit.open("/compare?model=llama-2-7b&clusters=rtx-4090,rtx-3090")
    page.click("[data-add]")
    line = page.locator("[data-line]").last
    line.fill("1x1:h100-sxm")
    line.press("Tab")
    page.wait_for_url("**clusters=rtx-4090,rtx-3090,1x1:h100-sxm**")
    visit.settled()
    asked = visit.api("compare")
    assert [one["cluster"] for one in asked] == ["rtx-4090", "rtx-3090", "1x1:h100-sxm"]
    shown = page.locator(".compared tbody tr:nth-child(2) data").evaluate_all(
        "(cells) => cells.map((cell) => Number(cell.value))"
    )
    assert shown == [one["estimate"]["tokens_per_s"] for one in asked]
    page.click('[data-drop="1"]')
    page.wait_for_url("**clusters=rtx-4090,1x1:h100-sxm**")


def test_what_cannot_be_answered_is_told(visit: Visit) -> None:
    page = visit.open("/inference")
    page.fill("#ask-model", "llama-2-71b")
    page.wait_for_selector(".verdict.bad")
    assert "did you mean llama-2-7b" in page.inner_text(".verdict")
    page.fill("#ask-model", "llama-2-70b")
    page.wait_for_selector(".verdict.good")


def test_charts_are_saved_whole(visit: Visit) -> None:
    page = visit.open("/compare")
    for kind, begins in (("svg", b"<svg"), ("png", b"\x89PNG"), ("json", b"{")):
        with page.expect_download() as started:
            page.locator(f'[data-save="{kind}"]').first.click()
        assert Path(started.value.path()).read_bytes().startswith(begins)
    assert visit.wrong == []


def test_the_theme_is_chosen_and_kept(visit: Visit) -> None:
    page = visit.open("/compare")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.click("#theme")
    assert page.evaluate(ground) != light
    page.reload()
    assert page.evaluate(ground) != light
    assert visit.context.cookies() == []


def test_all_is_reached_with_the_keyboard(visit: Visit) -> None:
    page = visit.open("/inference")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.focus("#ask-batch_size")
    page.keyboard.type("4")
    page.keyboard.press("Enter")
    page.wait_for_url("**batch_size=4**")


def test_a_point_tells_its_source(visit: Visit) -> None:
    page = visit.open("/accuracy?group=consumer,+decode")
    points = page.locator(".picking .mark-symbol path[aria-label*='measured']")
    assert points.count() > 300
    points.nth(100).dispatch_event("click")
    page.wait_for_selector(".picked dl")
    told = page.inner_text(".picked")
    assert "measured" in told
    assert "predicted" in told
    assert page.locator(".picked a[href^='http']").count() == 1
    assert page.locator("[id=explain-title]").count() == 0  # it names the dialog alone
    assert page.locator(".picked-point").count() == 1
    # The same from the keyboard: the table has the numbers too.
    page.locator("th .explain").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("dialog[open] dl")
    assert "80% interval" in page.inner_text("#explanation")
    page.keyboard.press("Escape")
    page.click("#groups a >> text='training memory'")
    page.wait_for_url("**group=training+memory**")
    visit.settled()
    assert page.input_value("#ask-group") == "training memory"
    # Another group has other sources.
    page.select_option("#ask-source", "Korthikanti et al. 2022 Fig 1 (memory)")
    page.wait_for_url("**source=Korthikanti**")
    visit.settled()
    page.select_option("#ask-group", "collectives")
    page.wait_for_url("**group=collectives")
    assert visit.wrong == []


def test_the_catalogue_is_searched_as_one_types(visit: Visit) -> None:
    page = visit.open("/catalogue?table=accelerators&sort=memory_gib")
    rows = page.locator(".listing tbody tr")
    before = rows.count()
    page.locator("#ask-search").press_sequentially("rtx 40")
    page.wait_for_url("**search=rtx+40**")
    page.wait_for_function(f"document.querySelectorAll('.listing tbody tr').length < {before}")
    listed = [row["id"] for row in visit.api("catalogue")["found"]["rows"]]
    assert rows.locator("th a").all_inner_texts() == listed
    assert "sort=memory_gib" in page.url  # what it was sorted by stays
    page.click("text=rtx-4090 >> nth=0")
    page.wait_for_url("**id=rtx-4090**")
    visit.settled()
    assert "RTX 4090" in page.inner_text(".verdict")
    assert page.locator(".entry tbody tr").count() > 15
    page.select_option("#ask-table", "links")
    page.wait_for_url("**table=links**")
    visit.settled()
    assert "id=" not in page.url
    assert "sort=" not in page.url
    assert visit.wrong == []


def test_it_works_without_scripts(browser: Any, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{address}/inference?model=llama-2-7b&cluster=rtx-4090")
    page.fill("#ask-batch_size", "2")
    page.click("button.ask")
    page.wait_for_url("**batch_size=2**")
    assert "fits" in page.inner_text(".verdict")
    page.locator(".tile .explain").first.click()
    assert "Derivation" in page.inner_text("body")
    context.close()
