"""Explanations: parts of a dialog, or pages of their own."""

import pytest

from farthing.web.answers import Form, Job, reply_to
from farthing.web.pages import environment, explanation_page
from farthing.web.view import Explanation
from farthing.web.views import VIEWS

VALUES = (("model", "llama-2-70b"), ("cluster", "1x8:rtx-4090"))


def explained(form: Form, number: str = "tpot_s", **values: str) -> tuple[int, str]:
    asked = (*VALUES, *values.items())
    reply = reply_to(Job(view="inference", form=form, values=asked, number=number, prefix="/far"))
    return reply.status, reply.body.decode()


def test_a_dialog_gets_a_part_and_a_browser_a_page_with_a_way_back() -> None:
    status, part = explained("explain")
    assert status == 200
    assert "<html" not in part
    assert '<h2 id="explain-title">time per output token' in part
    status, page = explained("explain-page")
    assert status == 200
    assert "<title>time per output token · Inference · farthing</title>" in page
    assert '<h1 id="explain-title">' in page
    assert 'href="/far/inference?model=llama-2-70b&amp;cluster=1x8:rtx-4090"' in page
    assert "Hockney 1994" in page


@pytest.mark.parametrize("form", ["explain", "explain-page"])
def test_what_cannot_be_explained_is_told_in_the_same_form(form: Form) -> None:
    status, page = explained(form, engine="<b>")
    assert status in (404, 422)
    assert "No answer" in page
    assert "<b>'" not in page
    assert ("<html" in page) == (form == "explain-page")


def test_sentences_cite_papers_and_are_no_markup() -> None:
    said = Explanation(
        title="<i>", meaning="cut over `tp` cards [shoeybi-2019], <b>", notes=["see [nobody-2020-x]"]
    )
    page = explanation_page(VIEWS["inference"], Job(view="inference", form="explain", values=()), said)
    assert "cut over <code>tp</code> cards <cite>[shoeybi-2019]</cite>, &lt;b&gt;" in page
    assert "Shoeybi et al. 2019" in page
    assert "<i>" not in page
    assert page.count("nobody-2020-x") == 1


def test_only_pages_of_the_web_are_linked() -> None:
    link = environment().get_template("parts.html").module.source  # type: ignore[attr-defined]
    assert 'href="https://example.org/&#34;x"' in link("page", 'https://example.org/"x')
    assert "href" not in link("page", "javascript:alert(1)")
    assert "&lt;b&gt;" in link("<b>", "")
