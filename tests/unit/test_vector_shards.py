"""Vectors in a folder of array files: the same on disk and in memory, whatever the type; damaged files are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from data_making import probe_refusal
from safetensors.torch import save_file

from aebuild.data.assemble import load_splits
from aebuild.data.detect import detect
from aebuild.data.formats.vector_shards import VectorShards, shards_of
from aebuild.lang.dataset import Dataset, Where
from aebuild.parts import discover

discover()
RANDOM = np.random.default_rng(3)


def folder_of(place: Path) -> tuple[Path, np.ndarray]:
    """Three files of as many types, and all their vectors."""
    folder = place / "acts"
    folder.mkdir()
    one, two = RANDOM.normal(size=(2, 5, 4)).astype(np.float32), RANDOM.normal(size=(7, 4)).astype(np.float16)
    three = torch.from_numpy(RANDOM.normal(size=(3, 3, 4))).to(torch.bfloat16)
    np.save(folder / "a.npy", one)
    np.save(folder / "b.npy", np.asfortranarray(two))
    save_file({"acts": three.contiguous()}, folder / "c.safetensors")
    return folder, np.concatenate([one.reshape(-1, 4), two.astype(np.float32), three.float().numpy().reshape(-1, 4)])


def part_of(folder: Path, **options: Any) -> Dataset:
    return Dataset.named("vector_shards", path=str(folder), **options)


def test_every_vector_of_the_last_axis_is_read(tmp_path: Path) -> None:
    folder, every = folder_of(tmp_path)
    assert detect(str(folder), tmp_path) == "vector_shards"
    reader = VectorShards(shards_of(folder, None))
    order = RANDOM.permutation(len(every))
    assert np.array_equal(reader.take(order), every[order])
    assert reader.name(11).endswith("b.npy, vector 1")
    info = part_of(folder).probe(Where(tmp_path))
    assert info.value.shape == (4,) and sum(info.counts.values()) == 26 and info.scale == "none"


def test_streams_stand_beside_each_other(tmp_path: Path) -> None:
    folder = tmp_path / "layers"
    folder.mkdir()
    held = RANDOM.normal(size=(5, 3, 4)).astype(np.float32)
    np.save(folder / "a.npy", held)
    info = part_of(folder, axes=2).probe(Where(tmp_path))
    assert info.value.shape == (12,) and sum(info.counts.values()) == 5
    assert np.array_equal(VectorShards(shards_of(folder, None, 2)).take(np.arange(5)), held.reshape(5, 12))
    assert "the last 3 of 4 axes" in probe_refusal("vector_shards", tmp_path, path=str(folder), axes=3).message


def test_streamed_is_the_same_as_in_memory(tmp_path: Path) -> None:
    folder, every = folder_of(tmp_path)
    held, streamed = (load_splits(part_of(folder, stream=stream), Where(tmp_path)) for stream in (False, True))
    assert streamed.streamed and not held.streamed
    for name in ("train", "validation", "test"):
        one, other = (np.asarray(getattr(splits, name).x) for splits in (streamed, held))
        assert np.array_equal(one[np.lexsort(one.T)], other[np.lexsort(other.T)])
    assert sum(len(getattr(held, name)) for name in ("train", "validation", "test")) == len(every)


def test_what_does_not_fit_is_said(tmp_path: Path) -> None:
    folder, _ = folder_of(tmp_path)
    np.save(folder / "d.npy", np.zeros((3, 5)))
    assert "vectors of 5 values" in probe_refusal("vector_shards", tmp_path, path=str(folder)).message
    (folder / "d.npy").unlink()
    save_file({"acts": torch.zeros(2, 4), "logits": torch.zeros(2, 9)}, folder / "d.safetensors")
    assert probe_refusal("vector_shards", tmp_path, path=str(folder)).fix == "array: acts"
    assert part_of(folder, array="acts").probe(Where(tmp_path)).value.shape == (4,)
    whole = (folder / "c.safetensors").read_bytes()
    for broken in (whole[:-1], whole[:20], b"", b"\xff" * 40, whole[:8] + b"[" * (len(whole) - 8)):
        (folder / "c.safetensors").write_bytes(broken)
        assert "c.safetensors" in probe_refusal("vector_shards", tmp_path, path=str(folder), array="acts").message
