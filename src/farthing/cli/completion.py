"""``farthing completion``: the script that completes names in a shell."""

from __future__ import annotations

import click

from farthing.cli.options import Command, Word, output_options

_SHELLS = ("bash", "zsh", "fish")


@click.command("completion", cls=Command, short_help="Print a shell's completion script.")
@click.argument("shell", type=Word(_SHELLS))
@output_options
def completion(shell: str, as_json: bool) -> None:
    """Print the script that completes commands, options and names in SHELL.

    Put it where the shell reads it at its start:

    \b
      bash   farthing completion bash > ~/.local/share/bash-completion/completions/farthing
      zsh    farthing completion zsh > ~/.zfunc/_farthing     (with ~/.zfunc in fpath)
      fish   farthing completion fish > ~/.config/fish/completions/farthing.fish

    \b
    Examples:
      farthing completion bash
    """
    from click.shell_completion import get_completion_class

    from farthing.cli.main import cli
    from farthing.cli.output import show_json, write

    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover
        raise click.UsageError(f"click has no completion for {shell}")
    complete = kind(cli, {}, "farthing", "_FARTHING_COMPLETE")
    script = (complete.source_template % complete.source_vars()).strip() + "\n"
    if as_json:
        show_json({"shell": shell, "script": script})
    else:
        write(script)
