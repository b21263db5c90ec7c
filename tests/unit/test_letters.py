"""Texts are read in pieces and held as numbers: the pieces change nothing, and the text itself is never held whole."""

from __future__ import annotations

import json
import random
import tracemalloc
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import part_of, refusal
from hypothesis import given, settings
from hypothesis import strategies as st

from aebuild.data import assemble, letters, text_files
from aebuild.data.assemble import load_splits
from aebuild.data.letters import POINTS, Letters, LetterWriter
from aebuild.data.text_files import read_corpus
from aebuild.data.vocabulary import Alphabet, Bytes, Subwords, encoded
from aebuild.lang.dataset import Where

SHORT = st.text(st.sampled_from("ab \n\t.é漢\u00a0\u2003\x1c'1s"), max_size=30)
TEXTS = st.lists(SHORT, min_size=1, max_size=6)
SENTENCES = ["the fox and the dog", "the dog's <unknown> tail\n\n  and 12 more", "ein Bär, a fox"] * 4


@pytest.fixture
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pieces of a few characters, so that borders fall everywhere."""
    monkeypatch.setattr(letters, "CHUNK", 6)
    monkeypatch.setattr(text_files, "CHUNK", 6)


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def written(name: str, data: str | bytes) -> Path:
        (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
        return tmp_path / name
    return written


def as_read(path: Path) -> str:
    """The text by Python's own reading."""
    return path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")


@pytest.mark.usefixtures("_small")
@settings(max_examples=30)
@given(texts=TEXTS)
def test_texts_come_back_and_their_letters_are_counted(texts: list[str]) -> None:
    held = Letters.of(texts)
    assert [held.text(row) for row in range(len(held))] == texts
    assert held.counted() == Counter("".join(texts))
    some = np.arange(0, len(texts), 2)
    assert held.counted(some) == Counter("".join(texts[::2]))
    assert [text for batch, _ in held.batches(cut=False) for text in batch] == texts
    whole = held.part(0, len(held.codes))
    assert list(whole.lines()) == "".join(texts).splitlines(keepends=True)
    assert whole.counted() == held.counted()


@pytest.mark.usefixtures("_small")
@settings(max_examples=30)
@given(texts=TEXTS)
def test_pieces_have_the_tokens_of_the_whole(texts: list[str]) -> None:
    """Of characters, bytes and subwords; a text that is cut in front of a blank too."""
    for vocabulary in (Alphabet.of(SENTENCES), Bytes(), SUBWORDS):
        tokens, counts = encoded(Letters.of(texts), vocabulary)
        wanted, sizes = vocabulary.encode(texts)
        assert tokens.tolist() == wanted.tolist()
        assert counts.tolist() == sizes.tolist()
        assert tokens.dtype == (np.uint8 if vocabulary.size <= 256 else np.uint16)


SUBWORDS = Subwords.trained(SENTENCES, 60)


def test_a_tokenizer_that_looks_at_the_whole_text_gets_it_whole() -> None:
    assert SUBWORDS.cuts
    told = json.loads(SUBWORDS.text)
    for other in ({"pre_tokenizer": {**told["pre_tokenizer"], "add_prefix_space": True}}, {"pre_tokenizer": None},
                  {"normalizer": {"type": "Lowercase"}}):
        assert not Subwords(json.dumps({**told, **other})).cuts


@pytest.mark.parametrize(("count", "kind"), [(256, "uint8"), (257, "uint16"), (70_000, "uint32")])
def test_the_smallest_type_that_has_room(count: int, kind: str) -> None:
    symbols = [chr(point) for point in range(0x20, 0x20 + count + 2048) if not 0xD800 <= point < 0xE000][:count]
    writer = LetterWriter()
    writer.add(["".join(symbols[:100]), "".join(symbols[100:])])
    writer.add(["".join(symbols[::-1])])
    held = writer.done()
    assert held.codes.dtype == kind
    assert held.text(2) == "".join(symbols[::-1])
    assert held.text(0) == "".join(symbols[:100])


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize("data", [
    "plain\nlines\n", "\ufeffmark\r\nof order\r", "漢字 and é\r\n\r\n\n x \n", "one line without an end" * 9, " \n", "\r"])
def test_a_file_in_pieces_is_the_file(write: Any, data: str) -> None:
    path = write("t.txt", data)
    part = part_of("text", path="t.txt", samples="lines")
    assert read_corpus(path, None, True, part).letters.text(0) == as_read(path)
    lines = [(number, line) for number, line in enumerate(as_read(path).split("\n"), 1) if line.strip()]
    if lines:
        found = read_corpus(path, None, False, part)
        assert [(place, found.letters.text(row)) for row, place in enumerate(found.places)] == lines
        assert found.beside() == {"line": [str(number) for number, _ in lines]}


@pytest.mark.usefixtures("_small")
@pytest.mark.parametrize(("data", "place"), [(b"abcdefgh\xffij", 8), (b"\xef\xbb\xbfabcd\xfe", 7), (b"abcd\xc3", 4), (b"abcde\xe6\xbcx", 5)])
def test_the_byte_that_is_no_text_is_named(write: Any, data: bytes, place: int) -> None:
    write("t.txt", data)
    found = refusal("text", write("u.txt", "").parent, path="t.txt", samples="lines")
    assert (found.code, f"byte {place} is {data[place]:#04x}" in found.message) == ("AE403", True)


@pytest.mark.usefixtures("_small")
def test_records_and_columns_in_pieces(write: Any) -> None:
    rows = [{"id": number, "text": f"text {number}\n漢", "b": number % 2 == 0, **({} if number == 7 else {"c": 1.5})} for number in range(30)]
    path = write("r.jsonl", "".join(json.dumps(row, ensure_ascii=number % 2 == 0) + "\r\n\n" for number, row in enumerate(rows)))
    found = read_corpus(path, None, False, part_of("text", path="r.jsonl"))
    assert [found.letters.text(row) for row in range(30)] == [row["text"] for row in rows]
    assert found.beside() == {"id": [str(number) for number in range(30)], "b": [str(number % 2 == 0) for number in range(30)]}
    assert list(found.places) == list(range(1, 60, 2))
    path = write("c.csv", "n,said\n" + "".join(f'{number}," word {number}\nand more "\n' for number in range(30)))
    found = read_corpus(path, None, False, part_of("text", path="c.csv"))
    assert [found.letters.text(row) for row in range(30)] == [f"word {number}\nand more" for number in range(30)]
    assert found.beside() == {"n": [str(number) for number in range(30)]}
    write("s.jsonl", json.dumps({"text": "half \ud83d"}) + "\n")
    assert "line 1 holds half of a surrogate pair" in refusal("text", path.parent, path="s.jsonl").message


@pytest.mark.parametrize("fields", [{"path": "t.txt", "length": 32}, {"path": "t.txt", "samples": "lines", "length": 80},
                                    {"path": "t.jsonl", "length": 80}, {"path": "t.csv", "length": 80}], ids=lambda each: each["path"])
def test_the_text_is_not_held(write: Any, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is held at a time, samples included, is below four bytes a letter; tokens as they were once had eight."""
    for module, name in ((letters, "CHUNK"), (text_files, "CHUNK"), (assemble, "TAKEN")):
        monkeypatch.setattr(module, name, 1 << 12)
    random.seed(0)
    lines = ["".join(random.choices("abcdefghij ", k=75)) for _ in range(4_000)]
    write("t.jsonl", "".join(f'{{"text": "{line}"}}\n' for line in lines))
    write("t.csv", "n,said\n" + "".join(f"{number},x{line}\n" for number, line in enumerate(lines)))
    size = write("t.txt", "\n".join(lines)).stat().st_size
    part, where = part_of("text", split={"validation": 0, "test": 0}, **fields), Where(write("u.txt", "").parent)
    del lines
    load_splits(part_of("text", path="t.txt", samples="lines", length=80, limit=1), where)             # what is imported is not counted
    tracemalloc.start()
    splits = load_splits(part, where)
    peak = tracemalloc.get_traced_memory()[1] - 4 * POINTS             # the table of all characters, as long as texts are written
    tracemalloc.stop()
    assert splits.train.inputs.nbytes == pytest.approx(size, rel=0.1)
    assert peak < 4 * size, f"{peak / size:.1f} bytes a letter"
