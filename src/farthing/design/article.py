"""The five designs of the article of 2023-09-27, under its own assumptions and as they would be built today.

``catalog/data/article_designs.toml`` holds the article's cards, links, machines and prices; here they become
a shop, and each design a build of it, timed and priced as every other.
"""

from __future__ import annotations

import dataclasses
import datetime
import functools
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

from farthing import catalog
from farthing.catalog.shapes import find_model
from farthing.design.given import given_build
from farthing.design.shop import Shop, market
from farthing.errors import CatalogError, UnknownName
from farthing.records.design import Build, Ownership
from farthing.records.hardware import Accelerator, Price, Switch
from farthing.records.model import Model
from farthing.records.parts import Part
from farthing.records.plan import InferencePlan
from farthing.records.workload import InferenceWorkload

FILE: Final = "article_designs.toml"
WEIGHT_FORMAT: Final = "fp16"

_TABLES: Final = {
    *("source", "date", "model", "workload", "ownership", "prices", "design"),
    *("accelerators", "links", "hosts", "nics", "switches", "parts"),
}
_NEW: Final[dict[str, Any]] = {"switches": Switch, "parts": Part}
"""Tables that may hold what the catalogue lacks."""

_HARDWARE: Final = ("accelerator", "accelerators_per_host", "host", "hosts", "nic", "switch", "sequences")


@dataclass(frozen=True, slots=True, kw_only=True)
class ArticleDesign:
    """One design.

    Attributes
    ----------
    id, title
        Which one.
    accelerator, accelerators_per_host, host, hosts, nic, switch, sequences
        As of `given_build`, with the article's parts.
    plan
        How a copy is split.
    overlapped
        What changes where one batch is sent while another is computed: fields of the plan.
    today
        Parts that do the same now.
    """

    id: str
    title: str
    accelerator: str
    accelerators_per_host: int
    host: str
    hosts: int
    nic: str = ""
    switch: str = ""
    sequences: int
    plan: Mapping[str, Any]
    overlapped: Mapping[str, Any]
    today: Mapping[str, str]

    def split(self, overlapped: bool = False) -> InferencePlan:
        """The plan of one copy."""
        return InferencePlan(
            weight_format=WEIGHT_FORMAT, **{**self.plan, **(self.overlapped if overlapped else {})}
        )

    def parts(self) -> dict[str, Any]:
        """What `given_build` takes of it."""
        return {name: getattr(self, name) for name in _HARDWARE if name != "sequences"}


def _refuse(record: str, field: str, problem: str) -> CatalogError:
    return CatalogError(FILE, record, field, problem)


@functools.cache
def article_file() -> Mapping[str, Any]:
    """The shipped data file as it stands."""
    return checked(tomllib.loads((resources.files("farthing.catalog") / "data" / FILE).read_text("utf-8")))


def checked(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The data, if all of its tables are known.

    Raises
    ------
    CatalogError
        An unknown table.
    """
    if unknown := set(data) - _TABLES:
        raise _refuse("(file)", min(unknown), f"no such table; known: {', '.join(sorted(_TABLES))}")
    return data


def article_designs() -> dict[str, ArticleDesign]:
    """The designs by id.

    Raises
    ------
    CatalogError
        A field that a design does not have, or one that is missing.

    Examples
    --------
    >>> list(article_designs())
    ['pipeline', 'roce', 'hybrid', 'server-4090', 'server-h100']
    """
    known = {field.name for field in dataclasses.fields(ArticleDesign)}
    found = {}
    for row in article_file()["design"]:
        key = str(row.get("id", "(no id)"))
        _check(key, row, known)
        if missing := known - {"nic", "switch"} - set(row):
            raise _refuse(key, min(missing), "is missing")
        found[key] = ArticleDesign(**row)
    return found


def article_design(name: str) -> ArticleDesign:
    """One of the designs.

    Raises
    ------
    UnknownName
        No such design.
    """
    designs = article_designs()
    if name not in designs:
        raise UnknownName("design", name, designs)
    return designs[name]


def _check(record: str, row: Mapping[str, Any], known: set[str]) -> None:
    if unknown := set(row) - known:
        raise _refuse(record, min(unknown), f"no such field; known: {', '.join(sorted(known))}")


def article_model() -> Model:
    """LLaMA-2 70B as the article counts it.

    Examples
    --------
    >>> article_model().kv_heads
    64
    """
    changes = dict(article_file()["model"])
    return find_model(changes.pop("id"), **changes)


def article_workload() -> InferenceWorkload:
    """What it counts of a request."""
    return InferenceWorkload(**article_file()["workload"])


def article_ownership() -> Ownership:
    """Its years and its electricity."""
    return Ownership(**article_file()["ownership"])


def article_shop(design: ArticleDesign) -> Shop:
    """What a design is built of, at the article's prices.

    Parameters
    ----------
    design
        Its tensor parallel size says how much of a message a ring sends over the article's links.

    Raises
    ------
    CatalogError
        A record that the catalogue does not have, or a field that records do not have.

    Examples
    --------
    >>> article_shop(article_design("pipeline")).price("rtx-4090").usd
    1600.0
    """
    data = article_file()
    day, source = str(data["date"]), str(data["source"])
    offers = {
        item: [
            Price(item=item, kind="purchase", usd=float(usd), per="unit", date=day, source=source),
        ]
        for item, usd in data["prices"].items()
    }
    return Shop(
        accelerators=_changed("accelerators", catalog.accelerators()),
        hosts=_changed("hosts", catalog.hosts()),
        nics=_changed("nics", catalog.nics()),
        switches=_changed("switches", catalog.switches()),
        parts=_changed("parts", catalog.parts()),
        links=_links(design),
        host_parts={},
        offers=offers,
        today=datetime.date.fromisoformat(day),
    )


def _changed(table: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Records of the catalogue with what the article says of them, and those that it adds."""
    found = dict(known)
    for key, changes in article_file().get(table, {}).items():
        kind = type(found[key]) if key in found else _NEW.get(table)
        if kind is None:
            raise _refuse(key, table, "the catalogue has no such record to change")
        _check(key, changes, {field.name for field in dataclasses.fields(kind)})
        if key in found:
            found[key] = dataclasses.replace(found[key], **changes)
        else:
            found[key] = kind(id=key, source=str(article_file()["source"]), **changes)
    return found


def _links(design: ArticleDesign) -> dict[str, Any]:
    found = dict(catalog.links())
    ranks = int(design.plan["tp"])
    for key, changes in article_file()["links"].items():
        _check(key, changes, {"bytes_per_s", "ring"})
        rate = float(changes["bytes_per_s"])
        if changes.get("ring") and ranks > 1:
            rate *= 2 * (ranks - 1) / ranks
        found[key] = dataclasses.replace(
            found[key], bytes_per_s=rate, latency_s=0.0, efficiency=1.0, per_accelerator=False
        )
    return found


def article_build(name: str, *, overlapped: bool = False) -> Build:
    """A design under the article's own assumptions.

    Parameters
    ----------
    name
        ``pipeline``, ``roce``, ``hybrid``, ``server-4090`` or ``server-h100``.
    overlapped
        One batch is sent while another is computed: what the article takes for throughput and cost.

    Raises
    ------
    UnknownName
        No such design.

    Examples
    --------
    >>> built = article_build("hybrid")
    >>> built.capital_usd, round(built.power_w)
    (19400.0, 5000)
    """
    design = article_design(name)
    return given_build(
        article_shop(design),
        article_model(),
        article_workload(),
        design.split(overlapped),
        **design.parts(),
        sequences=design.sequences,
        ownership=article_ownership(),
        ideal=True,
    )


def shop_of_today(shop: Shop | None = None) -> Shop:
    """The catalogue with the article's machines, which nobody has offered since, at its prices.

    Parameters
    ----------
    shop
        Instead of the catalogue as it is.
    """
    shop = market() if shop is None else shop
    article = article_shop(article_design("server-4090"))
    old = "article-server-8"
    return dataclasses.replace(shop, hosts={**shop.hosts, old: article.hosts[old]})


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A design when one more of the article's assumptions has given way; ``what`` says which."""

    what: str
    build: Build


REAL: Final = (
    "requests and memory are real",
    "dense rates, fp32 sums",
    "real links and powers",
    "real kernels and engine",
    "parts and prices of today",
)
"""What gives way, in this order."""


def steps(name: str, workload: InferenceWorkload, *, shop: Shop | None = None) -> tuple[Step, ...]:
    """A design from the article's assumptions to the catalogue's, one after the other.

    Each step keeps the split, and the article's sequences or as many as the memory holds.

    Parameters
    ----------
    name
        As of `article_build`.
    workload
        What one copy serves, once requests are real.
    shop
        Instead of `shop_of_today`.

    Raises
    ------
    UnknownName
        No such design.
    Infeasible
        Not one sequence in each stage fits.

    Examples
    --------
    >>> found = steps("server-4090", InferenceWorkload(prompt_tokens=512, output_tokens=256))
    >>> len(found), found[-1].build.tokens_per_s < found[0].build.tokens_per_s / 5
    (6, True)
    """
    design = article_design(name)
    cards, old = catalog.accelerators(), article_shop(design)
    with_memory = dataclasses.replace(old, accelerators=_cards(old, cards, MEMORY))
    dense = dataclasses.replace(old, accelerators=_cards(old, cards, (*MEMORY, *RATES)))
    real = dataclasses.replace(old, accelerators=cards, links=catalog.links())
    wide = dataclasses.replace(design.split(), compute_format="bf16")
    shops = (
        (with_memory, design.split(), True),
        (dense, wide, True),
        (real, wide, True),
        (real, design.split(), False),
    )
    found = [
        _filled(design, workload, used, plan, design.parts(), ideal=ideal) for used, plan, ideal in shops
    ]
    now = shop_of_today() if shop is None else shop
    found.append(_filled(design, workload, now, design.split(), {**design.parts(), **design.today}))
    return (
        Step(what="as the article has it", build=article_build(name)),
        *(Step(what=what, build=build) for what, build in zip(REAL, found, strict=True)),
    )


MEMORY: Final = ("memory_bytes", "memory_bytes_per_s")
RATES: Final = ("fp16_flop_per_s", "fp16_fp32_accumulate_flop_per_s", "bf16_flop_per_s")


def _cards(old: Shop, cards: Mapping[str, Accelerator], fields: Sequence[str]) -> dict[str, Accelerator]:
    """The article's cards with some fields of the catalogue's."""
    return {
        key: dataclasses.replace(card, **{field: getattr(cards[key], field) for field in fields})
        for key, card in old.accelerators.items()
    }


def _filled(
    design: ArticleDesign,
    workload: InferenceWorkload,
    shop: Shop,
    plan: InferencePlan,
    parts: Mapping[str, Any],
    *,
    ideal: bool = False,
) -> Build:
    """With the article's sequences, or as many as the memory holds."""

    def of(sequences: int) -> Build:
        return given_build(
            shop,
            catalog.model(str(article_file()["model"]["id"])),
            workload,
            plan,
            **parts,
            sequences=sequences,
            ownership=article_ownership(),
            ideal=ideal,
        )

    few = of(max(int(plan.micro_batches), 1))
    most = few.inference.largest_batch_size if few.inference is not None else 1
    return of(min(most, design.sequences))
