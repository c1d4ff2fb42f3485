"""Derivations out of the very functions that compute.

A prediction function is written once, for numbers and for columns. Inside ``with tracing():`` the same
function runs on `Traced` numbers, which carry the expression that made them; its result then holds a
`Term` with the formula, the numbers put in and the reference. Outside, nothing is recorded and the
decorator costs one look-up.
"""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, ParamSpec, TypeAlias, TypeVar, cast

import numpy as np

from farthing.records.term import Term
from farthing.units import unit_of

Number: TypeAlias = Any
"""A float, an int, a NumPy column of either, or a `Traced`: what prediction functions take and return."""

P = ParamSpec("P")
R = TypeVar("R")

_tracing: ContextVar[bool] = ContextVar("tracing", default=False)
_ATOM, _POWER, _TIMES, _PLUS = 4, 3, 2, 1
_PLAIN = frozenset((int, float))


@contextmanager
def tracing() -> Iterator[None]:
    """Record derivations in this block."""
    token = _tracing.set(True)
    try:
        yield
    finally:
        _tracing.reset(token)


def plain_number(value: float) -> str:
    """A number as one writes it on paper.

    Examples
    --------
    >>> plain_number(70e9), plain_number(8192), plain_number(0.85), plain_number(3e-6), plain_number(17.5e-3)
    ('70e9', '8192', '0.85', '3e-6', '0.0175')
    """
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{value:.0f}"
    exponent = math.floor(math.log10(abs(value)))
    if -4 < exponent < 5:
        return f"{value:.4g}"
    exponent -= exponent % 3
    mantissa = f"{value / 10.0**exponent:.4g}"
    return f"{mantissa}e{exponent}"


class Traced:
    """A number that remembers how it was made."""

    __array_priority__ = 1000
    __slots__ = ("numbers", "precedence", "symbols", "term", "terms", "value")

    def __init__(
        self,
        value: float,
        symbols: str,
        numbers: str,
        precedence: int = _ATOM,
        terms: tuple[Term, ...] = (),
        term: Term | None = None,
    ) -> None:
        self.value = value
        self.symbols = symbols
        self.numbers = numbers
        self.precedence = precedence
        self.terms = terms
        self.term = term

    @property
    def sources(self) -> tuple[Term, ...]:
        """The named numbers behind this one: itself where it has a name."""
        return (self.term,) if self.term is not None else self.terms

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __index__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __hash__(self) -> int:
        return hash(self.value)

    def __repr__(self) -> str:
        return f"Traced({self.value!r}: {self.symbols})"

    def __eq__(self, other: object) -> bool:
        return bool(self.value == untraced(other))

    def __lt__(self, other: Any) -> bool:
        return bool(self.value < untraced(other))

    def __le__(self, other: Any) -> bool:
        return bool(self.value <= untraced(other))

    def __gt__(self, other: Any) -> bool:
        return bool(self.value > untraced(other))

    def __ge__(self, other: Any) -> bool:
        return bool(self.value >= untraced(other))

    def __add__(self, other: Any) -> Any:
        return _binary(self, other, " + ", _PLUS, lambda a, b: a + b)

    def __radd__(self, other: Any) -> Any:
        return _binary(other, self, " + ", _PLUS, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Any:
        return _binary(self, other, " - ", _PLUS, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return _binary(other, self, " - ", _PLUS, lambda a, b: a - b)

    def __mul__(self, other: Any) -> Any:
        return _binary(self, other, " × ", _TIMES, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Any:
        return _binary(other, self, " × ", _TIMES, lambda a, b: a * b)

    def __truediv__(self, other: Any) -> Any:
        return _binary(self, other, " / ", _TIMES, lambda a, b: a / b)

    def __rtruediv__(self, other: Any) -> Any:
        return _binary(other, self, " / ", _TIMES, lambda a, b: a / b)

    def __floordiv__(self, other: Any) -> Any:
        return _binary(self, other, " // ", _TIMES, lambda a, b: a // b)

    def __rfloordiv__(self, other: Any) -> Any:
        return _binary(other, self, " // ", _TIMES, lambda a, b: a // b)

    def __mod__(self, other: Any) -> Any:
        return _binary(self, other, " mod ", _TIMES, lambda a, b: a % b)

    def __rmod__(self, other: Any) -> Any:
        return _binary(other, self, " mod ", _TIMES, lambda a, b: a % b)

    def __pow__(self, other: Any) -> Any:
        return _binary(self, other, "^", _POWER, lambda a, b: a**b)

    def __rpow__(self, other: Any) -> Any:
        return _binary(other, self, "^", _POWER, lambda a, b: a**b)

    def __neg__(self) -> Any:
        return _binary(0, self, " - ", _PLUS, lambda a, b: a - b)

    def __pos__(self) -> Any:
        return self

    def __abs__(self) -> Any:
        return _call("abs", (self,), abs(self.value))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if any(isinstance(x, np.ndarray) and x.ndim for x in inputs) or method != "__call__":
            return getattr(ufunc, method)(*(untraced(x) for x in inputs), **kwargs)
        sign = _OPERATORS.get(ufunc.__name__)
        if sign is not None:
            return _binary(inputs[0], inputs[1], sign[0], sign[1], ufunc)
        value = ufunc(*(untraced(x) for x in inputs), **kwargs)
        if isinstance(value, (bool, np.bool_)):
            return bool(value)
        return _call(_FUNCTIONS.get(ufunc.__name__, ufunc.__name__), inputs, float(value))

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.where and len(args) == 3 and np.ndim(untraced(args[0])) == 0:
            chosen = args[1] if bool(untraced(args[0])) else args[2]
            return chosen if isinstance(chosen, Traced) else traced(chosen)
        if function is np.round:
            return _call("round", args[:1], float(np.round(*(untraced(x) for x in args))))
        if function is np.clip:
            return np.minimum(np.maximum(args[0], args[1]), args[2])
        plain = [[untraced(y) for y in x] if isinstance(x, (list, tuple)) else untraced(x) for x in args]
        return function(*plain, **{key: untraced(x) for key, x in kwargs.items()})


_OPERATORS = {
    "add": (" + ", _PLUS),
    "subtract": (" - ", _PLUS),
    "multiply": (" × ", _TIMES),
    "divide": (" / ", _TIMES),
    "true_divide": (" / ", _TIMES),
    "floor_divide": (" // ", _TIMES),
    "remainder": (" mod ", _TIMES),
    "power": ("^", _POWER),
    "float_power": ("^", _POWER),
}
_FUNCTIONS = {"maximum": "max", "minimum": "min", "absolute": "abs"}


def untraced(value: Any) -> Any:
    """The plain number of a `Traced`; anything else as it is."""
    return value.value if isinstance(value, Traced) else value


def traced(value: Any, name: str = "") -> Traced:
    """A number as a leaf of an expression."""
    if isinstance(value, Traced):
        return Traced(value.value, name or value.symbols, plain_number(value.value), _ATOM, value.sources)
    number = plain_number(float(value))
    return Traced(value, name or number, number)


def _binary(left: Any, right: Any, sign: str, precedence: int, operate: Callable[[Any, Any], Any]) -> Any:
    if isinstance(left, np.ndarray) or isinstance(right, np.ndarray):
        return operate(untraced(left), untraced(right))
    a = left if isinstance(left, Traced) else traced(left)
    b = right if isinstance(right, Traced) else traced(right)
    value = operate(a.value, b.value)
    shown = _shown(a, b, sign, value)
    if shown is not None:
        return shown
    tight = sign in (" - ", " / ", " // ", " mod ", "^")

    def join(x: str, y: str) -> str:
        x = f"({x})" if a.precedence < precedence or (sign == "^" and a.precedence <= precedence) else x
        y = f"({y})" if b.precedence < precedence or (tight and b.precedence <= precedence) else y
        return f"{x}{sign}{y}"

    terms = a.sources + tuple(t for t in b.sources if t not in a.sources)
    return Traced(value, join(a.symbols, b.symbols), join(a.numbers, b.numbers), precedence, terms)


def _is_literal(x: Traced, value: float) -> bool:
    return x.symbols == x.numbers and bool(x.value == value)


def _shown(a: Traced, b: Traced, sign: str, value: Any) -> Traced | None:
    """What is left of a step that changes nothing: nobody writes x + 0, 1 × x or x / 1 on paper."""
    if sign == " + " and (a.value == 0 or b.value == 0):
        kept = b if a.value == 0 else a
    elif (sign == " - " and b.value == 0) or (sign == " / " and _is_literal(b, 1)):
        kept = a
    elif sign == " × " and value == 0:
        return traced(value)
    elif sign == " × " and (_is_literal(a, 1) or _is_literal(b, 1)):
        kept = b if _is_literal(a, 1) else a
    else:
        return None
    return Traced(value, kept.symbols, kept.numbers, kept.precedence, kept.terms, kept.term)


def _call(name: str, inputs: tuple[Any, ...], value: float) -> Traced:
    parts = [x if isinstance(x, Traced) else traced(x) for x in inputs]
    if name in ("max", "min"):
        # A bound that does not bind, or the same twice, is not worth a word.
        idle = 0.0 if name == "max" else math.inf
        binding = {(x.symbols, x.numbers): x for x in parts if not _is_literal(x, idle)}
        kept = next(iter(binding.values()), parts[0])
        if len(binding) <= 1 and kept.value == value:
            return Traced(value, kept.symbols, kept.numbers, kept.precedence, kept.terms, kept.term)
    terms: tuple[Term, ...] = ()
    for part in parts:
        terms += tuple(t for t in part.sources if t not in terms)
    symbols = f"{name}({', '.join(p.symbols for p in parts)})"
    numbers = f"{name}({', '.join(p.numbers for p in parts)})"
    return Traced(value, symbols, numbers, _ATOM, terms)


_ENDINGS = (
    ("_flop_per_s", " rate"),
    ("_bytes_per_s", " bandwidth"),
    ("_usd_per_s", ""),
    ("_op_per_s", " rate"),
    ("_bytes", " bytes"),
    ("_flop", " FLOP"),
    ("_usd", ""),
    ("_s", ""),
    ("_w", ""),
    ("_j", ""),
)


def words(identifier: str) -> str:
    """An identifier in words, without its unit.

    Examples
    --------
    >>> words("weight_bytes"), words("ring_all_reduce_time_s"), words("peak_flop_per_s"), words("tp")
    ('weight bytes', 'ring all reduce time', 'peak rate', 'tp')
    """
    if identifier in ("bytes_per_s", "flop_per_s", "op_per_s"):
        return "bandwidth" if identifier == "bytes_per_s" else "rate"
    for ending, kept in _ENDINGS:
        if identifier.endswith(ending) and len(identifier) > len(ending):
            return identifier[: -len(ending)].replace("_", " ") + kept
    return identifier.replace("_", " ")


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number, Traced)) and not isinstance(value, (bool, np.bool_))


def formula(
    *, reference: str = "", name: str = "", unit: str | None = None, shows: str = ""
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Mark a prediction function: its calls become terms of a derivation while `tracing`.

    Parameters
    ----------
    reference
        Key of ``references.bib``; empty for plain arithmetic.
    name
        What the result is called; by default the function's name in words.
    unit
        SI unit; by default what the function's name ends with.
    shows
        What the derivation says instead of the expression, where that is too long to read.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        title = name or words(function.__name__)
        unit_name = unit_of(function.__name__) if unit is None else unit

        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            if not _tracing.get():
                return function(*args, **kwargs)
            if shows:
                return cast(R, _summarised(function, args, kwargs, title, unit_name, reference, shows))
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            for parameter, value in bound.arguments.items():
                if _is_number(value):
                    bound.arguments[parameter] = _argument(value, parameter)
            result = function(*bound.args, **bound.kwargs)
            return cast(R, _titled(result, title, unit_name, reference))

        call.reference = reference  # type: ignore[attr-defined]
        return call

    return decorate


def _summarised(
    function: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    title: str,
    unit: str,
    reference: str,
    shows: str,
) -> Any:
    result = function(*map(untraced, args), **{key: untraced(value) for key, value in kwargs.items()})
    if not _is_number(result):
        return result
    terms: tuple[Term, ...] = ()
    for value in (*args, *kwargs.values()):
        if isinstance(value, Traced):
            terms += tuple(term for term in value.sources if term.name in shows and term not in terms)
    term = Term(name=title, value=float(result), unit=unit, formula=shows, reference=reference, terms=terms)
    return Traced(result, title, plain_number(float(result)), _ATOM, (), term)


def _argument(value: Any, parameter: str) -> Traced:
    """A number under the parameter's name; one that has a name of its own keeps it."""
    if isinstance(value, Traced) and value.term is not None:
        return value
    if not isinstance(value, Traced) or (value.precedence == _ATOM and "(" not in value.symbols):
        return traced(value, words(parameter))
    return cast(Traced, _titled(value, words(parameter), unit_of(parameter), ""))


def _titled(result: Any, title: str, unit: str, reference: str) -> Any:
    if not _is_number(result):
        return result
    if not isinstance(result, Traced):
        result = traced(result, title)
        term = Term(name=title, value=float(result.value), unit=unit, reference=reference)
    elif result.term is not None:
        term = _renamed(result.term, title, unit, reference)
    else:
        leaf = result.symbols in (result.numbers, title)
        term = Term(
            name=title,
            value=float(result.value),
            unit=unit,
            formula="" if leaf and not result.terms else result.symbols,
            numbers="" if leaf and not result.terms else result.numbers,
            reference=reference,
            terms=result.sources,
        )
    return Traced(result.value, title, plain_number(float(result.value)), _ATOM, (), term)


def named(title: str, value: Number, unit: str | None = None, reference: str = "") -> Number:
    """Give a number its name in the derivation; outside `tracing` the number itself.

    Parameters
    ----------
    title
        In words; a unit suffix (``_s``, ``_bytes``) tells the unit and is not shown.
    value
        Scalar or column.
    unit
        SI unit where the title does not end with one.
    """
    if not _tracing.get() or not _is_number(value):
        return value
    unit_name = unit_of(title) if unit is None else unit
    return _titled(value, _without_unit(title), unit_name, reference)


def _without_unit(title: str) -> str:
    ending = next((ending for ending, _ in _ENDINGS if title.endswith(ending)), "")
    return title.removesuffix(ending).replace("_", " ")


def _renamed(term: Term, name: str, unit: str, reference: str) -> Term:
    return Term(
        name=name,
        value=term.value,
        unit=term.unit or unit,
        formula=term.formula,
        numbers=term.numbers,
        reference=term.reference or reference,
        terms=term.terms,
    )


def select(condition: Any, yes: Number, no: Number) -> Number:
    """``np.where`` that leaves scalars scalars.

    Examples
    --------
    >>> select(True, 1.0, 2.0), select(np.array([True, False]), 1.0, 2.0)
    (1.0, array([1., 2.]))
    """
    if isinstance(condition, np.ndarray):
        return np.where(condition, yes, no)
    return yes if condition else no


def larger(a: Number, b: Number) -> Number:
    """``np.maximum`` that leaves scalars scalars, and takes a tenth of its time for them.

    Examples
    --------
    >>> larger(1.5, 2), larger(1.5, np.array([1, 2]))
    (2, array([1.5, 2. ]))
    """
    if type(a) in _PLAIN and type(b) in _PLAIN:
        return a if a >= b else b
    return np.maximum(a, b)


def smaller(a: Number, b: Number) -> Number:
    """``np.minimum`` that leaves scalars scalars.

    Examples
    --------
    >>> smaller(1.5, 2), smaller(1.5, np.array([1, 2]))
    (1.5, array([1. , 1.5]))
    """
    if type(a) in _PLAIN and type(b) in _PLAIN:
        return a if a <= b else b
    return np.minimum(a, b)


def rounded_up(value: Number) -> Number:
    """``np.ceil`` that leaves scalars scalars.

    Examples
    --------
    >>> rounded_up(1.5), rounded_up(np.array([1.5]))
    (2.0, array([2.]))
    """
    if type(value) in _PLAIN:
        return float(math.ceil(value))
    return np.ceil(value)


def is_plain(*values: Any) -> bool:
    """Whether all are numbers that nothing traces, so that what follows from them may be remembered."""
    return not _tracing.get() and all(type(value) in _PLAIN for value in values)


def term_of(value: Number) -> Term | None:
    """The derivation that a number carries; None outside `tracing`."""
    return value.term if isinstance(value, Traced) else None
