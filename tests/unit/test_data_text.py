"""Texts as tokens: read, divided, cut, padded, written again; and the vocabularies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_making import load, part_of, probe_refusal, refusal
from hypothesis import given
from hypothesis import strategies as st

from aebuild.compile.front import load as load_spec
from aebuild.data.assemble import load_splits
from aebuild.data.detect import detect
from aebuild.data.sentences import LONGEST, SYMBOLS, sentences
from aebuild.data.vocabulary import END, SPECIAL, UNKNOWN, Alphabet, Bytes, Subwords
from aebuild.lang.samples import DataInfo, Where
from aebuild.lang.values import Tokens
from aebuild.results.drawing import cell_size, draw_sample

LINES = ["the fox", "ein Bär", "the dog and the fox", "a", "οὐ"] * 8
PROSE = "It was the best of times, it was the worst of times.\r\nIt was the age of wisdom, it was the age of foolishness.\n" * 12
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "lines.txt").write_text("\n\n".join(LINES), encoding="utf-8")
    (tmp_path / "prose.txt").write_bytes(PROSE.encode())
    (tmp_path / "notes.csv").write_text("id,review,stars\n" + "".join(f'{n},"{line}, she said",{n % 5}\n' for n, line in enumerate(LINES)))
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"id": n, "text": line, "x": None}) + "\n" for n, line in enumerate(LINES)))
    (tmp_path / "latin.txt").write_bytes("ein Bär".encode("latin-1"))
    (tmp_path / "broken.jsonl").write_text('{"text": "a"}\n{"text": 3}\n')
    (tmp_path / "mangled.jsonl").write_text('{"text": "a"}\nnonsense\n')
    (tmp_path / "words.csv").write_text("a,b\nx,y\nu,v\n")
    (tmp_path / "numbers.txt").write_text("1,2\n" * 60)
    (tmp_path / "empty.txt").write_text(" \n\n")
    return tmp_path


@pytest.mark.parametrize("make", [lambda texts: Alphabet.of(texts), lambda texts: Bytes(), lambda texts: Subwords.trained(texts, 300)],
                         ids=["characters", "bytes", "subwords"])
@given(texts=st.lists(TEXT, min_size=1, max_size=4))
def test_what_was_learned_is_written_again(make: Any, texts: list[str]) -> None:
    """Texts of the training come back letter by letter, and every token is below the size."""
    vocabulary = make(texts)
    tokens, counts = vocabulary.encode(texts)
    assert counts.sum() == len(tokens)
    ends = np.cumsum(counts)
    for text, begin, end in zip(texts, ends - counts, ends, strict=True):
        assert vocabulary.decode([*tokens[begin:end].tolist(), END, 5]) == text
    assert ((tokens >= SPECIAL) & (tokens < vocabulary.size)).all()


def test_an_alphabet_is_sorted_and_keeps_the_most_frequent() -> None:
    assert Alphabet.of(["banana", "cd"]).symbols == ("a", "b", "c", "d", "n")
    few = Alphabet.of(["banana", "cd"], 5)
    assert few.symbols == ("a", "b", "n")
    assert few.encode(["dab"])[0].tolist() == [UNKNOWN, 2, 3]
    assert few.decode([1, 2, 3]) == "\N{REPLACEMENT CHARACTER}ab"
    assert Alphabet.of([""]).encode(["x"])[0].tolist() == [UNKNOWN]


def test_subwords_are_stored_as_text() -> None:
    texts = ["the fox and the dog", "the dog"] * 5
    made = Subwords.trained(texts, 40)
    again = Subwords(made.text, 40)
    assert again.encode(texts)[0].tolist() == made.encode(texts)[0].tolist()
    assert made.encode(["the the"])[1][0] < len("the the")
    assert again.decode([*made.encode(["the"])[0].tolist(), UNKNOWN, 39]) == "the\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}"


def test_lines_are_samples_that_end(folder: Path) -> None:
    splits = load("text", folder, path="lines.txt", samples="lines", split={"validation": 5, "test": 5})
    order = np.random.RandomState(42).permutation(40)
    train = [LINES[row] for row in order[:30]]
    symbols = sorted(set("".join(train)))
    assert splits.info.value == Tokens(20, SPECIAL + len(symbols))
    assert splits.info.ragged
    assert splits.train.lengths is not None
    assert splits.train.lengths.tolist() == [len(line) + 1 for line in train]
    for tokens, line in zip(splits.train.x, train, strict=True):
        assert tokens.tolist() == [SPECIAL + symbols.index(letter) for letter in line] + [END] * (20 - len(line))
    assert splits.info.found == {"samples": "lines", "unit": "characters", "length": 20, "symbols": symbols, "vocabulary": 2 + len(symbols)}
    assert DataInfo.from_json(json.loads(json.dumps(splits.info.to_json()))).found == splits.info.found


def test_the_vocabulary_is_that_of_the_training_texts(folder: Path) -> None:
    (folder / "odd.txt").write_text("\n".join("abc" for _ in range(30)) + "\nxyz\n")
    row = int(np.flatnonzero(np.random.RandomState(42).permutation(31) == 30)[0])
    fields = {"path": "odd.txt", "samples": "lines", "split": {"validation": 0, "test": 31 - row}}
    splits = load("text", folder, **fields)
    assert splits.info.found["symbols"] == ["a", "b", "c"]
    assert [note for note in splits.notes if note.startswith("3 of 93 tokens")]
    found = refusal("text", folder, unknown="error", **fields)
    assert (found.code, found.fix) == ("AE452", "unknown: token")
    assert "line 31" in found.message


def test_long_lines_are_cut_and_short_lengths_told(folder: Path) -> None:
    splits = load("text", folder, path="lines.txt", samples="lines", length=8)
    assert splits.info.value.shape == (8,)
    assert splits.train.lengths is not None
    assert splits.train.lengths.max() == 8
    assert any("8 texts longer than `length: 8` holds are cut" in note for note in splits.notes)


@pytest.mark.parametrize("unit", ["characters", "bytes"])
def test_pieces_lie_in_blocks(folder: Path, unit: str) -> None:
    splits = load("text", folder, path="prose.txt", length=16, stride=5, unit=unit, split={"validation": 0.2, "test": 3})
    text = PROSE.replace("\r\n", "\n")
    size = len(text) - round(0.2 * len(text)) - (16 + 2 * 5)
    known = part_of("text", path="prose.txt", length=16, unit=unit).form(splits.info)
    written = {known.spelled(sample) for sample in splits.train.x}
    assert written == {text[start:start + 16] for start in range(0, size - 15, 5)}
    assert [known.spelled(sample) for sample in splits.test.x] == [text[len(text) - 26:][start:start + 16] for start in (0, 5, 10)]
    assert splits.train.lengths is None
    assert splits.info.value == Tokens(16, 258 if unit == "bytes" else SPECIAL + len(set(text[:size])))


def test_subwords_of_the_training_block(folder: Path) -> None:
    splits = load("text", folder, path="prose.txt", length=6, unit="tokens", vocabulary=60)
    form = part_of("text", path="prose.txt", unit="tokens", length=6).form(splits.info)
    assert splits.info.value == Tokens(6, 60)
    assert all(form.spelled(sample) in PROSE.replace("\r\n", "\n") for sample in splits.test.x)
    assert json.loads(splits.info.found["tokenizer"])["model"]["type"] == "BPE"


@pytest.mark.parametrize(("path", "fields"), [("notes.csv", {}), ("notes.csv", {"column": "review"}), ("notes.csv", {"column": 1})])
def test_a_column_of_a_table(folder: Path, path: str, fields: dict[str, Any]) -> None:
    part = part_of("text", path=path, split={"validation": 5, "test": 5}, **fields)
    raw = part.read(Where(folder))
    form = part.form(raw.outline)
    assert [form.spelled(sample) for sample in raw.x["train"].take(np.arange(3))] == [f"{line}, she said" for line in LINES[:3]]
    assert raw.beside("train") == {"id": list(map(str, range(40))), "stars": [str(n % 5) for n in range(40)]}


def test_a_key_of_records(folder: Path) -> None:
    raw = part_of("text", path="notes.jsonl").read(Where(folder))
    assert raw.beside is not None
    assert raw.beside("train") == {"id": list(map(str, range(40)))}
    assert raw.lengths["train"].tolist() == [len(line) + 1 for line in LINES]


def test_new_texts_are_read_with_the_vocabulary_of_the_run(folder: Path) -> None:
    part = part_of("text", path="lines.txt", samples="lines")
    info = load_splits(part, Where(folder)).info
    (folder / "new.txt").write_text("fox Z\nthe fox and the dog and the fox\n")
    raw = part.fixed(info).but(path="new.txt", split=part.split.but(validation=0, test=0)).read(Where(folder))
    assert raw.outline.value == info.value
    assert [part.form(info).spelled(sample) for sample in raw.x["train"].take(np.arange(2))] == [
        "fox \N{REPLACEMENT CHARACTER}", "the fox and the dog"]


def test_texts_are_written_a_line_each(folder: Path) -> None:
    splits = load("text", folder, path="prose.txt", length=60)
    form = part_of("text", path="prose.txt", length=60).form(splits.info)
    form.write(folder / "out.txt", [splits.train.x[:2], splits.train.x[2:3]], {})
    lines = (folder / "out.txt").read_text().splitlines()
    assert [line.replace("\\n", "\n") for line in lines] == [form.spelled(sample) for sample in splits.train.x[:3]]


@pytest.mark.parametrize(("fields", "code", "fix"), [
    ({"path": "lines.txt", "samples": "lines", "stride": 3}, "AE450", "remove stride"),
    ({"path": "lines.txt", "samples": "lines", "column": "a"}, "AE450", "remove column"), ({"path": "prose.txt"}, "AE450", "length: 64"),
    ({"path": "lines.txt", "samples": "lines", "unit": "bytes", "vocabulary": 9}, "AE450", "remove vocabulary"),
    ({"path": "lines.txt", "samples": "lines", "unit": "bytes", "symbols": ["a"]}, "AE450", "remove symbols"),
    ({"path": "lines.txt", "samples": "lines", "unit": "bytes", "unknown": "error"}, "AE450", "remove unknown"),
    ({"path": "lines.txt", "samples": "lines", "unit": "tokens"}, "AE450", "length: 64"),
    ({"path": "lines.txt", "samples": "lines", "tokenizer": "{}"}, "AE450", "remove tokenizer"),
    ({"path": "lines.txt", "samples": "lines", "symbols": ["a", "b"], "vocabulary": 3}, "AE450", "remove vocabulary"),
    ({"path": "prose.txt", "length": 9, "unit": "tokens", "split": {"test": 4}}, "AE450", "test: 0.1"),
    ({"path": "notes.csv", "samples": "pieces"}, "AE450", "remove samples"), ({"path": "prose.txt", "shape": [3, 4]}, "AE450", None),
    ({"path": "prose.txt", "length": 9, "scale": "unit"}, "AE472", "remove scale")])
def test_options_that_mean_nothing_are_refused(folder: Path, fields: dict[str, Any], code: str, fix: str | None) -> None:
    for found in (probe_refusal("text", folder, **fields), refusal("text", folder, **fields)):
        assert found.code == code
        assert fix is None or found.fix == fix


@pytest.mark.parametrize(("fields", "code"), [
    ({"path": "prose.txt", "length": 500}, "AE451"), ({"path": "latin.txt", "samples": "lines"}, "AE403"),
    ({"path": "broken.jsonl"}, "AE409"), ({"path": "mangled.jsonl"}, "AE403"), ({"path": "words.csv"}, "AE409"),
    ({"path": "words.csv", "column": "c"}, "AE409"), ({"path": "empty.txt", "samples": "lines"}, "AE407"), ({"path": "no.txt"}, "AE401"),
    ({"path": "lines.txt", "samples": "lines", "unit": "tokens", "length": 9, "tokenizer": "bert"}, "AE453"),
    ({"path": "lines.txt", "samples": "lines", "shape": [7], "vocabulary": 9, "length": 8}, "AE412")])
def test_what_is_no_text_is_refused(folder: Path, fields: dict[str, Any], code: str) -> None:
    fields = {"length": 8, **fields} if fields["path"] == "no.txt" else fields
    assert refusal("text", folder, **fields).code == code


def test_a_table_of_numbers_is_told(folder: Path) -> None:
    assert any("its first line holds numbers" in note for note in load("text", folder, path="numbers.txt", length=4).notes)


@pytest.mark.parametrize(("path", "keys", "kind"), [
    ("lines.txt", (), "text"), ("notes.jsonl", (), "text"), ("notes.csv", (), "table"), ("notes.csv", ("column",), "text")])
def test_the_kind_is_told_from_the_path(folder: Path, path: str, keys: tuple[str, ...], kind: str) -> None:
    assert detect(path, folder, keys) == kind


def test_a_declared_text_is_not_read(folder: Path) -> None:
    loaded = load_spec(folder / "spec.yaml", text="name: x\ndata: {type: text, path: no.txt, shape: [30], vocabulary: 40}\nencoder: [gru: 4]\n"
                       "latent: {type: continuous, dim: 2}\nlosses: {reconstruction: categorical}\n")
    assert loaded.require().input == Tokens(30, 40)


def test_sentences_fit_their_alphabet() -> None:
    found = sentences(3000)
    assert set("".join(found)) <= set(SYMBOLS)
    assert 60 < max(map(len, found)) <= LONGEST
    assert len(set(found)) > 2500
    assert found[:10] == sentences(10)


def test_texts_are_drawn_as_letters(folder: Path) -> None:
    splits = load("text", folder, path="lines.txt", samples="lines")
    form, value = part_of("text", path="lines.txt", samples="lines").form(splits.info), splits.info.value
    sample = splits.train.x[0]
    wrong = np.where(np.arange(20) == 0, (sample + 1) % value.classes, sample)
    alone, right = draw_sample(value, sample, (0, 1), None, form), draw_sample(value, sample, (0, 1), sample, form)
    assert alone.size == cell_size(value, form)
    assert alone.tobytes() == right.tobytes() != draw_sample(value, sample, (0, 1), wrong, form).tobytes()
