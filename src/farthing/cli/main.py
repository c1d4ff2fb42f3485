"""The command ``farthing``: its subcommands, and what becomes of errors."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, Final

import click

from farthing import __version__
from farthing.errors import FarthingError

COMMANDS: Final = {
    "infer": "farthing.cli.infer:infer",
    "train": "farthing.cli.train:train",
    "compare": "farthing.cli.compare:compare",
    "design": "farthing.cli.design:design",
    "simulate": "farthing.cli.simulate:simulate",
    "sweep": "farthing.cli.sweep:sweep",
    "gpu": "farthing.cli.gpu:gpu",
    "chip": "farthing.cli.chip:chip",
    "model": "farthing.cli.model:model",
    "cluster": "farthing.cli.cluster:cluster",
    "catalog": "farthing.cli.catalog:catalog",
    "prices": "farthing.cli.prices:prices",
    "validate": "farthing.cli.validate:validate",
    "article": "farthing.cli.article:article",
    "web": "farthing.cli.web:web",
    "completion": "farthing.cli.completion:completion",
}
"""Where each command is; imported when it is asked for."""

INTERRUPTED: Final = 130


class LazyGroup(click.Group):
    """A group that imports a command when it is used, and offers the nearest name for an unknown one."""

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of `COMMANDS`."""
        return [*self._lazy, *super().list_commands(ctx)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in self._lazy:
            return super().get_command(ctx, cmd_name)
        module, _, name = self._lazy[cmd_name].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with a message that helps."""
        name = args[0]
        known = self.list_commands(ctx)
        if name not in known and not name.startswith("-"):
            near = get_close_matches(name, known, n=2, cutoff=0.4)
            advice = f"did you mean {' or '.join(near)}?" if near else f"commands: {', '.join(known)}"
            raise click.UsageError(f"unknown command {name!r}; {advice}", ctx)
        return super().resolve_command(ctx, args)


@click.group(
    "farthing",
    cls=LazyGroup,
    lazy=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def cli() -> None:
    """What a large language model needs: memory, time, energy and money.

    For training and for inference, on any hardware, with the arithmetic shown. What is left out of a plan is
    searched, over every legal one.

    \b
    Examples:
      farthing infer llama-2-70b --on 1x8:rtx-4090 --tp 8 --context 4096
      farthing infer llama-3.3-70b --on 1x8:h100-sxm --objective usd --tpot 30ms --launch vllm
      farthing train llama-2-7b --on 1x8:a100-sxm-80gb --tokens 10B
      farthing gpu list --vendor nvidia --sort memory
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line; the exit code.

    Errors are one line on standard error, with ``--debug`` the traceback before it.

    Parameters
    ----------
    arguments
        Without the program's name; by default those of the process.

    Examples
    --------
    >>> main(["--version"])
    farthing 0.1.0
    0
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        result = cli.main(args=given, prog_name="farthing", standalone_mode=False)
    except FarthingError as error:
        return _fail(str(error), error.exit_code, given)
    except click.exceptions.NoArgsIsHelpError as error:
        # A group alone: its help is the answer, not one line.
        print(error.format_message(), file=sys.stderr)
        return 2
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx else "farthing"
        return _fail(f"{error.format_message().rstrip('.')} (see: {path} --help)", 2, given)
    except click.ClickException as error:
        return _fail(error.format_message(), error.exit_code, given)
    except (click.Abort, KeyboardInterrupt):
        return _fail("interrupted", INTERRUPTED, given)
    except RecursionError:
        return _fail("the input is nested too deeply", 2, given)
    except Exception as error:
        words = f"internal error: {type(error).__name__}: {error}; please report it"
        advice = "" if "--debug" in given else ", with what --debug shows"
        return _fail(words + advice, 1, given)
    return result if isinstance(result, int) else 0


def _fail(message: str, code: int, given: Sequence[str]) -> int:
    if "--debug" in given:
        traceback.print_exc()
    print(f"farthing: error: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
