"""Article: the numbers of the article of 2023 on A100, H100 and RTX 4090, recomputed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from farthing import api
from farthing.errors import UnknownName
from farthing.records.article import SECTIONS, ArticleRow
from farthing.report.article import shown
from farthing.report.article_charts import OFF, article_charts
from farthing.report.prices import dated
from farthing.units import format_usd
from farthing.web.asks import Ask
from farthing.web.kinds import chosen, word
from farthing.web.view import Explanation, Given, Shown, View

ASKS: Final = (
    Ask(
        name="section",
        title="Part",
        text="Of the article.",
        kind=chosen(word(SECTIONS), lambda: tuple(SECTIONS.items())),
        default="all of it",
    ),
)

INTRO: Final = (
    "The article asks why an RTX 4090 serves a large language model but does not train one; farthing began "
    "with it. Beside each number that it prints stand the same under its own assumptions (recomputed), and "
    "with dense rates, grouped-query attention and fitted efficiencies (realistic)."
)


def _ask(given: Given) -> tuple[ArticleRow, ...]:
    return api.article_rows(given.get("section", ""))


def _off(ratio: float | None) -> bool:
    return ratio is not None and abs(ratio - 1) > OFF


def _verdict(rows: Sequence[ArticleRow]) -> str:
    printed = [row for row in rows if row.printed is not None]
    slips = sum(_off(row.recomputed_ratio) for row in printed)
    judged = [row for row in printed if row.realistic_ratio is not None]
    far = sum(_off(row.realistic_ratio) for row in judged)
    return (
        f"Of {len(printed):,} printed numbers {len(printed) - slips:,} follow from the article's own "
        f"assumptions within {OFF:.0%}; of {len(judged):,} with a realistic value {far:,} are further off."
    )


def _show(given: Given, rows: tuple[ArticleRow, ...]) -> Shown:
    parts = [(title, [row for row in rows if row.section == name]) for name, title in SECTIONS.items()]
    prices = [
        (f"{price.item}, {price.kind}", format_usd(price.usd) + "/h" * (price.kind == "rental"), dated(price))
        for price in api.article_prices()
    ]
    return Shown(
        headline=SECTIONS.get(given.get("section", ""), "The article of 2023-09-27, recomputed"),
        verdict=_verdict(rows),
        charts=article_charts(rows),
        more={
            "parts": [(title, part) for title, part in parts if part],
            "intro": INTRO,
            "off": _off,
            "tenth": f"{OFF:.0%}",
            "in_words": shown,
            "prices": prices,
        },
    )


def _rows(rows: tuple[ArticleRow, ...]) -> Sequence[Mapping[str, Any]]:
    fields = ("id", "section", "what", "unit", "printed", "recomputed", "realistic")
    ratios = ("recomputed_ratio", "realistic_ratio", "note")
    return [{field: getattr(row, field) for field in (*fields, *ratios)} for row in rows]


def _explain(given: Given, rows: tuple[ArticleRow, ...], number: str) -> Explanation:
    row = next((one for one in rows if one.id == number), None)
    if row is None:
        raise UnknownName("number of the article", number, [one.id for one in rows])
    facts = [
        (name, shown(value, row.unit))
        for name, value in (
            ("printed", row.printed),
            ("recomputed", row.recomputed),
            ("realistic", row.realistic),
        )
        if value is not None
    ]
    return Explanation(
        title=row.what,
        value=shown(row.recomputed, row.unit),
        meaning="Under the article's own assumptions.",
        facts=facts,
        notes=[row.note] if row.note else [],
        terms=(row.explanation,),
    )


VIEW: Final = View(
    name="article",
    title="Article",
    lead="The article on A100, H100 and RTX 4090 that farthing began with, its numbers recomputed.",
    asks=ASKS,
    ask=_ask,
    show=_show,
    record=lambda given, rows: rows,
    rows=_rows,
    explain=_explain,
    command=("article",),
    function="api.article_rows",
    positional=("section",),
    schema=tuple[ArticleRow, ...],
)
