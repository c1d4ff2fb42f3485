"""The front door's simulations: services under load, runs whose parts fail."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from farthing.estimate.subject import resolve_cluster, resolve_model
from farthing.records.hardware import Cluster
from farthing.records.model import Model

if TYPE_CHECKING:
    from farthing.records.faults import FaultsResult
    from farthing.records.serving import ServingResult
    from farthing.simulate.serving.perfetto import Perfetto
    from farthing.simulate.serving.requests_file import RequestsFile


def simulate_serving(model: str | Model, cluster: str | Cluster, **question: Any) -> ServingResult:
    """What users feel under load: requests played against a planned service, pass by pass.

    Parameters
    ----------
    model, cluster
        As in `infer`.
    **question
        Arguments of `farthing.simulate.serving.ask.simulate_serving`: records or fields of the plan, the
        traffic, the scheduler and the objectives.

    Returns
    -------
    ServingResult

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, questions that contradict themselves.
    Infeasible
        A plan that does not fit; objectives that no load keeps.

    Examples
    --------
    >>> found = simulate_serving("llama-3.1-8b", "1x1:h100-sxm", requests_per_s=4.0, requests=500,
    ...                          ttft_s=0.5, tpot_s=0.05)
    >>> found.ended, found.good_share, found.ttft_s.p99 < 0.5
    ({'finished': 500}, 1.0, True)

    The highest rate at which 99% of the requests keep the objectives:

    >>> found = simulate_serving("llama-3.1-8b", "1x1:h100-sxm", requests=500, ttft_s=0.5, tpot_s=0.02,
    ...                          seek="rate")
    >>> 10 < found.traffic.requests_per_s < 30, found.good_share >= 0.99
    (True, True)
    """
    from farthing.simulate.serving.ask import simulate_serving as ask

    return ask(resolve_model(model), resolve_cluster(cluster), **question)


def requests_file(path: str | Path) -> RequestsFile:
    """A watcher of `simulate_serving` that writes a row for each request: close it in the end.

    Raises
    ------
    InvalidInput
        A place that cannot be written to.
    """
    from farthing.simulate.serving.requests_file import RequestsFile

    return RequestsFile(Path(path))


def perfetto_trace(path: str | Path, **window: Any) -> Perfetto:
    """A watcher of `simulate_serving` that writes a trace for a viewer: close it in the end.

    Parameters
    ----------
    path
        A name that ends in ``.json`` or ``.json.gz``.
    **window
        ``start_s`` and ``window_s`` of `farthing.simulate.serving.perfetto.Perfetto`.

    Raises
    ------
    InvalidInput
        A place that cannot be written to.
    """
    from farthing.simulate.serving.perfetto import Perfetto

    return Perfetto(Path(path), **window)


def simulate_faults(preset: str = "", **question: Any) -> FaultsResult:
    """What failures cost a training run, over many simulated runs.

    Parameters
    ----------
    preset
        A run that was published; empty describes one by its fields alone.
    **question
        Arguments of `farthing.simulate.faults.ask.simulate_faults`.

    Returns
    -------
    FaultsResult

    Raises
    ------
    InvalidInput
        Unknown names and options, numbers out of range, questions that contradict themselves.

    Examples
    --------
    >>> found = simulate_faults("llama-3-405b", runs=50, duration_s=5 * 86400.0)
    >>> 0.89 < found.goodput.mean < 0.93, found.published_goodput
    (True, 0.9)
    """
    from farthing.simulate.faults.ask import simulate_faults as ask

    return ask(preset, **question)
