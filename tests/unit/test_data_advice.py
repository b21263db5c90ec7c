"""What is proposed about data can be pasted, and removes its error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from aebuild.compile.front import Loaded, load

REST = "latent: {type: continuous, dim: 2}\ntrain: {batch_size: 4}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    np.save(tmp_path / "one.npy", draw.normal(size=50))
    np.save(tmp_path / "wide.npy", draw.normal(size=(60, 12)))
    np.save(tmp_path / "tokens.npy", draw.integers(0, 20, (60, 12)))
    (tmp_path / "one.csv").write_text("a\n" + "".join(f"{cell:.4f}\n" for cell in draw.normal(size=50)))
    return tmp_path


def planned(folder: Path, data: str, encoder: str, more: str = "") -> Loaded:
    return load(folder / "spec.yaml", text=f"name: x\n{data}\nencoder: {encoder}\n{REST}{more}")


@pytest.mark.parametrize(("data", "encoder", "code"), [
    ("one.npy", "{layer: linear, width: 4}", "AE413"), ("{path: one.npy, scale: unit}", "{layer: linear, width: 4}", "AE413"),
    ("wide.npy", "{layer: lstm, width: 4}", "AE360"), ("{path: wide.npy, scale: unit}", "[gru: 4]", "AE360"),
    ("wide.npy", "{layer: conv, width: 4}", "AE302")])
def test_the_data_that_are_proposed_remove_the_error(folder: Path, data: str, encoder: str, code: str) -> None:
    found = planned(folder, f"data: {data}", encoder).diagnostics
    assert [finding.code for finding in found] == [code]
    assert found[0].fix is not None
    fix = found[0].fix if found[0].fix.startswith("data: ") else f"data: {data[:-1]}, {found[0].fix}}}"
    assert [str(finding) for finding in planned(folder, fix, encoder).diagnostics] == []


@pytest.mark.parametrize("path", ["one.npy", "one.csv"])
def test_the_window_that_is_proposed_fits(folder: Path, path: str) -> None:
    found = planned(folder, f"data: {{type: series, path: {path}}}", "[conv: 4]").diagnostics
    assert [finding.code for finding in found] == ["AE416"]
    assert [str(finding) for finding in planned(folder, f"data: {{type: series, path: {path}, {found[0].fix}}}", "[conv: 4]").diagnostics] == []


def test_a_vector_in_the_middle_is_not_blamed_on_the_data(folder: Path) -> None:
    found = planned(folder, "data: wide.npy", "[linear: 6, lstm: 4]").diagnostics
    assert [(finding.code, finding.fix) for finding in found] == [("AE360", "seed: [8]")]


def test_whole_numbers_of_no_known_range_are_not_told_to_be_whole_numbers(folder: Path) -> None:
    found = planned(folder, "data: {path: tokens.npy, scale: integer}", "[linear: 6]", "losses: {reconstruction: categorical}\n").diagnostics
    assert [finding.code for finding in found] == ["AE346"]
    assert "unbounded whole numbers" in found[0].message
    assert found[0].fix is not None
    assert "scale" not in found[0].fix
    np.save(folder / "tokens.npy", np.load(folder / "tokens.npy").astype("uint8"))
    assert planned(folder, "data: {path: tokens.npy, scale: integer}", "[linear: 6]", "losses: {reconstruction: categorical}\n").diagnostics == []


def test_a_series_cannot_be_declared_a_vector(folder: Path) -> None:
    found = planned(folder, "data: {type: series, path: one.npy, window: {length: 5}, shape: [5]}", "[linear: 6]").diagnostics
    assert [(finding.code, finding.fix) for finding in found] == [("AE412", "shape: [5, 1]")]
