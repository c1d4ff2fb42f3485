"""A derivation as one writes it on paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from farthing.records.term import Term
from farthing.report import layout
from farthing.units import format_quantity


def references(terms: Sequence[Term]) -> list[str]:
    """Keys of the papers that a derivation rests on, in order of appearance."""
    found: dict[str, None] = {}
    for term in terms:
        if term.reference:
            found[term.reference] = None
        found.update(dict.fromkeys(references(term.terms)))
    return list(found)


def lines(terms: Sequence[Term], depth: int | None = None) -> Iterator[tuple[int, Term, bool]]:
    """Level, term, and whether it was printed before; outer terms first."""
    seen: set[Term] = set()

    def walk(term: Term, level: int) -> Iterator[tuple[int, Term, bool]]:
        known = term in seen
        yield level, term, known
        seen.add(term)
        if not known and (depth is None or level + 1 < depth):
            for part in term.terms:
                yield from walk(part, level + 1)

    for term in terms:
        yield from walk(term, 0)


def explanation(
    terms: Sequence[Term], *, depth: int | None, citation: Callable[[str], str]
) -> RenderableType:
    """A derivation and the papers that it rests on."""
    rows: list[RenderableType] = [Text(), layout.heading("Derivation")]
    for level, term, known in lines(terms, depth):
        parts = [term.name]
        if not known:
            parts += [part for part in (term.formula, term.numbers) if part]
        parts.append(format_quantity(term.value, term.unit))
        text = Text(" = ".join(parts))
        if term.reference and not known:
            text.append(f"  [{term.reference}]", style="dim")
        rows.append(layout.indented(Text("  " * level) + text))
    used = references(terms)
    if used:
        rows += [Text(), layout.heading("References")]
        rows.append(layout.items(f"[{key}] {citation(key)}" for key in used))
    return Group(*rows)
