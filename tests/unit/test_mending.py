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


COMMENTED = """# mine
data: {type: digits, split: {validation: 0}}     # eight by eight
encoder:
  - linear: {width: 32, norm: batch}   # as always
latent: {type: gaussian, dim: 8}
# how long
train:
  epochs: 4
  patience: 3                          # nothing validates
  # how many at once
  batch_size: 32
allow:
  AE205: no codes here                 # long gone
"""


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_what_changes_nothing_goes_and_the_rest_is_only_offered(ends):
    spec = COMMENTED.replace("\n", ends)
    told = mend(spec, "s.yaml", lambda text: load("s.yaml", text=text))
    assert [each.code for each in told.fixed] == ["AE229", "AE211"]
    assert [each.code for each in told.offered] == ["AE203"]
    assert told.text == spec.replace(f"  patience: 3                          # nothing validates{ends}", "") \
        .replace(f"allow:{ends}  AE205: no codes here                 # long gone", f"allow:{ends}  {{}}                 # long gone")
    more = mend(spec, "s.yaml", lambda text: load("s.yaml", text=text), unsafe=True)
    assert more.text == told.text.replace("norm: batch", "norm: layer")
    assert load("s.yaml", text=more.text).diagnostics == []


@pytest.mark.parametrize(("spec", "line"), [
    ("encoder: {layer: linear, width: 32}\nlosses: {reconstruction: gaussian}\n", "losses: {reconstruction: {type: gaussian, variance: learned}}"),
    ("encoder: [conv: {width: 8, kernel: 2, stride: 3}]\n", "encoder: [conv: {width: 8, kernel: 3, stride: 3}]"),
    ("encoder: {layer: linear, width: 32}\nlosses: {reconstruction: poisson}\n", None)])
def test_a_fix_may_be_a_value_or_a_key_and_each_is_tried(spec, line):
    spec = f"data: digits\n{spec}latent: {{type: gaussian, dim: 8}}      # small\n"
    before = load("s.yaml", text=spec).diagnostics
    told = mend(spec, "s.yaml", lambda text: load("s.yaml", text=text), unsafe=True)
    after = load("s.yaml", text=told.text).diagnostics
    assert before
    assert len(after) < len(before)
    assert "# small" in told.text
    assert line is None or line in told.text.split("\n")


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
