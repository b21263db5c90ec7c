"""Words of earlier versions: still read, told, and written anew with everything else as it was."""

from __future__ import annotations

import numpy as np
import pytest
from command_line import called
from run_copies import a_run

import aebuild
from aebuild.compile import canonical
from aebuild.compile.former_words import FORMER_WORDS
from aebuild.compile.front import load
from aebuild.lang.families import Latent
from aebuild.lang.prior import Prior
from aebuild.parts import discover

OLD = "# a toy\nencoder: {layer: linear, width: 8}      # äöü\n%slosses: {reconstruction: bernoulli}\n"
FORMS = {"short": ('latent: {type: adversarial, dim: 2, prior: mixture}   # ten petals\n', 'latent: {type: adversarial, dim: 2, prior: petals}   # ten petals\n'),
         "long": ('latent:\n  type: adversarial\n  dim: 2\n  prior:\n    components: 5    # five\n    type: "mixture"\n',
                  "latent:\n  type: adversarial\n  dim: 2\n  prior:\n    components: 5    # five\n    type: petals\n")}


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: called(words, monkeypatch, capsys)


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("form", FORMS)
def test_a_file_is_read_told_and_migrated(form, ends, shell, tmp_path):
    old, new = ((OLD % text).replace("\n", ends).encode() for text in FORMS[form])
    file = tmp_path / "old.yaml"
    file.write_bytes(old)
    loaded = load("old.yaml")
    assert [each.code for each in loaded.diagnostics] == ["AE526"]
    assert loaded.plan is not None
    code, out, _ = shell("migrate", "old.yaml", "--dry-run")
    assert (code, file.read_bytes()) == (0, old), out
    code, out, err = shell("migrate", "old.yaml")
    assert (code, out) == (0, "old.yaml: 1 word written anew\n")
    assert "mixture is called petals now" in err
    assert file.read_bytes() == new
    assert load("old.yaml").diagnostics == []
    assert canonical.text(load("old.yaml").spec) == canonical.text(loaded.spec)
    assert shell("migrate", "old.yaml")[1] == "old.yaml: as it is\n"


def test_a_run_with_old_words_opens_and_is_migrated(shell, tmp_path):
    run = a_run(tmp_path / "run", "latent={type: adversarial, dim: 2, prior: {type: petals, components: 5}}")
    codes = aebuild.open_run(run).encode(np.full((2, 8, 8), 5.0)).values
    new = (run / "spec.yaml").read_text()
    assert "petals" in new
    (run / "spec.yaml").write_text(new.replace("petals", "mixture"))
    assert np.array_equal(aebuild.open_run(run).encode(np.full((2, 8, 8), 5.0)).values, codes)
    assert shell("migrate", "run")[0] == 0
    assert (run / "spec.yaml").read_text() == new


def test_what_else_is_wrong_is_told_and_left(shell, tmp_path):
    (tmp_path / "bad.yaml").write_text("encoder: {layer: linear, widht: 8}\nlatent: {type: continuous, dim: 2}\n")
    code, _, err = shell("migrate", "bad.yaml")
    assert (code, "AE101" in err) == (3, True)


def test_former_words_name_parts_that_there_are():
    discover()
    for word in FORMER_WORDS:
        assert word.new in Prior.variants and word.within in Latent.variants
