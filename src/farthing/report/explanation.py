"""A derivation as one writes it on paper."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from farthing.records.term import Term
from farthing.report import layout
from farthing.units import format_count, format_quantity

_HANGING: Final = 4
_SIGNS: Final = (" × ", " / ", " + ", " - ")


def is_plain(term: Term) -> bool:
    """Whether a number has nothing behind it: the line that uses it shows it already.

    Examples
    --------
    >>> is_plain(Term(name="tp", value=8.0)), is_plain(Term(name="x", value=4.0, formula="2 × tp"))
    (True, False)
    """
    return not term.formula and not term.terms


def tidied(symbols: str, numbers: str) -> tuple[str, str]:
    """A formula and its numbers without factors and divisors of 1.

    Examples
    --------
    >>> tidied("parameters × size / shards", "8e9 × 2 / 1")
    ('parameters × size', '8e9 × 2')
    >>> tidied("a × (b + c) + d", "1 × (2 + 3) + 4"), tidied("x", "1")
    (('(b + c) + d', '(2 + 3) + 4'), ('x', '1'))
    """
    said, put = _operands(symbols), _operands(numbers)
    if [sign for sign, _ in said] != [sign for sign, _ in put]:
        return symbols, numbers
    kept: list[tuple[str, str, str]] = []
    for (sign, name), (_, number) in zip(said, put, strict=True):
        if number == "1" and sign in (" × ", " / "):
            continue
        if kept and kept[-1][2] == "1" and sign == " × " and kept[-1][0] in ("", " + ", " - "):
            kept[-1] = (kept[-1][0], name, number)
        else:
            kept.append((sign, name, number))
    return "".join(s + name for s, name, _ in kept), "".join(s + number for s, _, number in kept)


def _operands(expression: str) -> list[tuple[str, str]]:
    """Each operand outside brackets, with the sign before it."""
    found, sign, start, level, place = [], "", 0, 0, 0
    while place < len(expression):
        level += (expression[place] == "(") - (expression[place] == ")")
        if level == 0 and expression[place : place + 3] in _SIGNS:
            found.append((sign, expression[start:place]))
            sign, start = expression[place : place + 3], place + 3
            place += 2
        place += 1
    return [*found, (sign, expression[start:])]


def value_of(term: Term) -> str:
    """The value as people read it.

    Examples
    --------
    >>> value_of(Term(name="weights", value=17.5e9, unit="byte")), value_of(Term(name="x", value=7e10))
    ('17.5 GB', '70.0 B')
    """
    if not term.unit and abs(term.value) >= 1e6:
        return format_count(term.value)
    return format_quantity(term.value, term.unit)


def steps(terms: Sequence[Term], depth: int | None = None) -> Iterator[tuple[int, Term, bool]]:
    """Level, term, and whether it was derived before; what a line uses follows it.

    Plain numbers and what comes to nothing are left out.

    Examples
    --------
    >>> inner = Term(name="b", value=2.0, formula="1 + 1", numbers="1 + 1")
    >>> outer = Term(name="a", value=4.0, formula="b + b", numbers="2 + 2", terms=(inner,))
    >>> [(level, term.name, known) for level, term, known in steps([outer, inner])]
    [(0, 'a', False), (1, 'b', False), (0, 'b', True)]
    """
    derived: set[Term] = set()

    def walk(term: Term, level: int) -> Iterator[tuple[int, Term, bool]]:
        known = term in derived
        yield level, term, known
        derived.add(term)
        if not known and (depth is None or level + 1 < depth):
            for part in dict.fromkeys(term.terms):
                if not is_plain(part) and part.value != 0:
                    yield from walk(part, level + 1)

    for term in terms:
        yield from walk(term, 0)


def references(terms: Sequence[Term], depth: int | None = None) -> list[str]:
    """Keys of the papers that the shown steps rest on, in order of appearance."""
    shown = (term.reference for _, term, known in steps(terms, depth) if not known)
    return list(dict.fromkeys(key for key in shown if key))


def formula_of(term: Term) -> tuple[str, ...]:
    """The formula and its numbers, as far as they say more than the name.

    Examples
    --------
    >>> formula_of(Term(name="weights", value=16e9, formula="parameters × size", numbers="8e9 × 2"))
    ('parameters × size', '8e9 × 2')
    """
    parts = [part for part in tidied(term.formula, term.numbers) if part and part != term.name]
    return tuple(dict.fromkeys(parts))


class Step:
    """One line of a derivation; too long for the width, it breaks at its signs of equality."""

    def __init__(self, level: int, term: Term, known: bool) -> None:
        self.level = level
        self.term = term
        self.known = known

    def lines(self, width: int) -> list[str]:
        """The line in a width.

        Examples
        --------
        >>> term = Term(name="weights", value=16e9, unit="byte", formula="parameters × size",
        ...             numbers="8e9 × 2", reference="rajbhandari-2020")
        >>> Step(0, term, False).lines(80)
        ['weights = parameters × size = 8e9 × 2 = 16.0 GB  [rajbhandari-2020]']
        >>> Step(0, term, False).lines(40)
        ['weights = parameters × size', '    = 8e9 × 2', '    = 16.0 GB  [rajbhandari-2020]']
        >>> Step(1, term, True).lines(80)
        ['  weights = 16.0 GB, as above']
        """
        term, indent = self.term, " " * (2 * self.level)
        value = value_of(term)
        if self.known:
            return [f"{indent}{term.name} = {value}, as above"]
        parts = list(formula_of(term))
        last = value + (f"  [{term.reference}]" if term.reference else "")
        whole = f"{indent}{' = '.join([term.name, *parts, last])}"
        if len(whole) <= width:
            return [whole]
        hanging = indent + " " * _HANGING
        first, *rest = [*parts, last]
        found = _wrapped(f"{term.name} = {first}", width, indent, hanging + "  ")
        for part in rest:
            found += _wrapped(f"= {part}", width, hanging, hanging + "  ")
        return found

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self.lines(options.max_width):
            text = Text(line, no_wrap=True, overflow="fold")
            text.highlight_regex(r"\[[a-z0-9-]+\]$|, as above$", "dim")
            if self.level == 0:
                text.highlight_regex(r"^[^ =][^=]*(?= =)", "bold")
            yield text


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    return textwrap.wrap(
        text,
        max(width, len(rest) + 20),
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def explanation(
    terms: Sequence[Term],
    *,
    depth: int | None,
    citation: Callable[[str], str],
    units: str = "byte, s, FLOP",
) -> RenderableType:
    """A derivation and the papers that it rests on.

    Parameters
    ----------
    terms
        Of an estimate.
    depth
        Levels that are shown; None shows all.
    citation
        One line for the key of a paper.
    units
        That the numbers are in.
    """
    note = f"in {units}" if depth is None else f"in {units}; {depth} levels, --explain-depth shows more"
    rows: list[RenderableType] = [Text(), layout.heading("Derivation", note)]
    for level, term, known in steps(terms, depth):
        if level == 0:
            rows.append(Text())
        rows.append(layout.indented(Step(level, term, known)))
    used = references(terms, depth)
    if used:
        rows += [Text(), layout.heading("References")]
        rows.append(layout.items(f"[{key}] {citation(key)}" for key in used))
    return Group(*rows)
