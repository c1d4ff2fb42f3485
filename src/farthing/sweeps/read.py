"""Reads the description of a sweep: TOML or a mapping in, questions out, everything odd refused at once."""

from __future__ import annotations

import math
import reprlib
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final, Literal, TypeVar, cast, get_args, get_origin, get_type_hints

from farthing import api
from farthing.errors import InvalidInput, UnknownName
from farthing.records.plan import InferencePlan, TrainingPlan
from farthing.records.search import InferenceObjective, Limits, Task, TrainingObjective
from farthing.records.workload import InferenceWorkload, TrainingWorkload
from farthing.sweeps.grid import Axes, Grid

T = TypeVar("T")

KEYS: Final = ("task", "models", "clusters", "workload", "plan", "cost", "search")
MOST_QUESTIONS: Final = 10_000_000
MOST: Final = {int: 10**9, float: 10**18}
"""Larger numbers are slips of the finger, as on the command line."""

LISTS: Final = (list, tuple, range)

_CATALOGUE: Final = {
    "engine": "engines",
    **dict.fromkeys(
        ("weight_format", "kv_format", "compute_format", "dense_format", "gradient_format"), "formats"
    ),
}
"""Fields that name a row of a table of the catalogue."""

_REQUIRED: Final = {"sequence_tokens": 1, "global_batch_size": 1}
"""Stands in for fields without a default while another field is checked."""


def read_sweep(source: str | Path | Mapping[str, Any]) -> Grid:
    """The questions that a description asks.

    Keys: ``task`` (``inference`` or ``training``), ``models``, ``clusters``, and the tables ``workload``,
    ``plan``, ``cost`` and ``search`` (``objective``, and the fields of `Limits`). A list is an axis of the
    grid; a field that is a list itself, such as ``stage_layers``, takes a list of lists. Several tables of a
    name (``[[plan]]``) are alternatives.

    Parameters
    ----------
    source
        A TOML file, ``-`` for TOML on standard input, or what such a file would hold.

    Raises
    ------
    InvalidInput
        Not TOML; an unknown, missing or empty key; a value that no question can have; names that do not
        exist. A combination that makes no sense is no error here: its row says so.

    Examples
    --------
    >>> grid = read_sweep({"task": "inference", "models": ["llama-2-7b"], "clusters": ["1x2:rtx-4090"],
    ...                    "plan": [{"tp": 2, "weight_format": ["fp16", "q4_k_m"]}, {"dp": 2}]})
    >>> [question.plan for question in map(grid.__getitem__, range(len(grid)))]
    [{'tp': 2, 'weight_format': 'fp16'}, {'tp': 2, 'weight_format': 'q4_k_m'}, {'dp': 2}]
    """
    if isinstance(source, Mapping):
        return _grid(source, "the sweep")
    where, text = _text(source)
    try:
        values = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"{where} is not valid TOML, correct it: {error}") from None
    return _grid(values, where)


def _text(source: str | Path) -> tuple[str, str]:
    if str(source) == "-":
        return "standard input", sys.stdin.read()
    path = Path(source).expanduser()
    try:
        return str(source), path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not a text file in UTF-8; give a sweep in TOML") from None
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}; name an existing file") from None


def _grid(values: Mapping[str, Any], where: str) -> Grid:
    for key in values:
        if key not in KEYS:
            raise UnknownName(f"key in {where}:", str(key), KEYS, f"known keys: {', '.join(KEYS)}")
    task = _task(where, values.get("task"))
    kinds = records(task)
    grid = Grid(
        task=task,
        models=_named(where, "models", values, api.find_model, '"llama-3.1-8b"'),
        clusters=_named(where, "clusters", values, api.find_cluster, '"1x8:h100-sxm"'),
        workload=_tables(where, "workload", values.get("workload", {}), kinds),
        plan=_tables(where, "plan", values.get("plan", {}), kinds),
        cost=_tables(where, "cost", values.get("cost", {}), kinds),
        search=_tables(where, "search", values["search"], kinds) if "search" in values else (),
    )
    if math.prod(grid.sizes.values()) > MOST_QUESTIONS:
        raise InvalidInput(
            f"{where} asks {math.prod(grid.sizes.values()):,} questions; "
            f"at most {MOST_QUESTIONS:,} go into one sweep: write several"
        )
    return grid


def _task(where: str, value: Any) -> Task:
    for task in get_args(Task):
        if value == task:
            return cast(Task, task)
    said = "is missing" if value is None else f"is {reprlib.repr(value)}"
    raise InvalidInput(f'{where}: task {said}; write task = "inference" or task = "training"')


def records(task: Task) -> dict[str, type]:
    """The record behind each table of a sweep."""
    training = task == "training"
    return {
        "workload": TrainingWorkload if training else InferenceWorkload,
        "plan": TrainingPlan if training else InferencePlan,
        "cost": api.CostBasis,
        "search": Limits,
    }


def _named(
    where: str, key: str, values: Mapping[str, Any], find: Callable[[str], T], example: str
) -> dict[str, T]:
    """What the names of an axis stand for."""
    if key not in values:
        raise InvalidInput(f"{where}: {key} is missing; write {key} = [{example}]")
    found: dict[str, T] = {}
    for name in _axis(f"{where}: {key}", values[key], lambda value: value):
        if not isinstance(name, str):
            raise InvalidInput(f"{where}: {key} must be texts such as {example}, not {reprlib.repr(name)}")
        if name.strip() == "-":
            raise InvalidInput(f"{where}: {key} cannot be read from standard input; name a file")
        try:
            record = find(name)
        except InvalidInput as error:
            raise InvalidInput(f"{where}: {key}: {error}") from None
        same = next((other for other, known in found.items() if known == record), None)
        if same is not None:
            raise InvalidInput(f"{where}: {key} names {name!r} and {same!r}, which are one; leave one out")
        found[name] = record
    return found


def _axis(where: str, value: Any, checked: Callable[[Any], Any], *, lists: bool = False) -> tuple[Any, ...]:
    """The values of an axis; a single value is an axis of one."""
    is_axis = isinstance(value, LISTS)
    if lists and is_axis:
        is_axis = not value or any(isinstance(item, LISTS) for item in value)
    given = list(value) if is_axis else [value]
    if not given:
        raise InvalidInput(f"{where} is empty; give it a value, or leave it out")
    found: list[Any] = []
    for item in given:
        one = checked(item)
        if one in found:
            raise InvalidInput(f"{where} has {reprlib.repr(item)} twice; leave one out")
        found.append(one)
    return tuple(found)


def _tables(where: str, name: str, value: Any, kinds: Mapping[str, type]) -> tuple[Axes, ...]:
    """The alternatives under one name."""
    given = value if isinstance(value, LISTS) else [value]
    if not given:
        raise InvalidInput(f"{where}: {name} is empty; give it a value, or leave it out")
    found: list[Axes] = []
    for table in given:
        if not isinstance(table, Mapping):
            raise InvalidInput(f"{where}: {name} must be a table; write [{name}] and a field on each line")
        axes = {key: _field(where, name, str(key), values, kinds) for key, values in table.items()}
        if axes in found:
            raise InvalidInput(f"{where}: two [[{name}]] are the same; leave one out")
        found.append(axes)
    return tuple(found)


def _field(where: str, name: str, key: str, value: Any, kinds: Mapping[str, type]) -> tuple[Any, ...]:
    """The values of a field, each one that some question can have."""
    record = kinds[name]
    hints = get_type_hints(record)
    if name == "search":
        objectives = TrainingObjective if kinds["plan"] is TrainingPlan else InferenceObjective
        hints = {"objective": objectives, **hints}
    if key not in hints:
        _refuse_elsewhere(where, name, key, kinds)
        raise UnknownName(f"key in {where}, [{name}]:", key, hints, f"known keys: {', '.join(hints)}")

    def checked(item: Any) -> Any:
        one = _typed(f"{where}: [{name}] {key}", item, hints[key])
        if key in _CATALOGUE and one:
            # 4.7 in q4_k_m@4.7 is no part of the name.
            found = one.partition("@")[0] if _CATALOGUE[key] == "formats" else one
            _told(where, name, lambda: api.row(_CATALOGUE[key], found))
        if key != "objective":
            _told(where, name, lambda: record(**{**_required(record), key: one}))
        return one

    return _axis(f"{where}: [{name}] {key}", value, checked, lists=get_origin(hints[key]) is tuple)


def _refuse_elsewhere(where: str, name: str, key: str, kinds: Mapping[str, type]) -> None:
    """Raise for a field that belongs to another table, or to the other task."""
    task: Task = "inference" if kinds["plan"] is TrainingPlan else "training"
    for other, kind in kinds.items():
        if key in get_type_hints(kind) and not (other == "search" and key in _fields(task)):
            raise InvalidInput(f"{where}: write {key} under [{other}], not under [{name}]")
    if key in _fields(task):
        raise InvalidInput(f"{where}: {key} goes with {task} alone; leave it out, or change the task")


def _fields(task: Task) -> set[str]:
    """Fields of a workload and a plan."""
    kinds = records(task)
    return {*get_type_hints(kinds["workload"]), *get_type_hints(kinds["plan"])}


def _required(record: type) -> dict[str, Any]:
    return {field.name: _REQUIRED[field.name] for field in fields(record) if field.default is MISSING}


def _told(where: str, name: str, check: Callable[[], Any]) -> None:
    """Run a check of a record's own, and say where in the sweep it failed."""
    try:
        check()
    except InvalidInput as error:
        owner, _, rest = str(error).partition(": ")
        said = rest if rest and " " not in owner else str(error)
        raise InvalidInput(f"{where}: [{name}] {said}") from None


def _typed(where: str, value: Any, hint: Any) -> Any:
    """A value in the type of its field; the record itself checks its range."""
    if get_origin(hint) is Literal:
        if not isinstance(value, str) or value not in get_args(hint):
            known = get_args(hint)
            raise UnknownName(f"value in {where}:", str(value), known, f"one of {', '.join(known)}")
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, LISTS):
            raise InvalidInput(
                f"{where} must be a list of whole numbers, such as [10, 12], not {reprlib.repr(value)}"
            )
        return tuple(_typed(where, item, int) for item in value)
    # Sizes of a plan are declared as Any, since columns of them are allowed elsewhere.
    kind = int if hint is Any else hint
    words = {int: "a whole number", float: "a number", bool: "true or false", str: "a text in quotes"}[kind]
    accepted = (int, float) if kind is float else (kind,)
    if not isinstance(value, accepted) or (isinstance(value, bool) and kind is not bool):
        raise InvalidInput(f"{where} must be {words}, not {reprlib.repr(value)}")
    if kind in MOST and not abs(value) <= MOST[kind]:
        raise InvalidInput(f"{where} must be a number of at most {MOST[kind]:,}, not {reprlib.repr(value)}")
    return kind(value)
