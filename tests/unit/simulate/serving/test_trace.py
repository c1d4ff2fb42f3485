"""Traces of requests: what the known layouts mean, and that nothing odd in a file passes."""

from __future__ import annotations

import datetime
import gzip
import json
import math
import os
import pickle
import tracemalloc
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farthing.errors import InvalidInput, UnknownName
from farthing.records.serving import Traffic
from farthing.simulate.serving import trace as trace_module
from farthing.simulate.serving import trace_file
from farthing.simulate.serving.stream import Ask, stream
from farthing.simulate.serving.trace import Trace, read_trace

DATA = Path(__file__).parents[3] / "data" / "traces"
NAMED = {"arrival": "at", "prompt": "in", "output": "out"}
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
MOONCAKE = '{"timestamp": 5, "input_length": 9, "output_length": 4, "hash_ids": [1]}\n'


def asks(trace: Trace) -> list[Ask]:
    return list(stream(Traffic(arrivals="trace"), trace))


def told(trace: Trace) -> list[tuple[float, int, int]]:
    return [(round(ask.arrival_s, 9), ask.prompt, ask.output) for ask in asks(trace)]


def written(tmp_path: Path, text: str | bytes, name: str = "t.csv") -> Path:
    file = tmp_path / name
    file.write_bytes(text.encode() if isinstance(text, str) else text)
    return file


def test_azure_2023() -> None:
    trace = read_trace(DATA / "azure_llm_2023_conv.csv")
    assert (trace.layout.name, trace.requests, trace.dropped) == ("azure", 300, 0)
    found = told(trace)
    assert found[:3] == [(0.0, 374, 44), (4.314579, 396, 109), (4.541877, 879, 55)]
    assert trace.span_s == pytest.approx(found[-1][0])
    assert trace.requests_per_s == pytest.approx(299 / trace.span_s)
    assert trace.mean_prompt == pytest.approx(sum(prompt for _, prompt, _ in found) / 300)
    assert trace.mean_output == pytest.approx(sum(output for _, _, output in found) / 300)


def test_azure_2024(tmp_path: Path) -> None:
    rows = "2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-10 00:00:01+00:00,2399,6\n"
    trace = read_trace(written(tmp_path, AZURE + rows))
    assert told(trace) == [(0.0, 2162, 5), (0.99007, 2399, 6)]


def test_mooncake() -> None:
    file = DATA / "mooncake_conversation.jsonl"
    trace = read_trace(file)
    assert (trace.layout.name, trace.requests) == ("mooncake", 200)
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    made = stream(Traffic(arrivals="trace", prefix_groups=3, prefix_share=0.9), trace)
    assert made.prefix_block_tokens == 512
    for ask, line in zip(made, lines, strict=True):
        assert (ask.prompt, ask.output) == (line["input_length"], line["output_length"])
        assert ask.arrival_s == pytest.approx(line["timestamp"] / 1000)
        assert list(ask.prefix) == line["hash_ids"][: line["input_length"] // 512]
    assert asks(trace)[0].prefix == tuple(range(13)), "the block with the last 102 tokens is not shared"


def test_mooncake_without_ids(tmp_path: Path) -> None:
    line = '{"timestamp": 1500, "input_length": 9000, "output_length": 2}\n'
    made = stream(
        Traffic(arrivals="trace", prefix_groups=1, prefix_share=0.01), read_trace(written(tmp_path, line))
    )
    assert made.prefix_block_tokens == 16
    assert [ask.prefix for ask in made] == [(0, 1, 2, 3, 4)]


def test_bailian(tmp_path: Path) -> None:
    """As Mooncake's, but seconds and blocks of 16 tokens."""
    lines = (
        '{"chat_id": 1, "parent_chat_id": -1, "timestamp": 61.114, "input_length": 40, "output_length": 3,'
        ' "type": "text", "turn": 1, "hash_ids": [7, 8, 9]}\n'
        '{"chat_id": 2, "parent_chat_id": 1, "timestamp": 61.5, "input_length": 32, "output_length": 1,'
        ' "type": "text", "turn": 2, "hash_ids": [7, 5]}\n'
    )
    trace = read_trace(written(tmp_path, lines))
    assert trace.layout.name == "bailian"
    assert stream(Traffic(arrivals="trace"), trace).prefix_block_tokens == 16
    assert asks(trace) == [Ask(0.0, 40, 3, 3, 0, (7, 8)), Ask(pytest.approx(0.386), 32, 1, 1, 0, (7, 5))]


def test_burstgpt_drops_failures(tmp_path: Path) -> None:
    text = (
        "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,,,ChatGPT,472,0,472,Conversation log\n"
        "45,x,3,ChatGPT,1087,230,1317,Conversation log\n"
        "118,,4,GPT-4,417,276,693,API log\n"
        "200,,,GPT-4,0,276,276,API log\n"
    )
    trace = read_trace(written(tmp_path, text))
    assert (trace.layout.name, trace.requests, trace.dropped) == ("burstgpt", 2, 2)
    assert told(trace) == [(0.0, 1087, 230), (73.0, 417, 276)], "the load starts with its first request"
    assert trace.description == (
        "t.csv (BurstGPT trace): 2 requests over 73.0 s at 0.0137 request/s, "
        "on average 752 tokens of prompt and 253 of answer; 2 without tokens dropped"
    )


@pytest.mark.parametrize(
    ("arrival", "cells"),
    [
        ("at", ["3", "3.25", "4e0"]),
        ("at:s", ["3", "3.25", "4"]),
        ("at:ms", ["1700000000000", "1700000000250", "1700000001000"]),
        ("at:ns", ["1e9", "1.25e9", "2e9"]),
        ("at:min", ["0", "0.0041666666666667", "0.016666666666667"]),
        ("at", ["2024-02-29T23:59:59", "2024-02-29T23:59:59.25", "2024-03-01T00:00:00"]),
        ("at", ["2024-03-01 01:00:00+01:00", "2024-02-29 19:00:00.25-05:00", "2024-03-01 00:00:01Z"]),
        ("at", ["2024-03-01 05:30:00+0530", "2024-03-01 00:00:00.250000000", "2024-03-01 00:00:01 UTC"]),
    ],
)
@pytest.mark.parametrize("is_json", [False, True])
def test_columns_that_are_named(tmp_path: Path, arrival: str, cells: list[str], is_json: bool) -> None:
    if is_json:
        values = [cell if "-" in cell else json.loads(cell) for cell in cells]
        rows = [json.dumps({"x": None, "at": at, "out": 7.0, "in": 5}) for at in values]
        file = written(tmp_path, "\n".join(rows), "t.jsonl")
    else:
        file = written(tmp_path, "x,out,in,at\n" + "".join(f'"a, b",7.0,5,{cell}\n' for cell in cells))
    trace = read_trace(file, columns={**NAMED, "arrival": arrival})
    assert told(trace) == [(0.0, 5, 7), (0.25, 5, 7), (1.0, 5, 7)]


def test_priorities_and_prefixes_that_are_named(tmp_path: Path) -> None:
    text = '{"at": 1, "in": 33, "out": 1, "rank": 4, "ids": [6, 5, 4]}\n'
    columns = {**NAMED, "priority": "rank", "prefix": "ids:16"}
    trace = read_trace(written(tmp_path, text), columns=columns)
    assert asks(trace) == [Ask(0.0, 33, 1, 1, 4, (6, 5))]


def test_a_name_with_a_colon_is_a_name(tmp_path: Path) -> None:
    file = written(tmp_path, "at:ms,in,out\n1,2,3\n2,2,3\n")
    assert told(read_trace(file, columns={**NAMED, "arrival": "at:ms"}))[1][0] == 1.0
    assert told(read_trace(file, columns={**NAMED, "arrival": "at:ms:ms"}))[1][0] == 0.001


@pytest.mark.parametrize(
    "text",
    [
        "at,in,out\n1,2,3\n2,4,5\n",
        "at,in,out\n1,2,3\n2,4,5",
        "at,in,out\r\n1,2,3\r\n2,4,5\r\n",
        "\n\nat,in,out\n\n1,2,3\n\n\n2,4,5\n\n",
        "\ufeffat,in,out\n1,2,3\n2,4,5\n",
        "at;in;out\n1;2;3\n2;4;5\n",
        "at\tin\tout\n1\t2\t3\n2\t4\t5\n",
        ' at , "in",out\n 1 ,"2",3.0\n2, 4 ,5\n',
        '{"at":1,"in":2,"out":3}\n{"at":2,"in":4,"out":5}',
        '\n{"at":1,"in":2,"out":3}\r\n  \n{"out":5,"at":2,"more":{"in":9},"in":4}\n\n',
        '\ufeff{"at":1,"in":2,"out":3}\n{"at":2,"in":4,"out":5}\n',
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_ways_to_write_a_file(tmp_path: Path, text: str, packed: bool) -> None:
    data = gzip.compress(text.encode()) if packed else text.encode()
    trace = read_trace(str(written(tmp_path, data, "any-name")), columns=NAMED)
    assert told(trace) == [(0.0, 2, 3), (1.0, 4, 5)]


def test_times_that_go_back_are_sorted(tmp_path: Path) -> None:
    text = "at,in,out,rank\n9,1,1,0\n5,2,1,1\n9,3,1,2\n4,0,1,3\n5,4,1,4\n"
    trace = read_trace(written(tmp_path, text), columns={**NAMED, "priority": "rank"})
    found = [(ask.arrival_s, ask.prompt, ask.priority) for ask in asks(trace)]
    assert found == [(0.0, 2, 1), (0.0, 4, 4), (4.0, 1, 0), (4.0, 3, 2)]
    assert (trace.dropped, trace.span_s) == (1, 4.0)


def test_ids_are_sorted_with_their_requests(tmp_path: Path) -> None:
    lines = [MOONCAKE.replace("5", "9", 1), MOONCAKE.replace("[1]", "[2]"), MOONCAKE]
    text = "".join(line.replace(": 9,", ": 600,") for line in lines).replace(
        '"timestamp": 600', '"timestamp": 9'
    )
    assert [ask.prefix for ask in asks(read_trace(written(tmp_path, text)))] == [(2,), (1,), (1,)]


def test_a_long_trace_has_to_be_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_module, "SORTABLE", 4)
    rows = ["1,2,3", "5,2,3", "4,2,3", "6,2,3"]
    assert read_trace(written(tmp_path, "\n".join(["at,in,out", *rows])), columns=NAMED).requests == 4
    file = written(tmp_path, "\n".join(["at,in,out", *rows, "7,2,3"]))
    with pytest.raises(InvalidInput, match=r"t\.csv, line 4, column 'at': times go back; sort"):
        read_trace(file, columns=NAMED)


def test_order_is_watched_across_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "ROWS", 2)
    trace = read_trace(written(tmp_path, "at,in,out\n1,1,1\n5,2,1\n4,3,1\n6,4,1\n"), columns=NAMED)
    assert [prompt for _, prompt, _ in told(trace)] == [1, 3, 2, 4]


BAD_FILES: list[tuple[str | bytes, str]] = [
    ("", "is empty; give a trace"),
    ("  \n\n", "is empty"),
    (AZURE, "it has no request"),
    (AZURE + "2023-11-16 18:15:46,3,0\n", "of its 1 requests none has tokens"),
    (b"\x89PNG\r\n\x1a\n\x00\x00", "is a binary file"),
    ("at,in,out\n1,2,3\n".encode("utf-16"), "is a binary file"),
    (AZURE.encode() + b"2023-11-16 18:15:46,3,1\n\xff\xfe,3,4\n", r"line 3 is not text in UTF-8"),
    (MOONCAKE.encode() + b'{"timestamp": "\xff"}\n', r"line 2 is not text in UTF-8"),
    (b"\xe4,in,out\n1,2,3\n", "line 1 is not text in UTF-8"),
    (gzip.compress((AZURE * 500).encode())[:-20], "is no whole gzip file"),
    (gzip.compress(b"")[:10] + b"nonsense" * 9, "is no whole gzip file"),
    ("[" + MOONCAKE + "]", "is a JSON array; write its requests one a line"),
    ("{\n" + MOONCAKE[1:], "line 1 is no JSON .*; write one whole request a line"),
    ("1,2,3\n4,5,6\n", "first line, '1,2,3', names no columns; add a line of names"),
    (
        "TIMESTAMP,ContextToken,GeneratedTokens\n",
        "like layout azure, but without ContextTokens .did you mean ContextToken",
    ),
    (",".join(f"c{i}" for i in range(500)) + "\n", "columns c0, c1, .* c19 and 480 more, of none"),
    ("a,b,c\n1,2,3\n", "columns a, b, c, of none of the layouts azure, bailian, .*columns arrival="),
    ('{"timestamp": 1, "input_length": 2}\n', "like layout mooncake, but without output_length"),
    (
        AZURE + "2023-11-16 18:15:46,3,4\n2023-11-16 18:1",
        r"line 3 has 1 columns, .* 3 .*cut short: delete it",
    ),
    (
        AZURE + "2023-11-16 18:15:46,3,4\n2023-11-16 18:15:47,3,",
        "line 3, column 'GeneratedTokens': '' is no whole",
    ),
    (AZURE + "2023-11-16 18:15:46,3\n2023-11-16 18:15:47,3,4\n", r"line 2 has 2 columns.*correct it"),
    (AZURE + "\n\n2023-11-16 18:15:46,3,4,5\n", r"line 4 has 4 columns.*correct it"),
    (AZURE + '"2023-11-16 18:15:46,3,4\n', r"is no CSV"),
    (AZURE + "2023-11-16 18:15:46,-3,4\n", r"line 2, column 'ContextTokens': '-3' is not in 0\.\.10000000"),
    (AZURE + "2023-11-16 18:15:46,10000001,4\n", "'10000001' is not in 0"),
    (AZURE + f"2023-11-16 18:15:46,{'9' * 30},4\n", "999' is not in 0"),
    (AZURE + "2023-11-16 18:15:46,3,1e30\n", "'1e30' is no"),
    (AZURE + "2023-11-16 18:15:46,3,4.5\n", "column 'GeneratedTokens': '4.5' is no whole number"),
    (AZURE + "2023-11-16 18:15:46,nan,4\n", "'nan' is no whole number"),
    (AZURE + "2023-11-16 18:15:46,many,4\n", "'many' is no whole number; write the number of tokens"),
    (AZURE + "yesterday,3,4\n", "line 2, column 'TIMESTAMP': 'yesterday' is no time"),
    (
        AZURE + "2023-11-16 18:15:46,3,4\n2023-02-30 10:00:00,3,4\n",
        "line 3, column 'TIMESTAMP': '2023-02-30.*no date-time",
    ),
    (AZURE + "2023-11-16 18:15:46,3,4\n17,3,4\n", "'17' is no date-time; write it like"),
    (AZURE + "17,3,4\n2023-11-16 18:15:46,3,4\n", "line 3.*is no time; write a number"),
    (AZURE + "3023-11-16 18:15:46,3,4\n", "'3023-11-16 18:15:46' is no date-time"),
    (AZURE + "nan,3,4\n", "'nan' is no time from the start"),
    (AZURE + "-1,3,4\n", "'-1' is no time from the start"),
    (AZURE + "inf,3,4\n", "'inf' is too large"),
    (AZURE + "1700000000000,3,4\n", r"too large for seconds; name the unit .* timestamp:ms"),
    ("TIMESTAMP,TIMESTAMP,ContextTokens,GeneratedTokens\n1,1,2,3\n", "two columns 'TIMESTAMP'"),
    (MOONCAKE + "[1, 2]\n", "line 2 is no JSON object"),
    (MOONCAKE + "\n" + MOONCAKE[:30], r"line 3 is no JSON .*cut short: delete it"),
    (MOONCAKE + MOONCAKE[:30] + "\n", "line 2 is no JSON .*one whole request a line"),
    (
        MOONCAKE + '{"timestamp": 6, "input_length": 9, "hash_ids": [1]}\n',
        "line 2 lacks the key 'output_length'; its",
    ),
    (MOONCAKE + MOONCAKE.replace("9", '"nine"'), """line 2, column 'input_length': "nine" is not a number"""),
    (MOONCAKE + MOONCAKE.replace("9", "true"), "line 2, column 'input_length': true is not a number"),
    (MOONCAKE + MOONCAKE.replace("9", "9.5"), "line 2, column 'input_length': 9.5 is no whole number"),
    (MOONCAKE + "\n" + MOONCAKE.replace("9", "-9"), "line 3, column 'input_length': -9 is not in 0"),
    (
        MOONCAKE + MOONCAKE.replace("[1]", "[1, null]"),
        r"column 'hash_ids': \[1,null\] is not a list of whole",
    ),
    (MOONCAKE + MOONCAKE.replace("5", "null"), "column 'timestamp': null is not a number or a date-time"),
    (MOONCAKE + MOONCAKE.replace("5", "1e999"), "line 2"),
]


@pytest.mark.parametrize(("text", "error"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_bad_files(tmp_path: Path, text: str | bytes, error: str) -> None:
    file = written(tmp_path, text, "bad.file")
    with pytest.raises(InvalidInput, match=error) as caught:
        read_trace(file)
    assert str(file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("columns", "layout", "error"),
    [
        ({**NAMED, "prompt": "inn"}, "", r"unknown column in .*t\.csv: 'inn'; did you mean in\?"),
        ({**NAMED, "arrival": "att:ms"}, "", r"unknown column in .*: 'att'; did you mean at\?"),
        ({**NAMED, "prompt": "in:ms"}, "", "unknown column in .*: 'in:ms'"),
        ({**NAMED, "arival": "at"}, "", r"unknown field of a trace 'arival'; did you mean arrival\?"),
        ({"arrival": "at"}, "", "say which column tells prompt, output"),
        ({}, "", "say which column tells arrival, prompt, output"),
        ({**NAMED, "arrival": "at:weeks"}, "", "'weeks' is no unit of arrivals; use s, ms"),
        ({**NAMED, "output": "in"}, "", "column 'in' cannot tell two things"),
        ({**NAMED, "prefix": "x"}, "", "how many tokens a block of the prefix has, e.g. x:16"),
        ({**NAMED, "prefix": "x:0"}, "", "1 to 65536 tokens, not '0'"),
        ({**NAMED, "prefix": "x:16"}, "", "holds lists, which only JSON lines can"),
        ({**NAMED, "priority": "x"}, "", "line 2, column 'x': '-1' is not in 0..1000000; write the priority"),
        (NAMED, "azure", "give a layout or columns, not both"),
        (None, "azzure", r"unknown layout of traces 'azzure'; did you mean azure\?"),
        (None, "mooncake", "like layout mooncake, but without timestamp, input_length, output_length"),
    ],
)
def test_bad_columns(tmp_path: Path, columns: Mapping[str, str] | None, layout: str, error: str) -> None:
    file = written(tmp_path, "at,in,out,x\n1,2,3,-1\n")
    with pytest.raises(InvalidInput, match=error) as caught:
        read_trace(file, columns=columns, layout=layout)
    assert isinstance(caught.value, UnknownName) == str(caught.value).startswith("unknown ")


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*none\.csv: No such file.*; name an existing file"):
        read_trace(tmp_path / "none.csv")
    with pytest.raises(InvalidInput, match="is a folder; name a file in it"):
        read_trace(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="no regular file; a trace is read twice"):
        read_trace(tmp_path / "pipe")


def test_a_line_without_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trace_file, "PIECE_BYTES", 1000)
    with pytest.raises(InvalidInput, match="first line does not end"):
        read_trace(written(tmp_path, "a," * 1000))


def test_lines_are_counted_in_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind blank lines, cells of several lines and the first piece."""
    monkeypatch.setattr(trace_file, "ROWS", 3)
    text = '\nat,in,out,x\n1,2,3,"a\nb"\n\n2,2,3,c\n3,2,3,d\n4,2,3,e\n5,2,no,f\n'
    with pytest.raises(InvalidInput, match="line 9, column 'out': 'no'"):
        read_trace(written(tmp_path, text), columns=NAMED)


def test_a_file_may_not_change(tmp_path: Path) -> None:
    file = written(tmp_path, "at,in,out\n1,2,3\n")
    trace = read_trace(file, columns=NAMED)
    file.write_text("at,in,out\n1,2,3\n9,9,9\n")
    with pytest.raises(InvalidInput, match="has changed since it was first read"):
        asks(trace)
    file.unlink()
    with pytest.raises(InvalidInput, match="cannot read"):
        asks(trace)


def test_a_layout_that_is_asked_for(tmp_path: Path) -> None:
    line = MOONCAKE.replace("{", '{"chat_id": 3, ')
    assert read_trace(written(tmp_path, line)).layout.name == "bailian"
    assert read_trace(written(tmp_path, line), layout="mooncake").layout.unit_s == 1e-3


def test_a_trace_crosses_processes() -> None:
    trace = read_trace(DATA / "mooncake_conversation.jsonl")
    assert asks(pickle.loads(pickle.dumps(trace))) == asks(trace)


def test_requests_at_one_moment(tmp_path: Path) -> None:
    trace = read_trace(written(tmp_path, "at,in,out\n7,2,3\n7,4,5\n"), columns=NAMED)
    assert trace.requests_per_s == math.inf
    assert "2 requests at one moment, on average 3 tokens" in trace.description


START = datetime.datetime(2023, 11, 16)
requests = st.lists(
    st.tuples(
        st.integers(0, 10**12),
        st.integers(0, 10_000_000),
        st.integers(0, 10_000_000),
        st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4),
    ),
    min_size=1,
    max_size=30,
)


@given(requests=requests, form=st.sampled_from(["azure", "mooncake", "seconds"]), packed=st.booleans())
def test_what_is_written_is_read(
    tmp_path_factory: pytest.TempPathFactory, requests: list[Any], form: str, packed: bool
) -> None:
    """Requests at random microseconds, in every form, in any order, come back exactly, in order of time."""
    good = sorted((one for one in requests if one[1] and one[2]), key=lambda one: one[0])
    if form == "azure":
        times = [START + datetime.timedelta(microseconds=one[0]) for one in requests]
        rows = [f"{at:%F %T.%f},{one[1]},{one[2]}" for at, one in zip(times, requests, strict=True)]
        text = "\r\n".join([AZURE.strip(), *rows])
    elif form == "seconds":
        rows = [f"{one[2]},x,{one[1]},{one[0] // 10**6}.{one[0] % 10**6:06}" for one in requests]
        text = "\n".join(["out,x,in,at", *rows])
    else:
        text = "".join(
            json.dumps({"timestamp": at / 1000, "input_length": p, "output_length": o, "hash_ids": ids})
            + "\n"
            for at, p, o, ids in requests
        )
    file = tmp_path_factory.getbasetemp() / "random-trace"
    file.write_bytes(gzip.compress(text.encode(), 1) if packed else text.encode())
    columns = NAMED if form == "seconds" else None
    if not good:
        with pytest.raises(InvalidInput, match="none has tokens"):
            read_trace(file, columns=columns)
        return
    trace = read_trace(file, columns=columns)
    assert (trace.requests, trace.dropped) == (len(good), len(requests) - len(good))
    found = asks(trace)
    assert [(ask.prompt, ask.output) for ask in found] == [one[1:3] for one in good]
    assert [ask.arrival_s for ask in found] == pytest.approx(
        [(one[0] - good[0][0]) / 1e6 for one in good], abs=1e-8
    )
    if form == "mooncake":
        assert [ask.prefix for ask in found] == [tuple(one[3][: one[1] // 512]) for one in good]


@pytest.mark.parametrize("is_json", [False, True])
def test_memory_is_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_json: bool) -> None:
    """Ten times the requests take no more: in small pieces, since tracing every allocation is slow."""
    monkeypatch.setattr(trace_file, "ROWS", 256)
    monkeypatch.setattr(trace_file, "PIECE_BYTES", 10_000)

    def peak_bytes(count: int) -> int:
        if is_json:
            text = "".join(f'{{"at": {at}, "in": {at % 3000 + 1}, "out": 7}}\n' for at in range(count))
        else:
            text = "at,in,out\n" + "".join(f"{at},{at % 3000 + 1},7\n" for at in range(count))
        file = written(tmp_path, text)
        tracemalloc.start()
        try:
            trace = read_trace(file, columns=NAMED)
            deque(stream(Traffic(arrivals="trace"), trace), maxlen=0)
            assert trace.requests == count
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(1000)  # what is made once only
    few = peak_bytes(4000)
    assert peak_bytes(40_000) < 1.2 * few
    assert few < 1_000_000
