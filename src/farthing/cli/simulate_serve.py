"""``farthing simulate serve``: what users feel of a service under load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from farthing.cli.main import INTERRUPTED
from farthing.cli.options import (
    Command,
    cluster_option,
    cost_options,
    given,
    model_options,
    output_options,
    refuse_two_inputs,
)
from farthing.cli.plots import check_plots, plot_options, show_charts
from farthing.cli.serve_options import (
    file_options,
    front_options,
    objective_options,
    plan_options,
    scheduler_options,
    traffic_options,
)
from farthing.errors import InvalidInput

if TYPE_CHECKING:
    from farthing.records.serving import ServingResult

EACH: Final = 200
"""Requests between two movements of the bar."""


class Stopped(click.ClickException):
    """The user interrupted a run; says what is kept of it."""

    exit_code = INTERRUPTED


@click.command(cls=Command, short_help="Requests played against a planned service.")
@model_options
@cluster_option
@plan_options
@traffic_options
@scheduler_options
@front_options
@objective_options
@cost_options
@file_options
@plot_options
@output_options
def serve(
    model: str,
    changes: tuple[str, ...],
    cluster: str,
    find_rate: bool,
    size: bool,
    requests_out: Path | None,
    force: bool,
    perfetto: Path | None,
    perfetto_from: float | None,
    perfetto_for: float | None,
    chart: bool,
    plots: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """What users feel of MODEL under load: requests played against a planned service, pass by pass.

    Requests come, queue, are put together into passes as the engine does it, read, written, and end. The
    answer says how long users wait (TTFT: to the first token; TPOT: between tokens), what the service does
    meanwhile, whether the objectives are kept, and what a million tokens cost. The same seed gives the same
    run. MODEL and CLUSTER are given as for farthing infer; times have units, as in 50ms; counts may be
    written like 10k.

    With --find-rate the rate is sought at which the objectives are just kept, with --size the number of
    replicas. Where no load keeps them, or the model does not fit, the exit code is 3. After an interrupt
    (Ctrl-C), what is in the files is kept, and the exit code is 130.

    \b
    Examples:
      farthing simulate serve llama-3.1-8b --on h100-sxm --rate 10 --ttft 1s --tpot 30ms
      farthing simulate serve llama-3.3-70b --on 1x8:h100-sxm --tp 4 --find-rate --ttft 2s --tpot 50ms
      farthing simulate serve qwen3-32b --on 1x4:h100-sxm --tp 2 --rate 20 --size --ttft 1s --share 0.95
      farthing simulate serve llama-3.1-8b --on rtx-4090 --weights fp8 --users 32 --think 10s --duration 1h
      farthing simulate serve llama-3.1-8b --on h100-sxm --trace requests.csv --requests-out rows.csv
      farthing simulate serve llama-3.1-8b --on h100-sxm --rate 20 --prompt lognormal:2000:1.2:16k \\
        --output lognormal:300:0.8 --burstiness 2 --chart --perfetto trace.json.gz
      farthing simulate serve llama-3.3-70b --on 1x8:h100-sxm --prefill tp=2,dp=2 --decode tp=4 --rate 5
    """
    from farthing import api
    from farthing.cli.output import show, show_json
    from farthing.cli.progress import progress
    from farthing.planning import Seek, serving_load

    refuse_two_inputs(model, cluster)
    check_plots(chart, plots, as_json)
    asked = given(options)
    if find_rate and size:
        raise InvalidInput("give --find-rate or --size, not both")
    seek: Seek = "rate" if find_rate else "replicas" if size else ""
    asked = serving_load(asked, seek)
    asked["trace_columns"] = _columns(asked.pop("trace_columns", None))
    shape = api.find_model(model, **api.parsed_changes(changes))
    machines = api.find_cluster(cluster)
    asked["plan"] = api.disaggregated_plan(asked, machines, shape.native_format)
    files = _files(requests_out, perfetto, perfetto_from, perfetto_for, force=force)
    counted = [0]
    doing = "seeking the rate" if find_rate else "seeking the size" if size else "playing requests"
    try:
        with progress(doing) as told:

            def count(done: int, total: int) -> None:
                counted[0] = done
                # A bar that moves with every request costs more than the run.
                if told is not None and not done % EACH:
                    told(done, total)

            found = api.simulate_serving(
                shape,
                machines,
                seek=seek,
                watchers=files,
                progress=count,
                **asked,
            )
    except KeyboardInterrupt:
        _close(files)
        if (find_rate or size) and not any(map(_written, files)):
            raise Stopped(f"interrupted while {doing}") from None
        raise Stopped(_stopped(files, counted[0])) from None
    except BaseException:
        _close(files)
        raise
    _close(files, always=True)
    if as_json:
        show_json(found)
    else:
        from farthing.report.serving import serving_report

        show(serving_report(found, machines))
        _say_written(files, found)
    if chart or plots:
        from farthing.report.serving_charts import serving_charts

        show_charts(serving_charts(found), chart, plots, as_json)


def _columns(text: str | None) -> dict[str, str] | None:
    """``FIELD=COLUMN`` with commas."""
    if text is None:
        return None
    found: dict[str, str] = {}
    for part in text.split(","):
        field, sign, column = (word.strip() for word in part.partition("="))
        if not (sign and field and column):
            raise InvalidInput(
                f"--trace-columns {part.strip()!r} is not FIELD=COLUMN; write e.g. "
                "--trace-columns arrival=time:ms,prompt=in,output=out"
            )
        if field in found:
            raise InvalidInput(f"--trace-columns says {field} twice; give it once")
        found[field] = column
    return found


def _files(
    requests_out: Path | None,
    perfetto: Path | None,
    start_s: float | None,
    window_s: float | None,
    *,
    force: bool,
) -> list[Any]:
    """What writes beside the run."""
    from farthing import api

    files: list[Any] = []
    if requests_out is not None:
        if requests_out.exists() and not requests_out.is_dir() and not force:
            raise InvalidInput(f"{requests_out} is there already; name another file, or use --force")
        files.append(api.requests_file(requests_out))
    elif force:
        raise InvalidInput("--force replaces the file of --requests-out: name it")
    window = given({"start_s": start_s, "window_s": window_s})
    if perfetto is not None:
        files.append(api.perfetto_trace(perfetto, **window))
    elif window:
        raise InvalidInput("--perfetto-from and --perfetto-for are of a trace: name its file with --perfetto")
    return files


def _close(files: list[Any], *, always: bool = False) -> None:
    """Close what was begun; a file that got nothing is only made after a whole run."""
    for file in files:
        if always or _written(file):
            file.close()


def _written(file: Any) -> str:
    """What a file has, in words; empty where nothing."""
    if hasattr(file, "rows"):
        return f"{_counted(file.rows, 'row')}" if file.rows else ""
    if not (file.passes or file.requests):
        return ""
    return f"{_counted(file.passes, 'pass', 'passes')} and {_counted(file.requests, 'request')}"


def _stopped(files: list[Any], played: int) -> str:
    # The request that was ending is counted where its row is.
    played = next((file.rows for file in files if hasattr(file, "rows")), played)
    if not played:
        return "interrupted before the first request had ended"
    said = f"interrupted after {_counted(played, 'request')}"
    kept = [f"{file.path} has {words}" for file in files if (words := _written(file))]
    return f"{said}; {'; '.join(kept)}" if kept else said


def _say_written(files: list[Any], found: ServingResult) -> None:
    from farthing.cli.output import write
    from farthing.units import format_seconds

    for file in files:
        words = _written(file)
        lines = [f"wrote {file.path}: {words or 'nothing, since nothing happened in its time'}"]
        if not hasattr(file, "rows") and words:
            end_s = min(file.end_s, file.until_s, found.span_s)
            if file.start_s or end_s < found.span_s:
                start = format_seconds(file.start_s) if file.start_s else "0"
                lines[0] += f", {start} to {format_seconds(end_s)} of {format_seconds(found.span_s)}"
            if file.until_s < min(file.end_s, found.span_s):
                lines.append("  then it was full: choose a part with --perfetto-from and --perfetto-for")
            lines.append("  open it at https://ui.perfetto.dev")
        write("\n".join(lines) + "\n")


def _counted(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
