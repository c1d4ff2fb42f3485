"""What is answered survives: half lines are dropped, foreign files are refused, order is restored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from farthing import api
from farthing.errors import FarthingError, InvalidInput
from farthing.sweeps import partial
from farthing.sweeps.partial import Answers, PartialFile

GRID = api.read_sweep(
    {
        "task": "inference",
        "models": ["llama-2-7b"],
        "clusters": ["rtx-4090"],
        "workload": {"batch_size": range(1, 6)},
    }
)
ROWS: list[Any] = [[number, f"row {number}", 0.1 * number, None, number > 2] for number in range(1, 6)]
WIDTH = 5


def opened(path: Path, **options: Any) -> PartialFile:
    return PartialFile(path, GRID, WIDTH, **options)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with the rows of the questions 4 and 2."""
    path = tmp_path / "out.csv.partial"
    with opened(path) as kept:
        kept.add([ROWS[3]])
        kept.add([ROWS[1]])
    return path


def test_rows_come_in_the_order_of_the_questions(path: Path) -> None:
    with opened(path) as kept:
        assert kept.done == 2
        assert list(kept.open) == [0, 2, 4]
        assert list(kept.rows()) == [ROWS[1], ROWS[3]]
        kept.add([ROWS[4], ROWS[0], ROWS[2]])
        assert list(kept.open) == []
        assert list(kept.rows()) == ROWS
        assert [list(map(type, row)) for row in kept.rows()] == [list(map(type, row)) for row in ROWS]
        kept.remove()
    assert not path.exists()


def test_rows_in_memory() -> None:
    kept = Answers(GRID)
    kept.add([ROWS[3], ROWS[1]])
    assert (kept.done, list(kept.open), list(kept.rows())) == (2, [0, 2, 4], [ROWS[1], ROWS[3]])


@pytest.mark.parametrize("lost", [1, 2, 10])
def test_a_half_written_line_is_dropped(path: Path, lost: int) -> None:
    path.write_bytes(path.read_bytes()[:-lost])
    with opened(path) as kept:
        assert list(kept.rows()) == [ROWS[3]]
        kept.add([ROWS[1]])
    with opened(path) as kept:
        assert list(kept.rows()) == [ROWS[1], ROWS[3]]


@pytest.mark.parametrize("left", [0, 1, 5, 40])
def test_a_half_written_head_is_no_sweep_yet(path: Path, left: int) -> None:
    whole = path.read_bytes()
    path.write_bytes(whole[:left])
    with opened(path) as kept:
        assert kept.done == 0
        kept.add([ROWS[3]])
        kept.add([ROWS[1]])
    assert path.read_bytes() == whole


def test_an_interrupt_between_writing_and_counting_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "out.csv.partial"

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    def add() -> None:
        with opened(path) as kept:
            kept.add(ROWS[:2])

    with monkeypatch.context() as patch:
        patch.setattr(PartialFile, "_keep", interrupted)
        with pytest.raises(KeyboardInterrupt):
            add()
    with opened(path) as kept:
        assert list(kept.rows()) == ROWS[:2]


def test_a_sweep_without_rows_leaves_nothing(tmp_path: Path) -> None:
    with opened(tmp_path / "out.partial"):
        pass
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "line", [b"{}\n", b"[1]\n", b"[9,1,1,1,1]\n", b"[0,1,1,1,1]\n", b'["1",1,1,1,1]\n', b"\x00\x00\n", b"\n"]
)
def test_damage_is_no_half_line(path: Path, line: bytes) -> None:
    head, *rows = path.read_bytes().splitlines(keepends=True)
    damaged = head + line + b"".join(rows)
    path.write_bytes(damaged)
    with pytest.raises(InvalidInput, match="damaged in line 2; start over with --restart"):
        opened(path)
    assert path.read_bytes() == damaged, "what cannot be read is left to its owner"
    with opened(path, restart=True) as kept:
        assert kept.done == 0


@pytest.mark.parametrize(
    "content", [b"id,value\n1,2\n", b"{}\n", b'{"farthing": 1}\n', b"half a line", b"\x00"]
)
def test_foreign_files_are_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match="not written by a sweep; move it away"):
        opened(path)
    assert path.read_bytes() == content


def test_other_questions(path: Path) -> None:
    other = api.read_sweep({"task": "inference", "models": ["llama-2-7b"], "clusters": ["rtx-4090"]})
    with pytest.raises(InvalidInput, match=r"answers other questions.*--restart"):
        PartialFile(path, other, WIDTH)
    with PartialFile(path, other, WIDTH, restart=True) as kept:
        assert kept.done == 0


def test_another_version(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partial, "__version__", "9.9")
    with pytest.raises(InvalidInput, match=r"begun by farthing .* this one, 9\.9; start over with --restart"):
        opened(path)


@pytest.mark.skipif(partial.fcntl is None, reason="no locks on this system")
def test_one_process_at_a_time(path: Path) -> None:
    with opened(path), pytest.raises(InvalidInput, match="another farthing sweep writes"):
        opened(path)
    with opened(path) as kept:
        assert kept.done == 2


def test_folders_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot write .*; name another output"):
        opened(tmp_path / "gone" / "out.partial")
    with pytest.raises(InvalidInput, match="cannot write"):
        opened(tmp_path)


def test_a_full_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        """A file that takes no more."""

        def __init__(self, file: Any) -> None:
            self.file = file

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, text: bytes) -> int:
            raise OSError(28, "No space left on device")

    with opened(path) as kept:
        monkeypatch.setattr(kept, "_file", Full(kept._file))
        with pytest.raises(FarthingError, match="No space left on device"):
            kept.add([ROWS[0]])
        assert kept.done == 2
        assert "2 of 5 questions are answered and kept" in kept.whereabouts
