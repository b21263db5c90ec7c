"""Exported programs against onnxruntime and torch, and what is refused."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from trained_runs import FOLDER, opened, run_folder

import aebuild
from aebuild.compile.front import load
from aebuild.lang.diagnostics import DataError, SpecError, UsageError
from aebuild.results.export import formats, programs
from aebuild.results.export.export import export_run
from aebuild.results.export.recurrence import LAYERS, whole_layers
from aebuild.results.export.series_length import series_lengths
from aebuild.results.open_run import OpenRun

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


def test_both_halves_of_indices_and_int8(tmp_path: Path) -> None:
    found = export_run(opened("codebook"), tmp_path / "out", formats=["torch"])
    assert [each.of for each in found.programs] == ["values", "indices", "values"]
    assert [each.difference < 1e-3 for each in found.programs] == [True] * 3
    cost = export_run(opened("image"), tmp_path / "int8", half="encoder", int8=True).loss
    assert cost["after"] == pytest.approx(cost["before"], rel=0.05)


@cache
def unequal() -> OpenRun:
    """A run on series of unequal length, which it reads both ways."""
    random = np.random.default_rng(0)
    np.savez(FOLDER / "unequal.npz", x=random.normal(3, 2, (60, 8, 2)), n=random.integers(1, 9, 60))
    spec = {"name": "unequal", "data": {"path": str(FOLDER / "unequal.npz"), "array": "x", "lengths": "n"},
            "encoder": [{"gru": {"width": 4, "bidirectional": True}}], "latent": {"type": "continuous", "dim": 2},
            "losses": {"reconstruction": "mse"}, "train": {"epochs": 1}}
    return aebuild.open_run(aebuild.train(spec, folder=FOLDER / "unequal").run)


def test_of_unequal_series_a_program_reads_the_real_places(tmp_path: Path) -> None:
    """The same codes whatever stands behind the end, however much of it, and none at all."""
    found = export_run(unequal(), tmp_path / "out", formats=["torch"], half="encoder")
    assert str(found.lengths["encoder"]) == "takes series of any length"
    encoder = torch.export.load(tmp_path / "out" / "encoder.pt2").module()
    with np.load(FOLDER / "unequal.npz") as held:
        x, lengths = torch.from_numpy(held["x"][:9]).float(), torch.from_numpy(held["n"][:9])
    wanted = torch.from_numpy(unequal().encode(FOLDER / "unequal.npz").values[:9])
    for padding in (0.0, 1e6, torch.nan):
        behind = torch.arange(8)[None, :, None] >= lengths[:, None, None]
        filled = torch.cat([torch.where(behind, padding, x), torch.full((9, 3, 2), padding)], 1)
        torch.testing.assert_close(encoder(filled, lengths), wanted)
    for row, count in enumerate(lengths.tolist()):
        torch.testing.assert_close(encoder(x[row:row + 1, :count], lengths[row:row + 1]), wanted[row:row + 1])


def test_of_unequal_series_a_program_in_onnx(tmp_path: Path) -> None:
    found = export_run(unequal(), tmp_path / "out", formats=["onnx"], half="encoder", drawn=True)
    inputs = formats.packages()[0].load(str(tmp_path / "out" / "encoder.onnx")).graph.input
    assert [(each.name, [dim.dim_param or dim.dim_value for dim in each.type.tensor_type.shape.dim]) for each in inputs] == [
        ("input", ["batch", "time", 2]), ("lengths", ["batch"])]
    assert found.programs[0].difference < 1e-3


@pytest.mark.parametrize(("spec", "part", "told"), [
    ("encoder: [gru: 4]", "encoder", "any length"), ("encoder: [gru: 4]", "model", "9 places only: decoder.0_repeat (repeat)"),
    ("encoder: [conv: {width: 2, kernel: 4, padding: 0}, gru: 3]", "encoder", "any length from 5 places on"),
    ("encoder: [conv: {width: 2, stride: 2}]\nlatent.per: position", "model", "series of 3, 5, 7, … places"),
    ("encoder: [conv: {width: 2, stride: 2}]\nlatent.per: position", "decoder", "any length"),
    ("encoder: [pool: 2]\nlatent.per: position", "decoder", "4 places only: decoder.0 (upsample)"),
    ("encoder: [conv: {width: 2, stride: 9}]\nlatent.per: position", "model", "encoder.0.conv (conv) leaves one place"),
    ("encoder: [gru: 4]\nlatent.per: position", "decoder", "any length"), ("encoder: [linear: 4]", "encoder", "encoder.0_flatten (flatten)"),
    ("encoder: {layer: transformer, width: 4}", "encoder", "encoder.0.positions (positions)"),
    ("encoder: {layer: transformer, width: 4, positions: sinusoidal}", "encoder", "encoder.0.positions (positions)"),
    ("encoder: [gru: 4]\nlatent: {type: codebook, dim: 2, codes: 4}", "decoder", "a code has 9 indices")])
def test_what_fixes_the_length_is_named(spec: str, part: str, told: str) -> None:
    latent = "latent: {type: continuous, dim: 2, per: position}" if "latent.per" in spec else "latent: {type: continuous, dim: 2}"
    lines = spec.replace("\nlatent.per: position", "") + ("" if "latent: " in spec else f"\n{latent}")
    loaded = load("x.yaml", text=f"name: x\ndata: {{type: arrays, path: x.npy, shape: [9, 2]}}\n{lines}\n")
    assert loaded.info is not None
    assert told in str(series_lengths(loaded.require(), loaded.info)[part])


def test_a_vector_has_no_length() -> None:
    run = opened("table")
    assert series_lengths(run.plan, run.info) == {}


def test_recurrent_layers_are_recorded_and_left_as_they_were() -> None:
    x, layer = torch.randn(2, 3, 4), torch.nn.LSTM(4, 5, batch_first=True)
    kernels = {each: dict(each.py_kernels) for each in LAYERS}
    before = layer(x)[0]
    with whole_layers():
        pass
    assert {each: dict(each.py_kernels) for each in LAYERS} == kernels
    assert torch.equal(layer(x)[0], before)


def test_how_far_names_are_is_a_share() -> None:
    indices = torch.tensor([[1, 200], [3, 4]])
    told = programs.Written("encoder.int8.onnx", 1, programs._far(torch.tensor([[1, 2], [3, 4]]), indices, "encoder").size, "indices", 1.0, 1.0)
    assert "25 % of the indices differ" in str(told)
    assert not programs._far(torch.tensor([[1, 2], [3, 4]]), indices, "encoder").small
    assert programs._far(torch.tensor([1.0, 200.0]), torch.tensor([1.0, 200.1]), "model").small


def test_where_skips_join_the_halves_the_encoder_alone_can_be_had(tmp_path: Path) -> None:
    for asked in ({"half": "decoder"}, {"int8": True}):
        with pytest.raises(SpecError, match="AE533"):
            export_run(opened("skips"), tmp_path / "out", **asked)      # type: ignore[arg-type]
    found = export_run(opened("skips"), tmp_path / "whole")
    assert {"model.safetensors", "encoder.safetensors"} < set(found.files)
    assert "decoder.safetensors" not in found.files
    assert found.notes
    (encoder,) = export_run(opened("skips"), tmp_path / "half", half="encoder", formats=["torch"]).programs
    assert (encoder.file, encoder.difference < 1e-5) == ("encoder.pt2", True)


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
