"""Shipped specs by name, and run directories where a spec is wanted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import called

from aebuild.compile.canonical import text
from aebuild.compile.front import load
from aebuild.results import shipped
from aebuild.results.opening import open_spec

GOOD = "data: digits\nencoder: {layer: linear, width: 32}\nlatent: {type: continuous, dim: 8}\n"


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: called(words, monkeypatch, capsys)


def a_run(folder: Path, data: str = "data: digits\n") -> Path:
    folder.mkdir(parents=True)
    spec = GOOD.replace("data: digits\n", data)
    (folder / "spec.yaml").write_text(spec)
    (folder / "plan.json").write_text("{}")
    info = load(folder / "x.yaml", text=GOOD).info
    (folder / "data.json").write_text(json.dumps({"info": info.to_json()}))
    return folder


def test_every_shipped_spec_is_listed_with_a_line(run):
    out = run("specs")[1].splitlines()
    assert [line.split()[0] for line in out] == list(shipped.shipped())
    assert all(len(line.split(maxsplit=1)[1]) > 10 for line in out)


@pytest.mark.parametrize("name", ["vqvae", "bakeoff/beta_vae_loose"])
def test_a_copy_is_the_spec_anywhere(name, run, tmp_path):
    code, out, _ = run("specs", name)
    (tmp_path / "my.yaml").write_text(out)
    assert code == 0
    assert "$schema" not in out
    assert text(load(tmp_path / "my.yaml").spec) == text(load(shipped.shipped()[name]).spec)


def test_a_name_is_found_and_a_file_of_that_name_comes_first(run, tmp_path):
    assert "comes with aebuild" in run("validate", "vqvae")[2]
    (tmp_path / "vqvae.yaml").write_text(GOOD)
    code, out, err = run("validate", "vqvae")
    assert code == 0
    assert "vector(8)" in out
    assert "the file vqvae.yaml is taken" in err


def test_a_name_that_is_not_shipped_proposes_the_nearest(run):
    code, _, err = run("specs", "vqvea")
    assert code == 2
    assert "AE121" in err
    assert "fix: aebuild specs vqvae" in err
    assert "is called vqvae" in run("validate", "specs/vqvae.yml")[2]


def test_a_run_directory_is_its_spec_and_folders_pass_over_it(run, tmp_path):
    a_run(tmp_path / "all" / "runs" / "one")
    for verb in ("validate", "summary", "show"):
        assert run(verb, tmp_path / "all" / "runs" / "one")[0] == 0
    (tmp_path / "all" / "a.yaml").write_text(GOOD)
    code, out, err = run("validate", tmp_path / "all")
    assert (code, out.count("fine")) == (0, 1)
    assert "1 run directory in" in err


def test_what_a_run_knows_of_its_data_is_taken_where_they_are_gone(tmp_path):
    folder = a_run(tmp_path / "one", "data: {type: arrays, path: gone.npz}\n")
    loaded = open_spec(folder)
    assert loaded.plan is not None
    assert "what the run knows" in loaded.notes[-1]
    assert open_spec(folder, ["data.path=other.npz"]).errors
    exported = tmp_path / "exported"
    exported.mkdir()
    (exported / "spec.yaml").write_text("data: digits\nencoder: [linear: 4]\nlatent: {type: continuous, dim: 2}\n")
    assert open_spec(exported).require().latent.values == 2
