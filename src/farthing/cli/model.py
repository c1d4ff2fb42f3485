"""``farthing model``: shapes of models."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

import click

from farthing.cli.options import (
    Command,
    complete_model,
    model_options,
    option,
    output_options,
)
from farthing.errors import InvalidInput


@click.group("model")
def model() -> None:
    """Models: list them, show one, import a shape."""


@model.command("list", cls=Command, short_help="One line for each model.")
@option("Filter", "--family", metavar="NAME", help="Only of this family, e.g. llama.")
@option("Filter", "--search", metavar="TEXT", help="Only those with this text in id, name or family.")
@output_options
def list_models(family: str | None, search: str | None, as_json: bool) -> None:
    """One line for each model of the catalogue.

    \b
    Examples:
      farthing model list
      farthing model list --family llama
      farthing model list --search qwen3 --json
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.errors import UnknownName

    shapes = api.catalog_records("models", search=search or "")
    if family is not None:
        known = {shape.family for shape in api.models().values()}
        if family.lower() not in known:
            raise UnknownName("family", family, known, f"there are {', '.join(sorted(known))}")
        shapes = tuple(shape for shape in shapes if shape.family == family.lower())
    summaries = [api.model_summary(shape) for shape in shapes]
    if as_json:
        show_json(summaries)
    else:
        from farthing.report.models import model_list

        show(model_list(summaries))


@model.command("show", cls=Command, short_help="Shape, size and cache of one model.")
@model_options
@output_options
def show_model(model: str, changes: tuple[str, ...], as_json: bool) -> None:
    """Shape, parameters, cache and work of MODEL.

    MODEL is an id, a file, a folder, a hub id, or - for TOML or JSON on standard input.

    \b
    Examples:
      farthing model show llama-2-70b
      farthing model show deepseek-v3 --json
      farthing model show llama-2-70b --set layers=40
    """
    from farthing import api
    from farthing.cli.output import show, show_json

    summary = api.model_summary(api.find_model(model, **api.parsed_changes(changes)))
    if as_json:
        show_json(summary)
    else:
        from farthing.report.models import model_report

        show(model_report(summary))


@model.command("import", cls=Command, short_help="Read a shape, and write it as TOML.")
@click.argument("source", metavar="SOURCE", shell_complete=complete_model)
@option("Shape", "--id", "name", metavar="ID", help="Id of the model.  [default: from the source]")
@option("Shape", "changes", "--set", multiple=True, metavar="FIELD=VALUE", help="Change a field.")
@option("Output", "--output", metavar="FILE.toml", type=click.Path(dir_okay=False), help="Write it there.")
@option("Output", "--force", is_flag=True, help="Overwrite the file.")
@output_options
def import_model(
    source: str,
    name: str | None,
    changes: tuple[str, ...],
    output: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Read the shape of a model and show it, or write it as TOML that every command takes.

    SOURCE is a config.json, a folder with one, a .gguf or .toml file, a Hugging Face id org/name, an id of
    the catalogue, or - for TOML or JSON on standard input.

    \b
    Examples:
      farthing model import llama-2-70b --id my-model --set layers=40
      farthing model import llama-2-70b --output my-model.toml --force
    """
    from farthing import api
    from farthing.cli.output import show, show_json, write
    from farthing.report.toml import model_toml

    fields = api.parsed_changes(changes)
    if name is not None:
        fields["id"] = name
    shape = api.find_model(source, **fields)
    summary = api.model_summary(shape)
    if output is not None:
        _write(Path(output), model_toml(shape), force=force)
    if as_json:
        show_json(summary)
        return
    if output is None:
        write(model_toml(shape))
        return
    from farthing.report.models import model_report

    show(model_report(summary))
    write(f"\nwritten to {output}\n")


def _write(path: Path, text: str, *, force: bool) -> None:
    """All or nothing: a reader never sees half a file."""
    if path.suffix.lower() != ".toml":
        raise InvalidInput(
            f"--output {str(path)!r} must end in .toml, so that other commands know what it is"
        )
    if path.exists() and not force:
        raise InvalidInput(f"{path} exists already; name another file, or add --force to overwrite it")
    temporary = ""
    try:
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, delete=False) as file:
            temporary = file.name
            file.write(text)
        os.replace(temporary, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise InvalidInput(f"cannot write {path}: {error.strerror}; name another file") from None
