"""How to start a plan on an engine."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFile:
    """A file that a launch needs, such as a configuration."""

    name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchCommand:
    """A command line, and the machines that it is typed on (``every host``, ``host 1``)."""

    where: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A plan as commands of an engine.

    Attributes
    ----------
    engine, version, documentation
        Whose flags these are, in which version, and the page that documents them.
    files, commands
        In the order in which they are needed; empty where the engine cannot do the plan at all.
    cannot
        What of the plan the engine cannot do, each with what would.
    notes
        What a person must fill in or know, such as paths and addresses.
    """

    engine: str
    version: str
    documentation: str
    files: tuple[LaunchFile, ...] = ()
    commands: tuple[LaunchCommand, ...] = ()
    cannot: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
