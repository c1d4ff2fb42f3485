"""The manual of the command line, from the commands themselves."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Final

import click

from farthing.cli.main import cli

_WIDTH: Final = 100

_INTRODUCTION: Final = """\
# Command line

<!-- Written by docs/generate_cli.py from the commands' own help; `make docs` writes it again. -->

```
farthing infer llama-2-70b --on 1x8:rtx-4090 --tp 8 --batch 1 --context 4096
farthing train llama-2-70b --on 256x8:a100-sxm-80gb@ib-hdr --tokens 2T --tp 8 --pp 8 \\
    --global-batch 1024 --seq 4096
```

- **Hardware** is `HOSTSxCARDS:ACCELERATOR@NETWORK`, unlike hosts joined with `+`; or a `.toml` file
  (`farthing cluster show 2x4:rtx-4090@25gbe --toml` prints one to start from).
- **Counts** may be written `4096`, `4k` (4000, not 4096), `1.5M`, `15B` or `2T`.
- **Options** are the fields of the records ([terms](terms.md)) with dashes; the most used have short
  spellings.
- **`--set FIELD=VALUE`** changes a field of the model's shape, e.g. `--set layers=40`.
- **`-`** in place of a model or a cluster reads it from standard input: TOML, or for a model also a
  `config.json`.
- **`--json`** prints JSON and nothing else: SI units under the names of the fields. Errors go to standard
  error.
- **`--explain`** shows how each number is derived, with its references; `--explain-depth` says how deeply.
- **Errors** are one line; `--debug` shows the traceback. Exit codes: 0 done, 1 a fault of farthing,
  of a data file or of the network, 2 input that makes no sense, 3 a plan that does not fit, 130 interrupted.
- **Colour** is for terminals; `NO_COLOR` turns it off. Output is as wide as the terminal (`COLUMNS`), at most
  120 columns.
- **Completion**: `farthing completion bash`, `zsh` or `fish` prints the script.
"""


def commands() -> Iterator[tuple[str, click.Command, click.Context]]:
    """Each command under its full name, groups before what they hold.

    Examples
    --------
    >>> [name for name, _, _ in commands()][:3]
    ['farthing', 'farthing infer', 'farthing train']
    """

    def walk(
        name: str, command: click.Command, parent: click.Context | None
    ) -> Iterator[tuple[str, click.Command, click.Context]]:
        context = click.Context(
            command,
            info_name=name.rpartition(" ")[2],
            parent=parent,
            terminal_width=_WIDTH,
            **({} if parent else command.context_settings),
        )
        yield name, command, context
        if isinstance(command, click.Group):
            for child in command.list_commands(context):
                found = command.get_command(context, child)
                if found is not None:
                    yield from walk(f"{name} {child}", found, context)

    yield from walk("farthing", cli, None)


def examples(command: click.Command) -> list[list[str]]:
    """The command lines under ``Examples:`` of a command's help, without the program's name.

    Examples
    --------
    >>> from farthing.cli.completion import completion
    >>> examples(completion)
    [['completion', 'bash']]
    """
    _, _, listed = (command.help or "").partition("Examples:")
    lines = [" ".join(line.split()) for line in listed.replace("\\\n", " ").splitlines()]
    return [shlex.split(line)[1:] for line in lines if line.startswith("farthing ")]


def reference() -> str:
    """The whole manual as Markdown."""
    parts = [_INTRODUCTION]
    for name, command, context in commands():
        help_text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
        parts.append(f"## {name}\n\n```\n{help_text}\n```\n")
    return "\n".join(parts)
