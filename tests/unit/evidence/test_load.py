"""Files of measurements: kinds told from the header, bad files refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from farthing.errors import InvalidInput
from farthing.evidence.load import COLUMNS, all_shipped, read_cases, read_file, read_files

HEADER = "id,source,quant,prompt_len,gen_len,metric,value\n"


def test_a_row_keeps_its_cells() -> None:
    (case,) = read_cases(HEADER + 'a1, us ,Q4_0,"1,024",64,decode_tok_s,50\n', "x.csv")
    assert (case.file, case.id, case.source, case.kind) == ("x.csv", "a1", "us", "consumer")
    assert case.cells["prompt_len"] == "1,024"


def test_rows_without_an_id_go_by_their_number() -> None:
    text = "system,backend,gemm_dtype,m,n,k,latency_ms\nh100,vllm,fp8,1,2,3,0.1\n\nh100,vllm,fp8,1,2,4,0.1\n"
    cases = read_cases(text, "x.csv")
    assert [(case.id, case.source, case.kind) for case in cases] == [
        ("1", "vllm h100", "gemm"),
        ("2", "vllm h100", "gemm"),
    ]


def test_a_header_alone_is_no_error() -> None:
    assert read_cases(HEADER, "x.csv") == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n1,2\n", "header of no kind"),
        ("id,quant,metric,value\n", "nearest, consumer, also needs gen_len, prompt_len"),
        (HEADER + "1,us,Q4_0,0,64,decode_tok_s,50\n2,us,Q4\n", "row 2 has 3 of the header's 7 cells"),
        (HEADER + "1,us,Q4_0,0,64,decode_tok_s,50,9\n", "row 1 has 8 cells, the header 7"),
        (HEADER + '1,us,"Q4_0,0,64,decode_tok_s,50\n', "row 1 cannot be read as CSV"),
        (HEADER.replace("id,", "quant,"), "names quant twice"),
    ],
)
def test_bad_files_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        read_cases(text, "x.csv")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*gone\.csv"):
        read_file(tmp_path / "gone.csv")
    with pytest.raises(InvalidInput, match="cannot read"):
        read_file(tmp_path)
    (tmp_path / "latin.csv").write_bytes(HEADER.encode() + b"1,\xe4,Q4_0,0,64,decode_tok_s,50\n")
    with pytest.raises(InvalidInput, match="not UTF-8"):
        read_file(tmp_path / "latin.csv")


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    paths = [tmp_path / "a" / "x.csv", tmp_path / "b" / "x.csv", tmp_path / "y.csv"]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(HEADER + "1,us,Q4_0,0,64,decode_tok_s,50\n")
    assert [case.file for case in read_files([*paths, paths[2]])] == [str(paths[0]), str(paths[1]), "y.csv"]


def test_every_kind_ships() -> None:
    assert {case.kind for case in all_shipped()} == set(COLUMNS)
