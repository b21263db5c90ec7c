"""Exported programs against onnxruntime and torch, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from trained_runs import opened, run_folder

from aebuild.lang.diagnostics import DataError, SpecError, UsageError
from aebuild.results.export import formats, programs
from aebuild.results.export.export import export_run

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "SECONDS", 0.01)


def test_a_folder_holds_what_its_manifest_says(tmp_path: Path) -> None:
    run = opened("table")
    found = export_run(run, tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    for name, record in manifest["files"].items():
        assert hashlib.sha256((tmp_path / "out" / name).read_bytes()).hexdigest() == record["sha256"]
    assert {*manifest["files"], "manifest.json"} == set(found.files) == {path.name for path in (tmp_path / "out").iterdir()}
    state = run.model.state_dict()
    halves = load_file(tmp_path / "out" / "encoder.safetensors") | load_file(tmp_path / "out" / "decoder.safetensors")
    for weights in (load_file(tmp_path / "out" / "model.safetensors"), halves):
        assert weights.keys() == state.keys()
        assert all(torch.equal(weights[name], state[name]) for name in state)


@pytest.mark.parametrize("kind", ["image", "series", "codebook"])
def test_onnx_is_the_model(kind: str, tmp_path: Path) -> None:
    found = export_run(opened(kind), tmp_path / "out", formats=["onnx"], half="encoder")
    assert [each.difference < 1e-3 for each in found.programs] == [True]
    assert found.programs[0].of == ("indices" if kind == "codebook" else "values")


def test_a_decoder_of_indices_and_int8(tmp_path: Path) -> None:
    found = export_run(opened("codebook"), tmp_path / "out", formats=["torch"], half="decoder")
    assert found.programs[0].difference < 1e-3
    cost = export_run(opened("image"), tmp_path / "int8", half="encoder", int8=True).loss
    assert cost["after"] == pytest.approx(cost["before"], rel=0.05)


def test_halves_joined_by_skips_stay_together(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="AE533"):
        export_run(opened("skips"), tmp_path / "out", half="encoder")
    found = export_run(opened("skips"), tmp_path / "whole")
    assert "encoder.safetensors" not in found.files
    assert found.notes


def test_a_program_that_differs_is_taken_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "torch_program", lambda recipe, place, what: place.touch() or (lambda x: recipe.part(x) + 1))
    with pytest.raises(SpecError, match="AE534"):
        export_run(opened("table"), tmp_path / "out", formats=["torch"], half="encoder")
    assert not (tmp_path / "out" / "encoder.pt2").exists()


def test_what_cannot_be_recorded_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decides(self: object, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x

    monkeypatch.setattr(programs.PARTS["encoder"], "forward", decides)
    with pytest.raises(SpecError, match="AE532"):
        export_run(opened("table"), tmp_path / "out", formats=["torch"], half="encoder")


def test_a_missing_package_is_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise ImportError(name=name)

    monkeypatch.setattr(formats.importlib, "import_module", absent)
    with pytest.raises(UsageError, match="AE531"):
        formats.packages()


def test_without_its_data_a_run_says_how_to_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = opened("table")
    spec = run.plan.spec
    lost = replace(run, plan=replace(run.plan, spec=spec.but(data=spec.data.but(path=str(tmp_path / "gone.csv")))))
    with pytest.raises(DataError, match="AE535"):
        export_run(lost, tmp_path / "out", formats=["torch"], half="encoder")
    assert not (tmp_path / "out").exists()
    drawn = export_run(lost, tmp_path / "out", formats=["torch"], half="encoder", drawn=True)
    assert drawn.programs[0].difference < 1e-3
    assert run_folder("table").exists()
