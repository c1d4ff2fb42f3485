"""Command lines that a person can paste, and the YAML of a small file."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

Flag = tuple[str, ...]
"""An option and its values; a switch has none."""


def command_line(
    program: Iterable[str], flags: Iterable[Flag], environment: Mapping[str, str] | None = None
) -> str:
    """One command, an option a line, quoted for a POSIX shell.

    A word that begins with ``$`` is a variable of the shell and stays one.

    Parameters
    ----------
    program
        The words before the options.
    flags
        Options with their values, in order.
    environment
        Variables that this command alone sees.

    Examples
    --------
    >>> print(command_line(["vllm", "serve", "a b"], [("--port", "8000"), ("--headless",)], {"A": "1,2"}))
    A=1,2 vllm serve 'a b' \\
      --port 8000 \\
      --headless
    """
    variables = [f"{name}={_word(value)}" for name, value in (environment or {}).items()]
    first = " ".join([*variables, *map(_word, program)])
    return " \\\n  ".join([first, *(" ".join(map(_word, flag)) for flag in flags)])


def _word(text: str) -> str:
    if text.startswith("$"):
        return f'"{text}"'
    return shlex.quote(text)


def pairs(**values: Any) -> list[Flag]:
    """Options with one value each, in the spelling of Python's argparse.

    Examples
    --------
    >>> pairs(tp_size=8, host="HOST_1")
    [('--tp-size', '8'), ('--host', 'HOST_1')]
    """
    return [("--" + name.replace("_", "-"), str(value)) for name, value in values.items()]


def yaml_text(values: Mapping[str, Any]) -> str:
    """A mapping of plain values, lists of numbers and one level of mappings as YAML.

    Examples
    --------
    >>> print(yaml_text({"a": True, "b": {"c": "fp8"}, "d": [1, 2]}), end="")
    a: true
    b:
      c: fp8
    d: [1, 2]
    """
    lines = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            lines.append(f"{name}:")
            lines.extend(f"  {inner}: {_scalar(item)}" for inner, item in value.items())
        else:
            lines.append(f"{name}: {_scalar(value)}")
    return "\n".join(lines) + "\n"


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
