"""Arrays in .safetensors, HDF5 and folders of .npy files."""

from __future__ import annotations

import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from data_making import load, refusal
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from aebuild.data.detect import detect


def test_the_same_arrays_in_every_kind_of_file(tmp_path: Path) -> None:
    """Samples, labels and lengths from .npz, .safetensors, HDF5 and a folder of .npy are the same, told from the path alone."""
    draw = np.random.default_rng(0)
    held = {"x_train": draw.normal(size=(30, 4, 2)).astype(np.float32), "y_train": np.arange(30) % 3, "x_test": draw.normal(size=(9, 4, 2)).astype(np.float32),
            "y_test": np.arange(9) % 3, "n_train": np.full(30, 3), "n_test": np.full(9, 4)}
    np.savez(tmp_path / "a.npz", **held)
    save_file(held, tmp_path / "a.safetensors")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for name, array in held.items():
            file[name] = array
    (tmp_path / "folder").mkdir()
    for name, array in held.items():
        np.save(tmp_path / "folder" / f"{name}.npy", array)
    wanted = load("arrays", tmp_path, path="a.npz", lengths="n")
    for path in ("a.safetensors", "a.h5", "folder"):
        assert detect(path, tmp_path) == "arrays"
        found = load("arrays", tmp_path, path=path, lengths="n")
        for one, other in zip((found.train, found.test), (wanted.train, wanted.test), strict=True):
            np.testing.assert_array_equal(one.x, other.x)
            np.testing.assert_array_equal(one.labels, other.labels)
            np.testing.assert_array_equal(one.lengths, other.lengths)


def test_datasets_in_groups_and_words_as_labels(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["run/x"] = np.arange(60.0).reshape(30, 2)
        file["run/kind"] = ["a", "b", "c"] * 10
        file["elsewhere"] = h5py.ExternalLink("/etc/passwd", "/x")
    splits = load("arrays", tmp_path, path="a.h5", array="run/x", label="run/kind")
    assert splits.class_names == ("a", "b", "c")
    assert splits.info.value.shape == (2,)


def test_damaged_files_of_arrays(tmp_path: Path) -> None:
    for name in ("a.safetensors", "a.h5"):
        (tmp_path / name).write_bytes(b"\x89HDF nonsense" * 20)
        assert refusal("arrays", tmp_path, path=name).code == "AE403"
    (tmp_path / "none").mkdir()
    assert refusal("arrays", tmp_path, path="none").code == "AE407"
    save_tensors({"x": torch.zeros(20, 4, dtype=torch.bfloat16)}, tmp_path / "half.safetensors")
    found = refusal("arrays", tmp_path, path="half.safetensors")
    assert (found.code, found.fix) == ("AE403", "save it as float32")


def test_hdf5_wants_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.h5").write_bytes(b"anything")
    monkeypatch.setitem(sys.modules, "h5py", None)
    found = refusal("arrays", tmp_path, path="a.h5")
    assert (found.code, found.fix) == ("AE415", 'pip install "aebuild[hdf5]"')
