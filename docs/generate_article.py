"""Writes docs/article.md and its charts: the article's designs, and its question asked of all hardware.

Usage: python docs/generate_article.py [--check]  (about half a minute on two cores). The builds that the
search finds are kept in docs/article/builds.json; ``--check`` prices them again as they stand there, without
searching, and says whether the page is what the catalogue and the formulas give now.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from farthing import api, catalog
from farthing.article import article_data
from farthing.article import rows as article_rows
from farthing.design.article import (
    REAL,
    Step,
    article_build,
    article_designs,
    article_ownership,
    shop_of_today,
    steps,
)
from farthing.design.given import given_build
from farthing.design.shop import Shop
from farthing.records.chart import Axis, Chart, Point, Series
from farthing.records.design import BillRow, Build, Demand, DesignResult
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

FILE = Path(__file__).with_name("article.md")
FOLDER = Path(__file__).with_name("article")
BUILDS = FOLDER / "builds.json"

MODEL = "llama-2-70b"
LOAD = InferenceWorkload(prompt_tokens=512, output_tokens=256)
"""A chat's turn: what one copy serves wherever requests are real."""

TOKENS_PER_S = 6000.0
"""Enough to fill a large server, so that no machine stands idle for want of demand."""

TPOT_S = 0.05
"""20 tokens a second for one reader; the article is content with 19."""

FEW_TOKENS_PER_S = 300.0
CAPITAL_USD = 40_000.0
"""Of the latency challenge: the article's price of a server with eight 4090."""

SLOW_TOKENS_PER_S = 20.0
"""Where a card cannot be quick enough: what it then does, for a few readers."""

NAMED = (
    *("rtx-3090", "rtx-4090", "rtx-5090", "rtx-pro-6000", "a10"),
    *("a100-pcie-80gb", "a100-sxm-80gb", "h100-sxm", "h200-sxm", "mi300x"),
    *("m2-ultra", "m3-ultra"),
)
"""What the article compares or names, and what has come since."""

_QUICK: dict[str, Any] = {"tokens_per_s": TOKENS_PER_S, "tpot_s": TPOT_S}
_OF_NAMED: dict[str, Any] = {**_QUICK, "top": 99, "accelerators": NAMED}

_FOR_LITTLE: dict[str, Any] = {
    "objective": "tpot",
    "tokens_per_s": FEW_TOKENS_PER_S,
    "capital_usd": CAPITAL_USD,
    "ways": "own",
    "most_hosts": 8,
}

QUESTIONS: dict[str, dict[str, Any]] = {
    "cheapest": {**_QUICK, "top": 6},
    "named": _OF_NAMED,
    "quantised": {**_OF_NAMED, "weight_format": "awq-int4"},
    "quickest": {**_FOR_LITTLE, "top": 6},
    "quickest of the named": {**_FOR_LITTLE, "top": 99, "accelerators": NAMED},
    "slow": {"objective": "tpot", "tokens_per_s": SLOW_TOKENS_PER_S, "top": 99, "most_hosts": 2},
}
"""What is asked of the search; weights are of 16 bits unless it says otherwise."""

Answers = dict[str, list[Build]]

PRINTED = {
    "pipeline": ("diy-pp-usd", "diy-pp-tok-s", "diy-tokusd"),
    "roce": ("diy-tp-usd", "diy-tp-tok-s", ""),
    "hybrid": ("diy-hyb-usd", "diy-hyb-tok-s", ""),
    "server-4090": ("rtx4090", "tp-330-tok-s", "tokusd-4090"),
    "server-h100": ("h100", "h100-tok-s", "tokusd-h100"),
}
"""Rows of the article's numbers (price, or the card of its server; tokens a second; tokens for a dollar)."""

WHY = {
    REAL[0]: "the model keeps 8 of its 64 heads for keys and values, prompts of {prompt} tokens are read and "
    "answers of {output} are kept in the card's memory, which is read at every token; what does not fit is "
    "not served; nothing is sent while something else is computed, as engines do not do that",
    REAL[
        1
    ]: "tensor cores sum in 32 bits, for which a 4090 has half its rate, and the H100's 1979 TFLOP/s are "
    "those of sparse matrices",
    REAL[2]: "a 4090 has no way to its neighbour but through the host's memory, every message takes its time "
    "however short, and a card that waits draws less than its limit",
    REAL[3]: "fitted constants of kernels, and the reserve and the steps of vLLM",
    REAL[4]: "the same in parts on sale now",
}
"""What each step takes away, in words."""


def found() -> tuple[Answers, DesignResult]:
    """The answers of the search, and the front for the chart."""
    own = article_ownership()
    shared: dict[str, Any] = {
        "years": own.years,
        "usd_per_kwh": own.usd_per_kwh,
        "pue": own.pue,
        "prompt_tokens": LOAD.prompt_tokens,
        "output_tokens": LOAD.output_tokens,
        "weight_format": "fp16",
        "most_hosts": 128,
        "workers": os.cpu_count() or 1,
    }
    answers: Answers = {}
    for name, asked in QUESTIONS.items():
        if name == "slow":
            quick = {build.accelerator for build in answers["named"]}
            asked = {**asked, "accelerators": [card for card in NAMED if card not in quick]}
            if not asked["accelerators"]:
                answers[name] = []
                continue
        answers[name] = list(api.design(MODEL, **{**shared, **asked}).best)
    front = api.design(
        MODEL,
        **{**shared, "most_hosts": 32},
        tokens_per_s=TOKENS_PER_S,
        tpot_s=0.25,
        ways="own",
        top=1,
        front=("usd", "tpot"),
        accelerators=NAMED,
    )
    return answers, front


def description(build: Build) -> dict[str, Any]:
    """A build as `given_build` takes it."""
    assert build.inference is not None
    plan = build.inference.plan
    parts = ("accelerator", "accelerators_per_host", "host", "hosts", "nic", "switch", "network")
    return {
        **{name: getattr(build, name) for name in (*parts, "nics_per_host", "copies")},
        "sequences": build.inference.workload.batch_size,
        "plan": {name: getattr(plan, name) for name in ("tp", "pp", "dp", "ep", "weight_format", "engine")},
    }


def described() -> Answers:
    """The kept builds, timed and priced again."""
    shop, answers = shop_of_today(), {}
    for name, builds in json.loads(BUILDS.read_text("utf-8")).items():
        demand = Demand(tokens_per_s=QUESTIONS[name]["tokens_per_s"])
        answers[name] = [rebuilt(shop, one, demand) for one in builds]
    return answers


def rebuilt(shop: Shop, one: Mapping[str, Any], demand: Demand) -> Build:
    """A kept build."""
    parts = dict(one)
    plan = InferencePlan(**parts.pop("plan"))
    return given_build(
        shop, catalog.model(MODEL), LOAD, plan, **parts, demand=demand, ownership=article_ownership()
    )


# ---------------------------------------------------------------------------------------------------------
# Words and tables


def digits(value: float) -> str:
    """Three digits that count.

    Examples
    --------
    >>> digits(14656.8), digits(1.6543), digits(52.34), digits(0.0123)
    ('14,700', '1.65', '52.3', '0.0123')
    """
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    return f"{value:#.3g}".rstrip(".")


def usd(value: float) -> str:
    """A price in full dollars."""
    return f"{value:,.0f} USD"


def millions(value: float) -> str:
    """Millions."""
    return digits(value / 1e6)


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], words: int = 1) -> Iterator[str]:
    """A table whose first columns are words."""
    yield "| " + " | ".join(heads) + " |"
    yield "|" + "---|" * words + "---:|" * (len(heads) - words)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def sequences(build: Build) -> int:
    """That decode together in one copy."""
    assert build.inference is not None
    return build.inference.workload.batch_size


def printed(name: str) -> tuple[float, float, float | None]:
    """What the article prints of a design: price, tokens a second for one reader, tokens for a dollar."""
    price, rate, paid = PRINTED[name]
    known = {row.id: row.printed for row in article_rows()}
    cost = known[price] if price in known else article_data()["article"][price]["server_usd"]
    return float(cost or 0.0), float(known[rate] or 0.0), known[paid] if paid else None


def summary(designs: Mapping[str, Sequence[Step]]) -> Iterator[str]:
    """The five designs, three times each."""
    rows = []
    for name, found_steps in designs.items():
        price, rate, paid = printed(name)
        paper, busy, now = found_steps[0].build, article_build(name, overlapped=True), found_steps[-1].build
        rows.append(
            [
                article_designs()[name].title,
                f"{usd(price)} / {usd(paper.capital_usd)} / {usd(now.capital_usd)}",
                f"{digits(rate)} / {digits(1 / paper.tpot_s)} / {digits(1 / now.tpot_s)}",
                f"{digits(busy.tokens_per_s)} / {digits(now.tokens_per_s)}",
                f"{millions(paid) if paid else '-'} / {millions(busy.tokens_per_usd)} / "
                f"{millions(now.tokens_per_usd)}",
            ]
        )
    yield from table(
        [
            "design",
            "price: printed / recomputed / today",
            "token/s for one reader: printed / recomputed / today",
            "token/s in all: recomputed / today",
            "million tokens for 1 USD: printed / recomputed / today",
        ],
        rows,
    )


def one_design(name: str, found_steps: Sequence[Step]) -> Iterator[str]:
    """A design, step by step."""
    design, now = article_designs()[name], found_steps[-1].build
    rows, before = [], 0.0
    for step in found_steps:
        build = step.build
        rows.append(
            [
                step.what,
                f"{sequences(build):,}",
                digits(build.tpot_s * 1e3),
                digits(build.tokens_per_s),
                usd(build.capital_usd),
                digits(build.power_w / 1e3),
                millions(build.tokens_per_usd),
                f"{build.tokens_per_usd / before:.2f}" if before else "",
            ]
        )
        before = build.tokens_per_usd
    yield f"### {design.title[0].upper()}{design.title[1:]}"
    yield ""
    yield from table(
        ["", "sequences", "ms a token", "token/s", "price", "kW", "million tokens for 1 USD", "times"], rows
    )
    yield ""
    factors = [
        (later.build.tokens_per_usd / earlier.build.tokens_per_usd, later.what)
        for earlier, later in itertools.pairwise(found_steps)
    ]
    least, what = min(factors)
    first = found_steps[0].build
    assert now.inference is not None
    words = [
        f"Of the {millions(first.tokens_per_usd)} million tokens for a dollar "
        f"{millions(now.tokens_per_usd)} are left, {now.tokens_per_usd / first.tokens_per_usd:.0%}."
    ]
    if least < 1:
        words.append(f'The largest loss is where "{what}" ({least:.2f} times).')
    if sequences(now) < design.sequences:
        words.append(
            f"Its memory holds {sequences(now):,} sequences of {LOAD.longest_context_tokens} tokens, not "
            f"{design.sequences:,}."
        )
    else:
        words.append(f"Its memory holds all {design.sequences:,} sequences.")
    words.append(f"What bounds it now: {now.inference.bottleneck}.")
    quick = "keeps" if now.tpot_s <= TPOT_S else "does not keep"
    words.append(f"With so many it {quick} {TPOT_S * 1e3:.0f} ms a token ({digits(now.tpot_s * 1e3)} ms).")
    yield " ".join(words)
    yield ""
    parts = [f"{row.quantity} x {row.name} ({usd(row.usd)}, {row.kind}, {row.date})" for row in now.bill]
    yield f"Today: {'; '.join(parts)}."
    yield ""


def order(designs: Mapping[str, Sequence[Step]]) -> Iterator[str]:
    """Which design is the cheapest on paper and in fact."""
    title = {name: article_designs()[name].title for name in designs}
    paper = {name: article_build(name, overlapped=True).tokens_per_usd for name in designs}
    fact = {name: found_steps[-1].build.tokens_per_usd for name, found_steps in designs.items()}
    first, real = max(paper, key=paper.__getitem__), max(fact, key=fact.__getitem__)
    yield (
        f"On paper, with everything overlapped, *{title[first]}* gives the most tokens for a dollar "
        f"({millions(paper[first])} million); in fact and today "
        + (f"it still does ({millions(fact[real])} million)." if first == real else "")
        + (f"*{title[real]}* does ({millions(fact[real])} million)." if first != real else "")
    )
    h100, best = "server-h100", max((name for name in fact if name != "server-h100"), key=fact.__getitem__)
    better, worse = (h100, best) if fact[h100] > fact[best] else (best, h100)
    yield (
        f"Between the H100 and the best of the 4090s, *{title[better]}* is ahead of *{title[worse]}* by a "
        f"factor of {fact[better] / fact[worse]:.2f} today, each with as many readers as it holds, however "
        f"slow; on paper the factor between the two was {paper[better] / paper[worse]:.2f}."
    )
    slow = [title[name] for name, found_steps in designs.items() if found_steps[-1].build.tpot_s > TPOT_S]
    many = f"All {len(designs)}" if len(slow) == len(designs) else f"{len(slow)} of the {len(designs)}"
    yield (
        f"{many} take more than {TPOT_S * 1e3:.0f} ms a token when they are full"
        f"{': the comparison at one speed is below.' if slow else '.'}"
    )


def build_rows(builds: Sequence[Build]) -> Iterator[list[str]]:
    """Builds as rows of a table."""
    cards = catalog.accelerators()
    for build in builds:
        assert build.inference is not None
        plan = build.inference.plan
        assumed = build_assumed(build)
        where = build.host or "rented"
        net = f", {build.network}" if build.network else ""
        yield [
            f"{build.accelerators} x {cards[build.accelerator].name}",
            f"{build.hosts} x {where} of {build.accelerators_per_host}{net}",
            f"{build.copies} x tp {plan.tp}, pp {plan.pp}",
            "assumed" if assumed else "measured",
            f"{sequences(build):,}",
            digits(build.tpot_s * 1e3),
            digits(build.tokens_per_s),
            usd(build.capital_usd) if build.capital_usd else "-",
            millions(build.tokens_per_usd),
        ]


BUILD_HEADS = (
    *("accelerators", "hosts", "copies", "constants", "sequences a copy"),
    *("ms a token", "token/s", "price", "million tokens for 1 USD"),
)


def listed(builds: Sequence[Build]) -> Iterator[str]:
    """A table of builds."""
    yield from table(BUILD_HEADS, list(build_rows(builds)), words=4)


def name_of(build: Build) -> str:
    """A build in a sentence."""
    how = "rented" if build.way == "rent" else "bought"
    return f"{build.accelerators} x {catalog.accelerator(build.accelerator).name}, {how}"


def compared(builds: Sequence[Build], card: str) -> Build | None:
    """The best build of a card."""
    return next((build for build in builds if build.accelerator == card), None)


def cheapest(answers: Answers) -> Iterator[str]:
    """The article's challenge: throughput for money within a latency."""
    top, named = answers["cheapest"], answers["named"]
    if not top:
        yield "Nothing in the catalogue does it."
        return
    best = top[0]
    yield (
        f"The most tokens for a dollar come from {name_of(best)}: {millions(best.tokens_per_usd)} million at "
        f"{digits(best.tpot_s * 1e3)} ms a token."
    )
    if len(top) > 1:
        yield f"Next is {name_of(top[1])}, with {top[1].tokens_per_usd / best.tokens_per_usd:.0%} of that."
    mine, theirs = compared(named, "rtx-4090"), compared(named, "h100-sxm")
    if mine is not None and theirs is not None:
        first, second = (mine, theirs) if mine.tokens_per_usd > theirs.tokens_per_usd else (theirs, mine)
        yield (
            f"Of the article's two cards, {name_of(first)}, gives "
            f"{first.tokens_per_usd / second.tokens_per_usd:.1f} times as much for a dollar as "
            f"{name_of(second)}: so many tokens a second, and this quickly, need {mine.accelerators} x RTX "
            f"4090 in {mine.hosts} hosts, or {theirs.accelerators} x H100 in {theirs.hosts}."
        )
    yield from caution(top)


def caution(builds: Sequence[Build]) -> Iterator[str]:
    """Which places rest on assumptions."""
    assumed = [build for build in builds if build_assumed(build)]
    if assumed:
        names = ", ".join(dict.fromkeys(catalog.accelerator(one.accelerator).name for one in assumed))
        yield f"No measurements are behind the constants of {names}: take their places with care."


def build_assumed(build: Build) -> bool:
    """Whether its efficiency constants are assumed."""
    assert build.inference is not None
    return any("assumed, not measured" in note for note in build.inference.assumptions)


def left_out(answers: Answers) -> Iterator[str]:
    """Named cards that are not quick enough, and what they do instead."""
    quick = {build.accelerator for build in answers["named"]}
    late = [card for card in NAMED if card not in quick]
    if not late:
        return
    slow = {build.accelerator: build for build in answers["slow"]}
    names = {card: catalog.accelerator(card).name for card in late}
    yield f"No build of these does it: {', '.join(names.values())}."
    for card in late:
        if card in slow:
            build = slow[card]
            yield (
                f"With {names[card]} the quickest build for {SLOW_TOKENS_PER_S:.0f} tokens a second takes "
                f"{digits(build.tpot_s * 1e3)} ms a token ({name_of(build)})."
            )


def quantised(answers: Answers) -> Iterator[str]:
    """What four bits change."""
    wide = {(one.accelerator, one.way): one.tokens_per_usd for one in answers["named"]}
    four = {(one.accelerator, one.way): one.tokens_per_usd for one in answers["quantised"]}
    gains = {kind: four[kind] / wide[kind] for kind in four if kind in wide}
    if not gains:
        return
    most, least = max(gains, key=gains.__getitem__), min(gains, key=gains.__getitem__)
    words = {"own": "bought", "rent": "rented"}
    yield (
        f"Tokens for a dollar grow by factors from {gains[least]:.1f} "
        f"({catalog.accelerator(least[0]).name}, {words[least[1]]}) to {gains[most]:.1f} "
        f"({catalog.accelerator(most[0]).name}, {words[most[1]]})."
    )
    first, before = answers["quantised"][0], answers["named"][0]
    same = first.accelerator == before.accelerator and first.way == before.way
    yield (
        f"The best of these cards {'stays' if same else 'becomes'} {name_of(first)}"
        + ("." if same else f"; in 16 bits it is {name_of(before)}.")
    )
    mine, theirs = compared(answers["quantised"], "rtx-4090"), compared(answers["quantised"], "h100-sxm")
    if mine is not None and theirs is not None:
        ratio = mine.tokens_per_usd / theirs.tokens_per_usd
        yield (
            f"The best build of RTX 4090 then gives {ratio:.2f} times the tokens for a dollar of the best of "
            "H100."
        )


def quickest(answers: Answers) -> Iterator[str]:
    """The article's other challenge: latency for money, with some throughput."""
    builds = answers["quickest"]
    if not builds:
        yield "Nothing in the catalogue does it."
        return
    best = builds[0]
    yield (
        f"The quickest is {name_of(best)}: {digits(best.tpot_s * 1e3)} ms a token, {digits(1 / best.tpot_s)} "
        f"tokens a second for each reader, at {usd(best.capital_usd)}."
    )
    paper = article_build("server-4090")
    verb = "quicker" if best.tpot_s < paper.tpot_s else "slower"
    yield (
        f"That is {verb} than the {digits(paper.tpot_s * 1e3)} ms that the article's server with eight 4090 "
        f"would need on paper, but for {sequences(best) * best.copies} readers, not for {sequences(paper)}."
    )
    yield from caution(builds)


def too_dear(answers: Answers) -> Iterator[str]:
    """Named cards of which no build costs so little."""
    builds = answers["quickest of the named"]
    able = {build.accelerator for build in builds}
    names = [catalog.accelerator(card).name for card in NAMED if card not in able]
    if names:
        yield f"For so little nothing can be bought that does it with {', '.join(names)}."
    if builds:
        quickest_of_all, mine = answers["quickest"][0], builds[0]
        if mine.tpot_s > quickest_of_all.tpot_s:
            yield (
                f"Of those that do, {name_of(mine)}, comes nearest: it takes "
                f"{mine.tpot_s / quickest_of_all.tpot_s:.2f} times the time of the quickest of all."
            )


def accelerator_prices(answers: Answers) -> dict[tuple[str, str], BillRow]:
    """Prices of accelerators, and of machines that are sold with them."""
    return {
        (row.item, row.kind): row
        for builds in answers.values()
        for build in builds
        for row in build.bill
        if row.part == "accelerator" or row.item == build.host
    }


def prices_of(answers: Answers) -> Iterator[str]:
    """Where these prices come from."""
    rows = []
    for _, row in sorted(accelerator_prices(answers).items()):
        price = f"{row.usd:,.2f} USD/h" if row.kind == "rental" else usd(row.usd)
        rows.append([row.name, row.kind, row.date, row.source, price])
    yield from table(["what", "", "date", "source", "price"], rows, words=4)


def own_throughput() -> str:
    """Why the cheapest design does more than the article gives it, or less."""
    pipeline, server = article_build("pipeline"), article_build("server-4090")
    assert pipeline.inference is not None
    assert server.inference is not None
    stages = pipeline.inference.plan.pp
    hop = next(part.value for part in pipeline.inference.decode if part.name == "hops between stages")
    sent = next(part.value for part in server.inference.decode if part.name.startswith("traffic"))
    given = next(row.printed for row in article_rows() if row.id == "ovl-4090") or 0.0
    busy = article_build("pipeline", overlapped=True).tokens_per_s
    return (
        f"The article gives its cheapest design, the pipeline, the tokens of the server, {digits(given)} a "
        f"second. Its own are {'more' if busy > given else 'fewer'} on paper, {digits(busy)}: a stage sends "
        f"{digits(hop / (stages - 1) * 1e3)} ms in each {digits(pipeline.tpot_s / stages * 1e3)}, the "
        f"server's cards {digits(sent * 1e3)} ms for each token."
    )


def page(answers: Answers) -> str:
    """The whole page."""
    designs = {name: steps(name, LOAD) for name in article_designs()}
    own = article_ownership()
    dates = sorted(row.date for row in accelerator_prices(answers).values())
    batches = " and ".join(
        f"{sequences(designs[name][0].build)} sequences on {card}"
        for name, card in (("server-4090", "a 4090"), ("server-h100", "an H100"))
    )
    lines = [
        "# The article's designs, and its challenge",
        "",
        "<!-- Written by docs/generate_article.py from the catalogue; see `make docs`. -->",
        "",
        "An article of 2023-09-27 (Bojie Li, in Chinese: "
        "[on A100, H100 and RTX 4090](https://mp.weixin.qq.com/s/EnvOOwDpNG5W3lKYTmgm8w)) works out on "
        "paper what it takes to serve LLaMA-2 70B, designs cheap machines for it, and wishes for a "
        "contest: who serves most for the money, if the latency must not be too high, or answers quickest, "
        "if the throughput must not be too low. `farthing article` holds all of its numbers; this page "
        "holds its five designs, built part by part, and asks its question of all the hardware in the "
        "catalogue.",
        "",
        f"Throughout: bought hardware is written off over {own.years:g} years, electricity costs "
        f"{own.usd_per_kwh:g} USD/kWh, nothing is added for cooling, space or interest: the article's "
        f"terms. Every price has a date; those of accelerators below are from {dates[0]} to {dates[-1]}.",
        "",
        "## Its five designs",
        "",
        *summary(designs),
        "",
        "- *recomputed*: the same builds through farthing's formulas under the article's assumptions: what "
        "the products with the weights take and what is sent, every batch as large as balances computing "
        f"and reading ({batches}), and room in memory for all of it. In all, and for a dollar, one batch "
        "is sent while another is computed. Tests hold these within 2% of the article's own arithmetic.",
        f"- {own_throughput()}",
        f"- *today*: prompts of {LOAD.prompt_tokens} and answers of {LOAD.output_tokens} tokens, the "
        "catalogue's rates, links, kernels and prices, and as many sequences as the memory holds, up to the "
        "article's; always full.",
        "",
        *(f"{line}\n" for line in order(designs)),
        "![tokens for a dollar, on paper and today](article/designs.svg)",
        "",
        "The steps from paper to today, one assumption after the other:",
        "",
        *(
            f"{number}. *{what}*: {why.format(prompt=LOAD.prompt_tokens, output=LOAD.output_tokens)}."
            for number, (what, why) in enumerate(WHY.items(), 1)
        ),
        "",
        *(line for name, found_steps in designs.items() for line in one_design(name, found_steps)),
        "## Who serves most for a dollar",
        "",
        f"{TOKENS_PER_S:,.0f} tokens a second are asked for, within {TPOT_S * 1e3:.0f} ms a token for every "
        "reader, with weights of 16 bits; every accelerator of the catalogue with every host, network, "
        "split and batch that fits; bought or rented. For each accelerator its best build; *constants* "
        "says whether the efficiency of its kernels was fitted to measurements of such cards. What a build "
        "breaks or needs (licences, circuits, risers) `farthing design` tells.",
        "",
        *listed(answers["cheapest"]),
        "",
        " ".join(cheapest(answers)),
        "",
        "The cards that the article compares or names, and what has come since:",
        "",
        *listed(answers["named"]),
        "",
        " ".join(left_out(answers)),
        "",
        "![tokens for a dollar against speed](article/front.svg)",
        "",
        "### With weights of four bits",
        "",
        "The article leaves quantisation out. The same with AWQ:",
        "",
        *listed(answers["quantised"]),
        "",
        " ".join(quantised(answers)),
        "",
        "## Who answers quickest for the money",
        "",
        f"{FEW_TOKENS_PER_S:,.0f} tokens a second in all from hardware for at most {usd(CAPITAL_USD)}, the "
        "article's price of a server with eight 4090; weights of 16 bits; the shortest time a token is best.",
        "",
        *listed(answers["quickest"]),
        "",
        " ".join(quickest(answers)),
        "",
        "The cards that the article compares or names, and what has come since:",
        "",
        *listed(answers["quickest of the named"]),
        "",
        " ".join(too_dear(answers)),
        "",
        "## Prices of the accelerators",
        "",
        *prices_of(answers),
    ]
    return "\n".join(lines) + "\n"


# ---------------------------------------------------------------------------------------------------------
# Charts


def designs_chart() -> Chart:
    """The five designs: printed, recomputed, today."""
    bars: dict[str, list[Point]] = {"recomputed": [], "printed": [], "today": []}
    for name, design in article_designs().items():
        paid = printed(name)[2]
        values = {
            "printed": paid,
            "recomputed": article_build(name, overlapped=True).tokens_per_usd,
            "today": steps(name, LOAD)[-1].build.tokens_per_usd,
        }
        for series, value in values.items():
            if value:
                bars[series].append(Point(x=value / 1e6, label=design.title))
    return Chart(
        title="Tokens for a dollar: the article's designs, on paper and today",
        kind="bar",
        x=Axis(title="million tokens for 1 USD"),
        y=Axis(title="design"),
        series=tuple(Series(name=name, points=tuple(points)) for name, points in bars.items()),
        note="The article prints no figure for the second and the third.",
    )


def front_chart(front: DesignResult) -> Chart:
    """Speed against money: what can be had, and where the article's designs stand."""
    line, last = [], ""
    for build in sorted(front.front, key=lambda one: one.tpot_s):
        name = catalog.accelerator(build.accelerator).name
        line.append(
            Point(x=build.tpot_s * 1e3, y=build.tokens_per_usd / 1e6, label=name if name != last else "")
        )
        last = name
    now = [(design, steps(name, LOAD)[-1].build) for name, design in article_designs().items()]
    points = [
        Point(x=build.tpot_s * 1e3, y=build.tokens_per_usd / 1e6, label=design.id) for design, build in now
    ]
    return Chart(
        title=f"What can be bought for {TOKENS_PER_S:,.0f} tokens a second, and the article's designs today",
        kind="scatter",
        x=Axis(title="time per output token", unit="ms"),
        y=Axis(title="million tokens for 1 USD"),
        series=(
            Series(name="front of the builds", points=tuple(line), style="step"),
            Series(name="the article's designs, full", points=tuple(points)),
        ),
        note="Weights of 16 bits; the cards that the article compares or names, and what has come since. The "
        "article's designs are priced as always full.",
    )


def main() -> int:
    """Write the page; with ``--check`` say whether it is current."""
    # The page is about what ships, not about this user's own constants and prices.
    os.environ["FARTHING_CONFIG"] = str(Path(tempfile.gettempdir()) / "farthing-no-configuration")
    if "--check" in sys.argv[1:]:
        current = FILE.is_file() and page(described()) == FILE.read_text("utf-8")
        print(f"{FILE.name} is {'current' if current else 'out of date: run make docs'}")
        return 0 if current else 1
    from farthing.report.plot_files import write_plot

    answers, front = found()
    FOLDER.mkdir(exist_ok=True)
    kept = {name: [description(build) for build in builds] for name, builds in answers.items()}
    BUILDS.write_text(json.dumps(kept, indent=1) + "\n", "utf-8")
    write_plot([designs_chart()], FOLDER / "designs.svg")
    write_plot([front_chart(front)], FOLDER / "front.svg")
    FILE.write_text(page(answers), "utf-8")
    print(f"wrote {FILE}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
