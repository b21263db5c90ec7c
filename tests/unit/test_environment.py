"""`aebuild environment`: what a bug report says of a machine."""

from __future__ import annotations

import importlib
import json
from importlib import metadata

import pytest
import torch
from command_line import called

from aebuild.results import environment


@pytest.fixture
def run(monkeypatch, capsys):
    return lambda *words: called(("environment", *words), monkeypatch, capsys)


def test_the_versions_are_those_that_are_installed(run):
    code, out, _ = run("--json")
    told = json.loads(out)
    assert code == 0
    assert told["packages"] == {name: metadata.version(name) for name in environment.PACKAGES}
    assert told["threads"] == torch.get_num_threads()
    assert told["memory"]["for_data"] <= told["memory"]["whole"]


def test_people_get_the_same_in_words(run):
    code, out, _ = run()
    assert code == 0
    assert f"torch {metadata.version('torch')}" in out
    assert "extra parquet: works (pyarrow " in out


def test_extras_are_those_of_the_package_without_the_developers(monkeypatch):
    declared = ["torch<3,>=2.9", 'pyarrow>=17; extra == "parquet"', 'aebuild[parquet]; extra == "dev"', 'ruff>=0.9; extra == "dev"',
                "a[b]>=1 ; python_version > '3' and extra == 'sound'", 'c; extra == "sound"']
    monkeypatch.setattr(metadata, "requires", lambda name: declared)
    assert environment.extras() == {"parquet": {"pyarrow": ">=17"}, "sound": {"a": ">=1", "c": ""}}


def test_what_is_absent_comes_with_its_command():
    told = environment.extra_report({"surely-not-installed": ">=2", "numpy": ""})
    assert told == {"works": False, "packages": {"surely-not-installed": None, "numpy": metadata.version("numpy")},
                    "install": "pip install 'surely-not-installed>=2'"}


def test_what_is_there_and_does_not_load_says_why(monkeypatch, run):
    real = importlib.import_module

    def broken(name, *rest):
        if name == "pyarrow":
            raise OSError("libarrow.so: no such file\nand more")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", broken)
    assert environment.extra_report({"pyarrow": ">=17"})["broken"] == {"pyarrow": "OSError: libarrow.so: no such file"}
    assert "pyarrow is broken: OSError" in run()[1]
