"""Commands of an engine as text that can be copied into a shell: no line of a command is wrapped."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from farthing.records.launch import Launch


def launch_text(launch: Launch, width: int = 100) -> str:
    """Files and commands with the machines that they are for, what the engine cannot do, and notes.

    Words are comments of the shell, and a file is the command that writes it: all of it can be pasted.

    Parameters
    ----------
    launch
        The commands.
    width
        Of the words, in characters.

    Examples
    --------
    >>> from farthing.records.launch import LaunchCommand
    >>> print(launch_text(Launch(engine="vllm", version="0.33.0", documentation="docs.vllm.ai",
    ...     commands=(LaunchCommand(where="this host", text="vllm serve MODEL"),), cannot=("no GPipe",))))
    # vllm 0.33.0, docs.vllm.ai
    <BLANKLINE>
    # on this host
    vllm serve MODEL
    <BLANKLINE>
    # cannot:
    # - no GPipe
    <BLANKLINE>
    """
    return "\n\n".join(_blocks(launch, width)) + "\n"


def _blocks(launch: Launch, width: int) -> Iterator[str]:
    yield f"# {launch.engine} {launch.version}, {launch.documentation}"
    for file in launch.files:
        yield f"# file {file.name}\ncat > {file.name} <<'END'\n{file.text}END"
    for command in launch.commands:
        yield f"# on {command.where}\n{command.text}"
    if not launch.commands:
        yield f"# {launch.engine} cannot run this plan."
    for title, sentences in (("cannot", launch.cannot), ("notes", launch.notes)):
        if sentences:
            yield "\n".join([f"# {title}:", *(_sentence(sentence, width) for sentence in sentences)])


def _sentence(words: str, width: int) -> str:
    return textwrap.fill(
        words,
        width=width,
        initial_indent="# - ",
        subsequent_indent="#   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
