"""Files in parts: what a Range header asks for, what is answered, and that memory and slots are given back."""

from __future__ import annotations

import gc
import os
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gisservice.errors import Overloaded, RangeNotSatisfiable
from gisservice.web.exchange import FOR_EVER, Answer, Request
from gisservice.web.fastpath import send
from gisservice.web.fileparts import PIECE_BYTES, FilePart, Span, parse_range
from gisservice.web.gates import Gate
from gisservice.web.ranges import HELD_BYTES_MAX, file_answer

TAG = '"tag"'
SIZE = 3 * HELD_BYTES_MAX + 17


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("files") / "big"
    path.write_bytes(os.urandom(SIZE))
    return path


def ask(file: Path, gate: Gate | None = None, method: str = "GET", **headers: str) -> Answer:
    environ = {"REQUEST_METHOD": method, **{f"HTTP_{name.upper()}": value for name, value in headers.items()}}
    return file_answer(Request(environ), file, SIZE, TAG, "application/x", FOR_EVER, gate or Gate("parts", 2))


def content(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else answer.body.read()


@pytest.mark.parametrize(
    ("header", "span"),
    [
        ("bytes=0-0", Span(0, 1)),
        ("bytes=0-99", Span(0, 100)),
        ("bytes=0-1000", Span(0, 100)),
        ("bytes=99-99", Span(99, 1)),
        ("bytes=10-", Span(10, 90)),
        ("bytes=-1", Span(99, 1)),
        ("bytes=-100", Span(0, 100)),
        ("bytes=-1000", Span(0, 100)),
        ("Bytes= 0-5 ", Span(0, 6)),
        ("bytes=100-", Span(100, 0)),
        ("bytes=100-200", Span(100, 0)),
        ("bytes=999999999999999999-", Span(999999999999999999, 0)),
        ("bytes=-0", Span(100, 0)),
        ("bytes=5-4", None),
        ("bytes=0-1,5-6", None),
        ("bytes=" + ",".join("0-1" for _ in range(1000)), None),
        ("bytes=", None),
        ("bytes=-", None),
        ("bytes=a-b", None),
        ("bytes=1_0-20", None),
        ("bytes=+1-2", None),
        ("bytes=٣-٤", None),
        ("bytes=" + "9" * 400 + "-", None),
        ("items=0-5", None),
        ("", None),
    ],
)
def test_spans(header: str, span: Span | None) -> None:
    assert parse_range(header, 100) == span


@given(st.text(), st.integers(0, 10**12))
def test_any_header_is_a_span_inside_the_file_or_none(header: str, size: int) -> None:
    for text in (header, f"bytes={header}"):
        span = parse_range(text, size)
        assert span is None or span.length == 0 or 0 <= span.start < span.start + span.length <= size


def test_the_whole_file(file: Path) -> None:
    answer = ask(file)
    headers = dict(answer.headers)
    assert answer.status == 200
    assert (headers["ETag"], headers["Accept-Ranges"], headers["Cache-Control"]) == (TAG, "bytes", FOR_EVER)
    assert dict(answer.all_headers())["Content-Length"] == str(SIZE)
    assert content(answer) == file.read_bytes()


@pytest.mark.parametrize("span", [Span(0, 16384), Span(SIZE - 5, 5), Span(7, 2 * HELD_BYTES_MAX), Span(0, SIZE)])
def test_a_part(file: Path, span: Span) -> None:
    answer = ask(file, range=f"bytes={span.start}-{span.start + span.length - 1}")
    headers = dict(answer.all_headers())
    assert answer.status == 206
    assert headers["Content-Range"] == f"bytes {span.start}-{span.start + span.length - 1}/{SIZE}"
    assert headers["Content-Length"] == str(span.length)
    assert content(answer) == file.read_bytes()[span.start :][: span.length]


def test_a_part_behind_the_end(file: Path) -> None:
    with pytest.raises(RangeNotSatisfiable, match=str(SIZE)):
        ask(file, range=f"bytes={SIZE}-")


@pytest.mark.parametrize(
    ("condition", "status"),
    [(TAG, 206), ('"other"', 200), (f"W/{TAG}", 200), ("Mon, 01 Jan 2024 00:00:00 GMT", 200), ("", 200)],
)
def test_if_range_gives_the_part_of_the_same_file_only(file: Path, condition: str, status: int) -> None:
    assert ask(file, range="bytes=0-9", if_range=condition).status == status


def test_what_the_caller_has_is_not_sent_again(file: Path) -> None:
    for method in ("GET", "HEAD"):
        answer = ask(file, method=method, range="bytes=0-9", if_none_match=TAG)
        assert (answer.status, answer.body) == (304, b"")


def test_head_has_the_length_and_no_range(file: Path) -> None:
    answer = ask(file, method="HEAD", range="bytes=0-9")
    assert (answer.status, dict(answer.all_headers())["Content-Length"]) == (200, str(SIZE))


def test_a_long_part_comes_in_pieces_and_its_place_and_file_are_given_back(file: Path) -> None:
    gate = Gate("parts", 1)
    started: list[Any] = []
    body = send(ask(file, gate), {"REQUEST_METHOD": "GET"}, lambda *given: started.append(given))
    with pytest.raises(Overloaded, match="parts"):
        ask(file, gate)
    assert ask(file, gate, range="bytes=0-9").status == 206  # short ones need no place
    assert ask(file, gate, method="HEAD").status == 200
    pieces = list(body)
    assert max(map(len, pieces)) == PIECE_BYTES
    assert b"".join(pieces) == file.read_bytes()
    assert ask(file, gate).status == 200


def test_a_reader_that_goes_away_gives_its_place_back(file: Path) -> None:
    gate = Gate("parts", 1)
    gc.collect()
    open_files = len(os.listdir("/proc/self/fd"))
    for end in ("close", "drop"):
        part = ask(file, gate).body
        assert isinstance(part, FilePart)
        next(iter(part))
        if end == "close":
            part.close()
            part.close()
        del part
        gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= open_files
    assert ask(file, gate).status == 200


def test_a_file_that_is_gone_keeps_no_place(tmp_path: Path) -> None:
    gate = Gate("parts", 1)
    for _ in range(3):
        with pytest.raises(FileNotFoundError):
            ask(tmp_path / "nothing", gate)


def test_a_file_that_became_shorter_ends_in_an_error_and_not_in_a_wrong_answer(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"abc")
    with pytest.raises(OSError, match="ended before"):
        FilePart(tmp_path / "short", Span(0, 10)).read()


def test_a_file_of_any_length_is_sent_in_the_same_memory(tmp_path: Path) -> None:
    size = 1 << 28
    with open(tmp_path / "sparse", "wb") as sparse:
        sparse.truncate(size)
    environ = {"REQUEST_METHOD": "GET"}
    answer = file_answer(Request(environ), tmp_path / "sparse", size, TAG, "application/x", FOR_EVER, Gate("parts", 1))
    tracemalloc.start()
    try:
        sent = sum(len(piece) for piece in send(answer, environ, lambda *_: None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert sent == size
    assert peak < 4 * PIECE_BYTES


def test_those_who_find_a_gate_full_are_told() -> None:
    gate = Gate("things", 1)
    with gate.passed():
        with pytest.raises(Overloaded, match="Too many things"):
            gate.enter()
    with gate.passed():
        pass
