"""The model and the cluster of a question: names of the catalogue alone, for a page opens no files."""

from __future__ import annotations

from typing import Any

from farthing import api
from farthing.errors import UnknownName
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.web.view import Given


def model_of(given: Given) -> Model:
    """The model of a question, its shape changed where that was asked.

    Raises
    ------
    UnknownName
        No model of the catalogue.
    InvalidInput
        Changes that make no sense.
    """
    name = given["model"].lower()
    known = api.model_names()
    if name not in known:
        ids = tuple(api.models())
        hint = "the catalogue's page lists all; the command also reads files and hub ids"
        raise UnknownName("model", name, ids, hint)
    return api.find_model(known[name], **api.parsed_changes(given.get("changes", ())))


def cluster_of(given: Given) -> Cluster:
    """The cluster of a question."""
    return api.parse_cluster(given["cluster"])


def clusters_of(given: Given) -> list[Cluster]:
    """The clusters of a question."""
    return [api.parse_cluster(text) for text in given["clusters"]]


def without(given: Given, *names: str) -> dict[str, Any]:
    """What was given but for some fields."""
    return {name: value for name, value in given.items() if name not in names}
