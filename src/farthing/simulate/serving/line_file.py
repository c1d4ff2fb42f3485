"""A file that grows line by line, and stays whole where the work is interrupted."""

from __future__ import annotations

import contextlib
import gzip
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import IO, Any, Final

from farthing.errors import FarthingError, InvalidInput

_KEPT: Final = 512
"""Lines that wait for others before they are written together."""


@contextlib.contextmanager
def interrupts_put_off() -> Iterator[None]:
    """An interrupt (Ctrl-C) inside takes effect at the end: what is begun is finished."""
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield
        return
    seen: list[tuple[int, FrameType | None]] = []
    signal.signal(signal.SIGINT, lambda number, frame: seen.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if seen:
        before(*seen[0])


class LineFile:
    """Lines that are written some hundred at a time; it is made with the first, or at the end.

    Parameters
    ----------
    path
        A file of that name is replaced; one that ends in ``.gz`` is compressed.
    first
        Text at its beginning.

    Raises
    ------
    FarthingError
        The disk does not take it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = LineFile(Path(folder, "a.csv"), "a,b\\n")
    ...     file.add("1,2\\n")
    ...     file.close()
    ...     file.path.read_text()
    'a,b\\n1,2\\n'
    """

    def __init__(self, path: Path, first: str = "") -> None:
        self.path = path
        self._kept = [first] if first else []
        self._flushed = 0
        self._bottom: IO[bytes] | None = None
        self._top: Any = None
        self._closed = False

    @property
    def added(self) -> int:
        """Texts that are in the file, or will be when it is closed, the one at its beginning too."""
        return self._flushed + len(self._kept)

    def add(self, text: str) -> None:
        """Whole lines."""
        self._kept.append(text)
        if len(self._kept) >= _KEPT:
            self._write()

    def close(self, last: str = "") -> None:
        """Write what is left, and ``last`` at the end; a second time does nothing."""
        with interrupts_put_off():
            if self._closed:
                return
            self._closed = True
            if last:
                self._kept.append(last)
            try:
                self._write()
            finally:
                with _said(self.path):
                    for file in (self._top, self._bottom):
                        if file is not None:
                            file.close()

    def _write(self) -> None:
        with interrupts_put_off(), _said(self.path):
            if self._bottom is None:
                self._bottom = self._top = self.path.open("wb")
                if self.path.suffix.lower() == ".gz":
                    # Without a name and a time in it, the same run gives the same file.
                    self._top = gzip.GzipFile("", "wb", 6, self._bottom, mtime=0)
            self._top.write("".join(self._kept).encode())
            self._flushed += len(self._kept)
            self._kept.clear()


@contextlib.contextmanager
def _said(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FarthingError(f"cannot write {path}: {error.strerror or error}") from None


def check_writable(path: Path, endings: tuple[str, ...]) -> None:
    """Refuse at once what could not be written in the end.

    Raises
    ------
    InvalidInput
        Another ending than those, a folder, a place that may not be written to; says what to name instead.

    Examples
    --------
    >>> check_writable(Path("trace.txt"), (".json", ".json.gz"))
    Traceback (most recent call last):
    farthing.errors.InvalidInput: cannot write 'trace.txt'; use a name that ends in .json or .json.gz
    """
    if not path.name.lower().endswith(endings):
        raise InvalidInput(f"cannot write {path.name!r}; use a name that ends in {' or '.join(endings)}")
    if path.is_dir():
        raise InvalidInput(f"cannot write {path}: it is a folder; name a file")
    if not path.parent.is_dir():
        raise InvalidInput(f"cannot write {path}: there is no folder {path.parent}; name one that exists")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InvalidInput(f"cannot write {path}: it may not be written to; name another file")
