"""Fixes in a user's file: words alone are replaced, and what was claimed is gone."""

from __future__ import annotations

from pathlib import Path

import pytest
from command_line import called

from aebuild.compile.front import load
from aebuild.results.mending import mend

BAD = ("# mine\r\ndata:   digits   # eight by eight\r\nencodr: {layer: linear, widht: 64}   # typed in a hurry\r\n"
       "latent: {type: gausian, dim: 8}\r\nlosses: {reconstruction: bernouli}")
GOOD = BAD.replace("encodr", "encoder").replace("widht", "width").replace("gausian", "gaussian") \
    .replace("bernouli", "bernoulli")


def test_words_are_replaced_and_nothing_else(tmp_path: Path, monkeypatch, capsys):
    spec = tmp_path / "s.yaml"
    spec.write_bytes(BAD.encode())
    spec.chmod(0o640)
    code, out, _ = called(("validate", spec, "--diff"), monkeypatch, capsys)
    assert spec.read_bytes() == BAD.encode()
    assert code == 3
    assert "+encoder: {layer: linear, width: 64}   # typed in a hurry" in out
    code, again, told = called(("validate", spec, "--fix"), monkeypatch, capsys)
    assert code == 0, told
    assert again.startswith(out)
    assert spec.read_bytes() == GOOD.encode()
    assert spec.stat().st_mode & 0o777 == 0o640
    assert "---" not in called(("validate", spec, "--fix"), monkeypatch, capsys)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["s.yaml"]


def test_what_changes_a_model_is_only_offered():
    spec = "data: digits\nencoder: [linear: {width: 32, norm: batch}]\nlatent: {type: gaussian, dim: 8}\n"
    told = mend(spec, "s.yaml", lambda text: load("s.yaml", text=text))
    assert told.text == spec
    assert told.fixed == ()


@pytest.mark.parametrize("words", [("vqvae",), ("/dev/null",), ("no-such.yaml",)])
def test_what_is_no_file_of_the_users_is_refused(words, monkeypatch, capsys):
    code, _, told = called(("validate", *words, "--fix"), monkeypatch, capsys)
    assert (code, "AE845" in told) == (2, True)


def test_all_that_is_claimed_is_gone():
    for text in (BAD, "dat: digits\nencoder: [linaer: 8]\nlatent: {type: continuous, dim: 4, activatoin: tanh}\n",
                 "data: digits\nencoder: {layer: conv, width: 8, activation: rleu}\nlatent: continous\n"):
        mended = mend(text, "s.yaml", lambda new: load("s.yaml", text=new))
        left = {(each.code, each.message) for each in load("s.yaml", text=mended.text).diagnostics}
        assert mended.fixed
        assert not left & {(each.code, each.message) for each in mended.fixed}
        assert mend(mended.text, "s.yaml", lambda new: load("s.yaml", text=new)).fixed == ()


def test_a_file_of_many_mistakes_ends_in_a_bounded_report(tmp_path, monkeypatch, capsys):
    spec = tmp_path / "s.yaml"
    spec.write_text("data: digits\nencoder: []\nlatent: {type: continuous, dim: 8}\nheads:\n" + "".join(
        f"  h{n}: {{netwrk: []}}\n" for n in range(300)))
    code, _, told = called(("validate", spec), monkeypatch, capsys)
    assert code == 3
    assert told.count("\n") < 150
    assert "and 280 more problems" in told
