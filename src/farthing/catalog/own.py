"""A user's own constants: factors on the shipped ones, refitted to runs of theirs, in a file of theirs."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from farthing.catalog.load import read_table
from farthing.errors import CatalogError, InvalidInput
from farthing.records.efficiency import Efficiency
from farthing.records.engine_efficiency import EngineEfficiency

FILE: Final = "mine.csv"
FORGET: Final = "farthing validate --forget"
SHARES: Final = ("matmul_share", "attention_share", "memory_share", "kv_share")
"""Fields that a user's row may change."""

_instead: list[tuple[EngineEfficiency, ...]] = []
"""Rows that stand in for the file's, the last first."""


def folder() -> Path:
    """Where a user's settings are: ``FARTHING_CONFIG``, or ``farthing`` in the system's place for them."""
    read = os.environ.get
    shared = read("XDG_CONFIG_HOME") or read("APPDATA") or ""
    return _folder(read("FARTHING_CONFIG") or "", shared, read("HOME") or read("USERPROFILE") or "")


@functools.lru_cache(maxsize=8)
def _folder(own: str, shared: str, _home: str) -> Path:
    """Remembered, since every price that is looked up asks for it."""
    if own:
        return Path(own)
    return Path(shared) / "farthing" if shared else Path("~/.config/farthing").expanduser()


def file() -> Path:
    """The file of the user's constants."""
    return folder() / FILE


def rows() -> tuple[EngineEfficiency, ...]:
    """The user's constants.

    Raises
    ------
    InvalidInput
        The file cannot be read or understood.
    """
    return _instead[-1] if _instead else _read(file())


@functools.cache
def _read(path: Path) -> tuple[EngineEfficiency, ...]:
    advice = f"put it right, or remove it with: {FORGET}"
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not text; {advice}") from None
    try:
        found = tuple(read_table(str(path), EngineEfficiency, text).values())
    except CatalogError as error:
        raise InvalidInput(f"{error}; {advice}") from None
    for row in found:
        for name in SHARES:
            factor = getattr(row, name)
            if factor == factor and not 0.01 <= factor <= 100:
                raise InvalidInput(f"{path}: {name} of {row.engine} is {factor:g}, no sane factor; {advice}")
    if not found or not text.endswith("\n"):
        raise InvalidInput(f"{path} is cut short; {advice}")
    return found


def forget() -> bool:
    """Remove the file; whether there was one."""
    try:
        return removed(file())
    finally:
        _read.cache_clear()


def removed(path: Path) -> bool:
    """Remove a file of the user's; whether there was one."""
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise InvalidInput(f"cannot remove {path}: {error.strerror}") from None
    return True


def save(found: Sequence[EngineEfficiency]) -> Path:
    """Write the user's constants in place of earlier ones; half a file is never left."""
    path = file()
    lines = [",".join(("engine", "architecture", *SHARES, "fitted_on"))]
    for row in found:
        factors = ["" if (f := getattr(row, name)) != f else f"{f:.3g}" for name in SHARES]
        lines.append(",".join((row.engine, row.architecture, *factors, row.fitted_on)))
    write_whole(path, "\n".join(lines) + "\n")
    _read.cache_clear()
    return path


def write_whole(path: Path, text: str) -> None:
    """Write a file of the user's in place of an earlier one; half a file is never left."""
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, "utf-8", newline="")
        part.replace(path)
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            part.unlink(missing_ok=True)


def ignore() -> None:
    """From now on go by what ships alone."""
    _instead[:] = [()]


@contextlib.contextmanager
def trying(found: Sequence[EngineEfficiency]) -> Iterator[None]:
    """Go by these rows for a while; what is cached of others must be dropped by the caller."""
    _instead.append(tuple(found))
    try:
        yield
    finally:
        _instead.pop()


def overlaid(
    shipped: EngineEfficiency, family: str, architectures: Sequence[str], limits: Efficiency
) -> EngineEfficiency:
    """Shipped constants times the user's factors; no rate beats the hardware's."""
    for row in rows():
        if row.engine == (family or "none") and row.architecture in architectures:
            most = {
                "matmul_share": max(limits.matmul_share, limits.matmul_share_8bit, limits.matmul_share_4bit),
                "attention_share": limits.attention_share,
                "memory_share": limits.memory_share,
                "kv_share": limits.memory_share,
            }
            changed = {
                name: min(was * factor, max(was, 1 / most[name]))
                for name in SHARES
                if (factor := getattr(row, name)) == factor
                for was in (getattr(shipped, name),)
            }
            return replace(shipped, **changed, fitted_on=row.fitted_on)
    return shipped
