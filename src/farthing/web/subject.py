"""The model and the cluster of a question: names of the catalogue alone, for a page opens no files."""

from __future__ import annotations

from typing import Any

from farthing import api
from farthing.errors import UnknownName
from farthing.records.hardware import Cluster
from farthing.records.model import Model
from farthing.web.view import Given

MODEL = "llama-2-70b"
"""What is asked about where no model is given: the article's."""

CLUSTER = "1x8:rtx-4090"


def model_of(given: Given) -> Model:
    """The model of a question, its shape changed where that was asked.

    Raises
    ------
    UnknownName
        No model of the catalogue.
    InvalidInput
        Changes that make no sense.
    """
    name = str(given.get("model", MODEL)).lower()
    known = api.model_names()
    if name not in known:
        ids = tuple(api.models())
        hint = "the catalogue's page lists all; the command also reads files and hub ids"
        raise UnknownName("model", name, ids, hint)
    return api.find_model(known[name], **api.parsed_changes(given.get("changes", ())))


def cluster_of(given: Given) -> Cluster:
    """The cluster of a question."""
    return api.parse_cluster(str(given.get("cluster", CLUSTER)))


def clusters_of(given: Given) -> list[Cluster]:
    """The clusters of a question."""
    return [api.parse_cluster(text) for text in given.get("clusters", (CLUSTER,))]


def without(given: Given, *names: str) -> dict[str, Any]:
    """What was given but for some fields."""
    return {name: value for name, value in given.items() if name not in names}
