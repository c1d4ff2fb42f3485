"""docs/article.md says what the catalogue and the formulas give now."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate_article", DOCS / "generate_article.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_current(generator: Any) -> None:
    """Its builds are timed and priced again; they are those of the search, which is not repeated here."""
    text = (DOCS / "article.md").read_text("utf-8")
    assert generator.page(generator.described()) == text, "run: make docs"


def test_kept_builds_keep_what_was_asked(generator: Any) -> None:
    answers = generator.described()
    assert set(answers) == set(generator.QUESTIONS)
    for name, builds in answers.items():
        asked = generator.QUESTIONS[name]
        assert builds, name
        for build in builds:
            assert build.tokens_per_s >= asked["tokens_per_s"] * (1 - 1e-9)
            assert build.tpot_s <= asked.get("tpot_s", 1.0) * (1 + 1e-9)
            assert build.capital_usd <= asked.get("capital_usd", 1e12)
            assert build.inference.fits


def test_its_sentences_follow_the_numbers(generator: Any) -> None:
    """With the two best exchanged, the other one wins the text too."""
    answers = generator.described()
    first, second, *_ = answers["cheapest"]
    before = " ".join(generator.cheapest(answers))
    after = " ".join(generator.cheapest({**answers, "cheapest": [second, first]}))
    assert before.startswith(f"The most tokens for a dollar come from {generator.name_of(first)}:")
    assert after.startswith(f"The most tokens for a dollar come from {generator.name_of(second)}:")
    assert " ".join(generator.quickest({**answers, "quickest": []})) == "Nothing in the catalogue does it."


def test_its_charts_and_links_exist() -> None:
    text = (DOCS / "article.md").read_text("utf-8")
    pictures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", text)
    assert len(pictures) == 2
    assert all((DOCS / name).read_text("utf-8").startswith("<svg") for name in pictures)
