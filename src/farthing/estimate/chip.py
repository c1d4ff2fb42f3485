"""What an accelerator costs to make: the catalogue's silicon and prices in the formulas of yield."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import Any, Final, get_args

from farthing import catalog
from farthing.catalog.prices import prices, purchase_price
from farthing.errors import InvalidInput, UnknownName
from farthing.predict import chip as formulas
from farthing.predict.trace import Number, named, term_of, tracing, untraced
from farthing.records.chip import Chip, ChipCost, Process, YieldModel
from farthing.records.hardware import Price
from farthing.records.term import Term
from farthing.units import GIB

UNIT_AREA_SHARE: Final = 0.5
"""Share of a compute die that its units fill. An assumption: on GA102 arithmetic takes about a quarter of the
die and the shaders' and textures' logic as much (umtalelab.com on its die photographs); caches and memory
controllers, which have spares of their own, are not counted."""

CLUSTERING: Final = 3.0
"""How evenly defects fall in the negative binomial yield. An assumption: with 1 they cluster strongly, with
10, as Yinxiao-Feng/chiplet-actuary has it, hardly."""

MOST_DEFECTS: Final = 10.0
MOST_USD: Final = 1e7
"""More is a slip of the finger."""

_FEWEST_DIES: Final = 1e-3
"""Of a wafer; with fewer nobody makes the chip."""

LEFT_OUT: Final = "development, masks, test, losses in assembly and transport are not counted"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inputs:
    """Prices and defects: as the catalogue has them, at one end of their ranges, or as the user says."""

    wafer_usd: float
    defects_per_cm2: float
    side_wafer_usd: float
    side_defects_per_cm2: float
    usd_per_gb: float
    package_usd: float
    board_usd: float


@dataclass(frozen=True, slots=True)
class _Question:
    """How good dies are counted."""

    yield_model: YieldModel
    clustering: float
    harvest: bool
    unit_area_share: float


def chip_cost(
    name: str,
    *,
    yield_model: YieldModel = "murphy",
    defects_per_cm2: float | None = None,
    wafer_usd: float | None = None,
    package_usd: float | None = None,
    memory_usd_per_gb: float | None = None,
    board_usd: float | None = None,
    harvest: bool = True,
    unit_area_share: float = UNIT_AREA_SHARE,
    clustering: float = CLUSTERING,
    article: bool = False,
    explain: bool = False,
) -> ChipCost:
    """What the materials of an accelerator cost: dies, memory, package and board.

    Parameters
    ----------
    name
        Id of an accelerator whose silicon is known.
    yield_model
        ``murphy``, ``poisson`` or ``negative-binomial``.
    defects_per_cm2, wafer_usd
        Of the compute dies' process; by default the catalogue's.
    package_usd, memory_usd_per_gb, board_usd
        Likewise; a GB is what makers of memory call so, 2³⁰ bytes.
    harvest
        Count dies as good whose defects lie in units that are switched off.
    unit_area_share
        Share of a compute die that its units fill.
    clustering
        Of the negative binomial yield.
    article
        The bill of the article of 2023, with its own assumptions; no other option goes with it.
    explain
        Carry the derivation in ``terms``.

    Returns
    -------
    ChipCost

    Raises
    ------
    InvalidInput
        Numbers out of range, unknown names, an article's bill of a chip that it has none of.

    Examples
    --------
    >>> found = chip_cost("h100-sxm")
    >>> round(found.die_usd), round(found.total_usd), found.margin_share > 0.9
    (353, 2153, True)
    >>> chip_cost("h100-sxm", article=True).total_usd
    2100.0
    """
    given = {
        "defects_per_cm2": defects_per_cm2,
        "wafer_usd": wafer_usd,
        "package_usd": package_usd,
        "usd_per_gb": memory_usd_per_gb,
        "board_usd": board_usd,
    }
    changes = {field: _number(field, value) for field, value in given.items() if value is not None}
    if yield_model not in get_args(YieldModel):
        raise UnknownName("yield model", str(yield_model), get_args(YieldModel))
    for field, value, least, most in (
        ("unit_area_share", unit_area_share, 0.0, 1.0),
        ("clustering", clustering, 1e-3, 1e9),
    ):
        if not _within(value, least, most):
            raise InvalidInput(f"chip: {field} must be in {least:g}..{most:g}, not {value!r}")
    question = _Question(yield_model, float(clustering), harvest, float(unit_area_share))
    traced: AbstractContextManager[None] = tracing() if explain else nullcontext()
    with traced:
        if article:
            if changes or question != _Question("murphy", CLUSTERING, True, UNIT_AREA_SHARE):
                raise InvalidInput("chip: the article's bill has its own assumptions; leave out all others")
            return _published(name)
        return _modelled(_found(name), question, changes)


def _found(name: str) -> Chip:
    key = name.strip().lower()
    if key in catalog.accelerators() and key not in catalog.chips():
        raise InvalidInput(
            f"chip: the silicon of {key!r} is not in the catalogue; leave it out (see: farthing chip)"
        )
    return catalog.chip(name)


def _within(value: Any, least: float, most: float) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and least <= value <= most


def _number(field: str, value: Any) -> float:
    most = MOST_DEFECTS if field == "defects_per_cm2" else MOST_USD
    if not _within(value, 0, most) or (field == "wafer_usd" and not value):
        least = "more than 0" if field == "wafer_usd" else "0"
        shown = "memory_usd_per_gb" if field == "usd_per_gb" else field
        raise InvalidInput(f"chip: {shown} must be {least} to {most:g}, not {value!r}")
    return float(value)


def _end(which: str, low: float, value: float, high: float) -> float:
    return {"low": low, "high": high}.get(which, value) or value


def _inputs(chip: Chip, which: str = "") -> tuple[_Inputs, tuple[str, ...]]:
    """The catalogue's figures, or one end of their ranges, and what it has no figure for."""
    process = catalog.processes()[chip.process]
    side = catalog.processes().get(chip.side_process, process)
    memory = catalog.memory_prices().get(chip.memory_kind)
    package = catalog.package_prices().get(chip.package)
    board = catalog.package_prices().get(chip.board)

    def wafer(of: Process) -> float:
        return _end(which, of.low_wafer_usd, of.wafer_usd, of.high_wafer_usd)

    def defects(of: Process) -> float:
        return _end(which, of.low_defects_per_cm2, of.defects_per_cm2, of.high_defects_per_cm2)

    found = _Inputs(
        wafer_usd=wafer(process),
        defects_per_cm2=defects(process),
        side_wafer_usd=wafer(side),
        side_defects_per_cm2=defects(side),
        usd_per_gb=_end(which, memory.low_usd_per_byte, memory.usd_per_byte, memory.high_usd_per_byte) * GIB
        if memory
        else 0.0,
        package_usd=_end(which, package.low_usd, package.usd, package.high_usd) if package else 0.0,
        board_usd=_end(which, board.low_usd, board.usd, board.high_usd) if board else 0.0,
    )
    parts = (("usd_per_gb", memory), ("package_usd", package), ("board_usd", board))
    return found, tuple(field for field, row in parts if row is None)


def _plain_yield(area_mm2: float, defects_per_cm2: float, question: _Question) -> Number:
    if question.yield_model == "negative-binomial":
        return formulas.negative_binomial_yield(area_mm2, defects_per_cm2, clustering=question.clustering)
    model: Callable[[Number, Number], Number] = (
        formulas.murphy_yield if question.yield_model == "murphy" else formulas.poisson_yield
    )
    return model(area_mm2, defects_per_cm2)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bill:
    """What one set of inputs comes to; while `tracing` each number carries its derivation."""

    dies_per_wafer: Number
    yield_share: Number
    good_dies: Number
    die_usd: Number
    side_dies_usd: Number
    memory_usd: Number
    total_usd: Number


def _bill(chip: Chip, question: _Question, inputs: _Inputs) -> _Bill:
    process = catalog.processes()[chip.process]
    whole = formulas.dies_per_wafer(process.wafer_mm, chip.die_area_mm2)
    if question.harvest and chip.enabled_units < chip.units:
        good = formulas.harvested_yield(
            formulas.defects_per_die(chip.die_area_mm2, inputs.defects_per_cm2),
            units=chip.units,
            enabled_units=chip.enabled_units,
            unit_area_share=question.unit_area_share,
            yield_model=question.yield_model,
            clustering=question.clustering,
        )
    else:
        good = _plain_yield(chip.die_area_mm2, inputs.defects_per_cm2, question)
    number = formulas.good_dies(whole, good)
    if untraced(number) < _FEWEST_DIES:
        raise InvalidInput(
            f"chip {chip.id!r}: hardly a die of {chip.die_area_mm2:g} mm² is good at "
            f"{inputs.defects_per_cm2:g} defects/cm²; give fewer defects"
        )
    die = formulas.die_cost_usd(inputs.wafer_usd, number)
    dies, side = die, 0.0
    if chip.side_dies:
        # They have no spare units that are told of.
        each = formulas.die_cost_usd(
            inputs.side_wafer_usd,
            formulas.good_dies(
                formulas.dies_per_wafer(
                    catalog.processes()[chip.side_process].wafer_mm, chip.side_die_area_mm2
                ),
                _plain_yield(chip.side_die_area_mm2, inputs.side_defects_per_cm2, question),
            ),
        )
        side = named("other dies_usd", named("one of the other dies_usd", each) * chip.side_dies)
    if chip.dies > 1 or chip.side_dies:
        dies = named("dies_usd", die * chip.dies + side)
    memory_gb = chip.memory_bytes / GIB
    total = formulas.chip_cost_usd(
        dies, memory_gb, inputs.usd_per_gb, package_usd=inputs.package_usd, board_usd=inputs.board_usd
    )
    return _Bill(
        dies_per_wafer=whole,
        yield_share=good,
        good_dies=number,
        die_usd=die,
        side_dies_usd=side,
        memory_usd=memory_gb * inputs.usd_per_gb,
        total_usd=total,
    )


def _modelled(chip: Chip, question: _Question, changes: dict[str, float]) -> ChipCost:
    inputs, unknown = _inputs(chip)
    bill = _bill(chip, question, replace(inputs, **changes))
    ends = [
        float(untraced(_bill(chip, question, replace(_inputs(chip, which)[0], **changes)).total_usd))
        for which in ("low", "high")
    ]
    inputs = replace(inputs, **changes)
    missing = tuple(_WORDS[field] for field in unknown if field not in changes)
    return _sold(
        ChipCost(
            id=chip.id,
            yield_model=question.yield_model,
            harvest=question.harvest and chip.enabled_units < chip.units,
            process=chip.process,
            wafer_usd=inputs.wafer_usd,
            defects_per_cm2=inputs.defects_per_cm2,
            die_area_mm2=chip.die_area_mm2,
            dies_per_wafer=_plain(bill.dies_per_wafer),
            yield_share=_plain(bill.yield_share),
            good_dies=_plain(bill.good_dies),
            die_usd=_plain(bill.die_usd),
            dies=chip.dies,
            side_dies_usd=_plain(bill.side_dies_usd),
            memory_kind=chip.memory_kind,
            memory_bytes=chip.memory_bytes,
            memory_usd=_plain(bill.memory_usd),
            package_usd=inputs.package_usd,
            board_usd=inputs.board_usd,
            total_usd=_plain(bill.total_usd),
            low_total_usd=ends[0],
            high_total_usd=ends[1],
            missing=missing,
            assumptions=_assumptions(chip, question, changes),
        ),
        bill.total_usd,
    )


_WORDS: Final = {"usd_per_gb": "memory", "package_usd": "package", "board_usd": "board"}


def _assumptions(chip: Chip, question: _Question, changes: dict[str, float]) -> tuple[str, ...]:
    found = []
    if question.harvest and chip.enabled_units < chip.units:
        found.append(
            f"units fill {question.unit_area_share:.0%} of a compute die, and {chip.enabled_units} of "
            f"{chip.units} are sold"
        )
    if question.yield_model == "negative-binomial":
        found.append(f"defects cluster with alpha = {question.clustering:g}")
    process = catalog.processes()[chip.process]
    if not {"wafer_usd", "defects_per_cm2"} <= set(changes):
        found.append(f"{process.name} ({process.date}): {process.source}")
    for field, row in (
        ("usd_per_gb", catalog.memory_prices().get(chip.memory_kind)),
        ("package_usd", catalog.package_prices().get(chip.package)),
        ("board_usd", catalog.package_prices().get(chip.board)),
    ):
        if row is not None and field not in changes:
            found.append(f"{row.id} ({row.date}): {row.source}")
    return (*found, LEFT_OUT)


def _published(name: str) -> ChipCost:
    """The article's bill, computed from its own figures."""
    bills = catalog.chip_bills()
    key = name.strip().lower()
    if key not in bills:
        catalog.accelerator(name)
        raise InvalidInput(f"chip: the article has no bill of {key!r}; name {' or '.join(bills)}")
    bill = bills[key]
    kind = catalog.chip(key).memory_kind
    memory_gb, usd_per_gb = bill.memory_bytes / GIB, bill.usd_per_byte * GIB
    die: Number = bill.die_usd or formulas.die_cost_usd(bill.wafer_usd, bill.good_dies)
    total = formulas.chip_cost_usd(
        die, memory_gb, usd_per_gb, package_usd=bill.package_usd, board_usd=bill.board_usd
    )
    usd = _plain(total)
    found = ChipCost(
        id=key,
        yield_model="published",
        harvest=not bill.die_usd,
        wafer_usd=bill.wafer_usd,
        dies_per_wafer=bill.dies_per_wafer,
        yield_share=bill.good_dies / bill.dies_per_wafer if bill.dies_per_wafer else 0.0,
        good_dies=bill.good_dies,
        die_usd=_plain(die),
        memory_kind=kind,
        memory_bytes=bill.memory_bytes,
        memory_usd=memory_gb * usd_per_gb,
        package_usd=bill.package_usd,
        board_usd=bill.board_usd,
        total_usd=usd,
        low_total_usd=usd,
        high_total_usd=usd,
        assumptions=(f"{bill.source}, its own figures", LEFT_OUT),
    )
    return _sold(found, total)


def _plain(value: Number) -> float:
    return float(untraced(value))


def new_price(id: str) -> Price | None:
    """What a new one is sold for: a used one may go for less than its materials.

    Examples
    --------
    >>> new_price("v100-pcie-16gb").kind
    'launch'
    """
    return purchase_price(id, among=[price for price in prices() if price.kind != "used"])


def _sold(cost: ChipCost, total: Number) -> ChipCost:
    """With what it is sold for, and the derivation."""
    terms: tuple[Term, ...] = tuple(term for term in (term_of(total),) if term is not None)
    price = new_price(cost.id)
    if price is None:
        return replace(cost, terms=terms)
    margin = formulas.margin_share(total, price.usd)
    term = term_of(margin)
    return replace(
        cost,
        price_usd=price.usd,
        price_kind=price.kind,
        price_date=price.date,
        margin_share=_plain(margin),
        terms=terms if term is None else (*terms, term),
    )
