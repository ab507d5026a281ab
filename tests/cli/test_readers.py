"""Reading answers and sources: every file is read exactly, listed as passed over, or refused."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.cli import readers
from guardrails.cli.readers import read_answer, read_sources
from guardrails.errors import SourceUnreadable
from verifiers.errors import MissingExtra

TEXT = "Die Gebühr beträgt 30 €.\nZweite Zeile."


def put(folder: Path, name: str, data: str | bytes) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_say_the_encoding(tmp_path: Path, encoding: str) -> None:
    """A file with a mark, and UTF-8 without one, need no option."""
    path = put(tmp_path, "a.txt", TEXT.encode(encoding))
    (source,) = read_sources([path]).sources
    assert source.text == TEXT
    assert source.id == path
    assert source.title == "a.txt"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be", "shift_jis"])
def test_an_encoding_can_be_given(tmp_path: Path, encoding: str) -> None:
    """Without a mark, --encoding says how to read it."""
    text = "日本語です。" if encoding == "shift_jis" else TEXT
    path = put(tmp_path, "a.txt", text.encode(encoding))
    assert read_sources([path], encoding=encoding).sources[0].text == text
    assert read_answer(path, encoding=encoding) == text


def test_undecodable_text_names_file_byte_and_remedy(tmp_path: Path) -> None:
    """Nothing is replaced: the file, the byte and the option are named."""
    path = put(tmp_path, "old.txt", "Die Gebühr".encode("cp1252"))
    with pytest.raises(
        SourceUnreadable, match=r"old\.txt' is not valid utf-8: byte 7 \(0xfc\)"
    ) as error:
        read_sources([path])
    assert error.value.code == "GR310"
    assert "--encoding" in error.value.hint


def test_undecodable_text_in_a_folder_stops_the_reading(tmp_path: Path) -> None:
    """Evidence must not go missing in silence."""
    put(tmp_path, "a.txt", "Good.")
    put(tmp_path, "b.txt", b"Caf\xe9.")
    with pytest.raises(SourceUnreadable, match=r"b\.txt"):
        read_sources([str(tmp_path)])


@pytest.mark.parametrize("encoding", ["klingon", "rot13", "base64"])
def test_an_unknown_encoding_is_named(tmp_path: Path, encoding: str) -> None:
    """Also codecs that are not text encodings."""
    path = put(tmp_path, "a.txt", "x")
    with pytest.raises(SourceUnreadable, match=encoding):
        read_sources([path], encoding=encoding)
    with pytest.raises(SourceUnreadable, match=encoding):
        read_answer(path, encoding=encoding)


def test_folders_are_read_recursively_and_say_what_was_passed_over(tmp_path: Path) -> None:
    """Hidden, binary and empty files are listed, not read and not forgotten."""
    put(tmp_path, "b.txt", "B.")
    put(tmp_path, "sub/a.md", "# Title\n\nA.")
    put(tmp_path, ".hidden.txt", "H.")
    put(tmp_path, ".git/config", "G.")
    put(tmp_path, "empty.txt", " \n")
    put(tmp_path, "logo.png", b"\x89PNG\r\n\x1a\n\x00\x00")
    put(tmp_path, "data.bin", b"abc\x00def")
    reading = read_sources([str(tmp_path)])
    assert [Path(source.id).name for source in reading.sources] == ["b.txt", "a.md"]
    assert reading.sources[1].title == "Title"
    assert {Path(item.path).name: item.reason for item in reading.passed} == {
        ".hidden.txt": "hidden",
        ".git": "hidden",
        "empty.txt": "empty",
        "logo.png": "binary (an image)",
        "data.bin": "binary (it holds NUL bytes)",
    }


def test_patterns_are_expanded_and_files_read_once(tmp_path: Path) -> None:
    """A glob that the shell did not expand, and a file named twice."""
    a = put(tmp_path, "a.txt", "A.")
    put(tmp_path, "deep/er/b.txt", "B.")
    reading = read_sources([a, f"{tmp_path}/**/*.txt", a])
    assert [source.text for source in reading.sources] == ["A.", "B."]


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("empty.txt", b"", "empty"),
        ("blank.txt", b" \n\t", "empty"),
        ("a.bin", b"a\x00b", "binary"),
        ("a.docx", b"PK\x03\x04rest", "Office document"),
        ("a.dat", bytes(range(1, 32)) * 4, "control characters"),
        ("a.html", b"<html><script>x</script></html>", "without any text"),
        ("a.jsonl", b"[1]", "not an object"),
        ("a.jsonl", b"{", "not valid JSON"),
        ("a.jsonl", b"[" * 100_000, "nested too deeply"),
        ("a.jsonl", b'{"txt": "x"}', "unknown key 'txt'"),
        ("a.jsonl", b'{"id": "x"}', "no text"),
        ("a.jsonl", b'{"text": "x", "title": 3}', "'title' is not a string"),
        ("a.jsonl", b'{"text": "x", "timestamp": "yesterday"}', "ISO 8601"),
        ("a.jsonl", b'{"text": "x", "id": "1"}\n{"text": "y", "id": "1"}', "two sources"),
        ("a.pdf", b"%PDF-1.7 nonsense", "damaged PDF"),
    ],
)
def test_what_is_named_and_cannot_be_read_is_refused(
    tmp_path: Path, name: str, data: bytes, why: str
) -> None:
    """Each says what and why, with one code, and has something to do about it."""
    with pytest.raises(SourceUnreadable, match=why) as error:
        read_sources([put(tmp_path, name, data)])
    assert error.value.hint
    assert "nothing was" in error.value.message


def test_missing_folderless_and_forbidden_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the file system refuses is told apart."""
    with pytest.raises(SourceUnreadable, match="does not exist"):
        read_sources([str(tmp_path / "no.txt")])
    with pytest.raises(SourceUnreadable, match="is a folder"):
        read_answer(str(tmp_path))
    with pytest.raises(SourceUnreadable, match="no readable file"):
        read_sources([str(tmp_path)])
    with pytest.raises(SourceUnreadable, match="no readable file"):
        read_sources([str(tmp_path / "*.txt")])
    path = put(tmp_path, "secret.txt", "x")

    def refuse(self: Path, mode: str) -> bytes:  # the tests may run as root, whom nothing stops
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SourceUnreadable, match="may not be read"):
        read_sources([path])


def test_a_fifo_in_a_folder_does_not_hang(tmp_path: Path) -> None:
    """Only regular files are opened."""
    put(tmp_path, "a.txt", "A.")
    os.mkfifo(tmp_path / "pipe")
    reading = read_sources([str(tmp_path)])
    assert [item.reason for item in reading.passed] == ["not a regular file"]


def test_too_large_is_refused_before_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files and standard input alike."""
    monkeypatch.setattr(readers, "MAX_BYTES", 10)
    path = put(tmp_path, "big.txt", "x" * 11)
    with pytest.raises(SourceUnreadable, match="over the limit"):
        read_sources([path])
    with pytest.raises(SourceUnreadable, match="over the limit"):
        read_sources(["-"], stdin=io.BytesIO(b"x" * 11))


def test_what_never_ends_is_read_to_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """A device says it has no size."""
    monkeypatch.setattr(readers, "MAX_BYTES", 1 << 20)
    with pytest.raises(SourceUnreadable, match="'/dev/zero' is over the limit"):
        read_sources(["/dev/zero"])
    with pytest.raises(SourceUnreadable, match="'/dev/zero' is over the limit"):
        read_answer("/dev/zero")


def test_a_pipe_is_read_like_a_file(tmp_path: Path) -> None:
    """Shells give the output of a command as one: --source <(command)."""
    os.mkfifo(tmp_path / "pipe")
    writer = Thread(target=(tmp_path / "pipe").write_text, args=(TEXT, "utf-8"), daemon=True)
    writer.start()
    assert read_sources([str(tmp_path / "pipe")]).sources[0].text == TEXT
    writer.join()


@pytest.mark.parametrize("key", ["id", "text", "title", "uri"])
def test_half_a_character_is_named_before_anything_is_checked(tmp_path: Path, key: str) -> None:
    """JSON can hold one; no tokenizer, store or terminal can."""
    row = {"text": "A.", key: "cut \ud83d"}
    path = put(tmp_path, "a.jsonl", '{"text": "A."}\n' + json.dumps(row))
    with pytest.raises(SourceUnreadable, match=rf"line 2: '{key}' holds half a character") as error:
        read_sources([path])
    assert error.value.code == "GR310"


def test_encodings_that_hold_half_a_character_are_no_way_round(tmp_path: Path) -> None:
    """Python decodes lone surrogates out of UTF-7 without a word."""
    path = put(tmp_path, "a.txt", b"cut +2AA-")
    for read in (read_answer, lambda path, encoding: read_sources([path], encoding=encoding)):
        with pytest.raises(SourceUnreadable, match="'text' holds half a character"):
            read(path, encoding="utf-7")


def test_a_file_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    """It would be the id of a source; what is passed over is listed with its bytes escaped."""
    put(tmp_path, "b\udcfe.png", b"\x89PNG\x00")
    put(tmp_path, ".h\udcfe", "H.")
    put(tmp_path, "a.txt", "A.")
    passed = read_sources([str(tmp_path)]).passed
    assert sorted(Path(one.path).name for one in passed) == [".h\\udcfe", "b\\udcfe.png"]
    lines = put(tmp_path, "a\udcff.jsonl", '{"text": "A."}')
    path = put(tmp_path, "a\udcff.txt", "A.")
    for spec in (path, lines, str(tmp_path)):
        with pytest.raises(SourceUnreadable, match=r"a\\udcff.(txt|jsonl)' is not valid UTF-8"):
            read_sources([spec])
    assert read_answer(path) == "A."


def test_json_lines_are_sources(tmp_path: Path) -> None:
    """Ids, titles, links and times are kept; ids are made where there are none."""
    rows = [
        {"text": "A.", "id": "x", "title": "T", "uri": "u", "timestamp": "2024-05-01"},
        {"text": "B."},
    ]
    path = put(tmp_path, "s.jsonl", "\n".join(json.dumps(row) for row in rows) + "\n\n")
    first, second = read_sources([path]).sources
    assert (first.id, first.title, first.uri, first.text) == ("x", "T", "u", "A.")
    assert first.timestamp is not None
    assert second.id == f"{path}:2"


def test_html_is_read_as_a_reader_sees_it(tmp_path: Path) -> None:
    """Blocks apart, entities decoded, scripts gone, the declared charset honoured."""
    page = (
        "<!DOCTYPE html><html><head><meta charset='iso-8859-1'><title>Fees &amp; more</title>"
        "<style>p{}</style><script>if (a < b) {}</script></head><body><h1>Fees</h1>"
        "<p>The fee is\n  30&nbsp;€ for <b>caf\xe9</b>s.</p><ul><li>One<li>Two</ul>"
        "<table><tr><td>A</td><td>1</td></tr></table><pre>x  y\n z</pre><svg/>End"
    )
    path = put(tmp_path, "p.html", page.replace("€", "&euro;").encode("latin-1"))
    (source,) = read_sources([path]).sources
    assert source.title == "Fees & more"
    assert "The fee is 30 € for cafés." in source.text
    assert "- One" in source.text
    assert "A\t1" in source.text
    assert "x  y\nz" in source.text
    assert source.text.endswith("End")
    assert "if (a" not in source.text


def test_html_from_standard_input_is_recognised() -> None:
    """There is no file name to go by."""
    (source,) = read_sources(["-"], stdin=io.BytesIO(b"<!doctype html><p>Hi.</p>")).sources
    assert (source.id, source.text) == ("stdin", "Hi.")


def _pdf(text: str) -> bytes:
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R %s >>"
        % b"/Resources << /Font << /F1 5 0 R >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out = b"%PDF-1.4\n"
    places = []
    for number, body in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(
        b"%010d 00000 n \n" % place for place in places
    )
    return out + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % table


def test_pdf_text_is_read(tmp_path: Path) -> None:
    """Text of the pages; a PDF without text says so."""
    pytest.importorskip("pypdf", reason="the pdf extra is not installed")
    (source,) = read_sources([put(tmp_path, "a.pdf", _pdf("The fee is 30 euros."))]).sources
    assert source.text.strip() == "The fee is 30 euros."
    with pytest.raises(SourceUnreadable, match="without any text"):
        read_sources([put(tmp_path, "scan.pdf", _pdf(""))])


def test_pdf_without_its_reader_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing extra is not a broken file."""
    import sys

    monkeypatch.setitem(sys.modules, "pypdf", None)
    with pytest.raises(MissingExtra, match="PDF") as error:
        read_sources([put(tmp_path, "a.pdf", _pdf("x"))])
    assert "groundrail[pdf]" in error.value.hint


def test_an_answer_is_kept_exactly_but_for_the_last_line_end(tmp_path: Path) -> None:
    """Spaces and inner line ends stay; empty is an answer; binary is not."""
    assert read_answer(put(tmp_path, "a.txt", "  A.\r\n\r\nB. \r\n")) == "  A.\r\n\r\nB. "
    assert read_answer("-", stdin=io.BytesIO(b"Yes.\n\n")) == "Yes.\n"
    assert read_answer(put(tmp_path, "e.txt", "")) == ""
    with pytest.raises(SourceUnreadable, match="binary"):
        read_answer(put(tmp_path, "b.txt", b"\x89PNG\x00"))


@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """No content makes the reader raise anything but its own error."""
    try:
        reading = read_sources(["-"], stdin=io.BytesIO(data))
    except SourceUnreadable:
        return
    assert reading.sources[0].text.strip()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=200))
def test_any_markup_gives_text(markup: str) -> None:
    """The HTML reader never fails."""
    from guardrails.cli.markup import html_text

    html_text(f"<html>{markup}<p>{markup}</p>")
