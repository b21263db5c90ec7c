"""Training from disk is training from memory; its order is a pure function; the thread that reads ahead never hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from shard_making import in_memory, make_pictures, write_parquets, write_picture_tars
from stopping import StopAt
from torch import Tensor

import aebuild.data.raw_samples
import aebuild.trainer.batches.loader as loader_module
import aebuild.trainer.batches.prefetch as prefetch_module
from aebuild.compile.canonical import text as canonical
from aebuild.compile.front import Loaded, load
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import DataError
from aebuild.lang.sample_storage import Held
from aebuild.lang.splits import Scaling, Split, Splits
from aebuild.results.evaluate import evaluate
from aebuild.results.experiment import resume, train
from aebuild.results.picture import draw_picture
from aebuild.trainer.batches.loader import ByteTable, RawBatch, SplitLoader
from aebuild.trainer.batches.prefetch import ahead
from aebuild.trainer.batches.sampler import windowed_order
from aebuild.trainer.fit import train as fit
from aebuild.trainer.job import Job
from aebuild.trainer.progress import throughput as throughput_module
from aebuild.trainer.run_dir.run import Run, data_record
from aebuild.trainer.signals import Interrupted

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
IMAGES = """
data: {type: KIND, path: PATH, stream: true}
encoder: [conv: {width: 4, norm: batch}, dropout: 0.2]
latent: {type: gaussian, dim: 2}
train: {epochs: 3, batch_size: 16, device: cpu, seed: 3}
"""
ROWS = """
data: {type: table, path: rows, stream: true, target: [b], split: {validation: 0.2}}
encoder: [linear: 8]
latent: {type: gaussian, dim: 2}
train: {epochs: 3, batch_size: 16, device: cpu, seed: 3}
"""


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aebuild.data.raw_samples, "BLOCK", 8)
    monkeypatch.setattr(loader_module, "WINDOW", 24)


def shards(kind: str, folder: Path) -> Loaded:
    """A spec over shards of one kind, made in the folder."""
    draw = np.random.default_rng(5)
    if kind == "table":
        write_parquets(folder / "rows", {name: draw.normal(size=110) for name in "abc"})
        return load(folder / "spec.yaml", text=ROWS)
    pixels = make_pictures(100, (6, 5))
    if kind == "images":
        from PIL import Image

        for row, image in enumerate(pixels):
            (folder / "pictures" / str(row % 2)).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(folder / "pictures" / str(row % 2) / f"{row}.png")
    else:
        write_picture_tars(folder / "tars", pixels)
    path = "pictures" if kind == "images" else "tars"
    return load(folder / "spec.yaml", text=IMAGES.replace("KIND", kind).replace("PATH", path))


def fitted(loaded: Loaded, splits: Splits, folder: Path) -> dict[str, Tensor]:
    """The weights after training."""
    assert loaded.spec is not None and loaded.plan is not None
    with Run.create("law", spec=canonical(loaded.spec), plan=loaded.plan.to_json(), data=data_record(splits), folder=folder) as run:
        return fit(Job(loaded.plan, splits, run)).model.state_dict()


@pytest.mark.parametrize("kind", ["webdataset", "images", "table"])
def test_weights_from_disk_are_the_weights_from_memory(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = shards(kind, tmp_path)
    streamed = load_splits(loaded.require().spec.data, Where(tmp_path))
    held = in_memory(streamed)
    orders = {len(split): SplitLoader(split, CPU) for split in (streamed.train, streamed.validation)}
    from_disk = fitted(loaded, streamed, tmp_path / "disk")
    shuffled, steady = SplitLoader.shuffled, SplitLoader.slice

    def as_on_disk(self: SplitLoader, seed: int, phase: str, epoch: int) -> Tensor:
        return shuffled(orders[self.samples], seed, phase, epoch)

    def steady_as_on_disk(self: SplitLoader, start: int, stop: int) -> Any:
        return self.take(orders[self.samples]._steady[start:stop]) if not self.streamed else steady(self, start, stop)

    monkeypatch.setattr(SplitLoader, "shuffled", as_on_disk)
    monkeypatch.setattr(SplitLoader, "slice", steady_as_on_disk)
    from_memory = fitted(loaded, held, tmp_path / "memory")
    assert from_disk.keys() == from_memory.keys()
    assert all(torch.equal(from_disk[name], from_memory[name]) for name in from_disk)


@pytest.mark.parametrize("kind", ["webdataset", "table"])
@pytest.mark.parametrize("looks", [1, 7, 11])
def test_a_resume_in_the_middle_of_a_pass_is_an_unbroken_run(kind: str, looks: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throughput_module, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(throughput_module, "LOOK_SHARE", 0)
    loaded = shards(kind, tmp_path)
    whole = train(loaded, folder=tmp_path / "whole")
    with pytest.raises(Interrupted):
        train(loaded, folder=tmp_path / "cut", display=StopAt(looks))
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]
    cut = resume(tmp_path / "cut")
    one, other = whole.result.model.state_dict(), cut.result.model.state_dict()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert whole.evaluation == cut.evaluation


def test_a_run_remembers_whether_its_data_stayed_on_disk(tmp_path: Path) -> None:
    loaded = load(tmp_path / "spec.yaml", ["data.stream=none"], text=IMAGES.replace("KIND", "webdataset").replace("PATH", "tars")) \
        if write_picture_tars(tmp_path / "tars", make_pictures(60)) else None
    assert loaded is not None
    done = train(loaded, folder=tmp_path / "run")
    assert "stream: false" in (done.run / "spec.yaml").read_text()


def test_evaluation_of_what_is_on_disk_holds_few_samples_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import aebuild.results.baselines

    shards("webdataset", tmp_path)
    text = IMAGES.replace("KIND", "webdataset").replace("PATH", "tars").replace("gaussian", "continuous")
    plan = load(tmp_path / "spec.yaml", text=text).require()
    streamed = load_splits(plan.spec.data, Where(tmp_path))
    held = in_memory(streamed)
    with Run.create("law", spec="name: x\n", plan={}, data={}, folder=tmp_path / "run") as run:
        model = fit(Job(plan, streamed, run)).model
    wanted = evaluate(plan, model, held)
    found = evaluate(plan, model, streamed)
    assert found.pca.mse == pytest.approx(wanted.pca.mse, rel=1e-5)
    assert found.mean.mse == pytest.approx(wanted.mean.mse, rel=1e-6)
    assert found.model.mse == pytest.approx(wanted.model.mse, rel=1e-6)
    most = 0
    taken = type(streamed.train.inputs).take

    def counted(self: Any, index: Any) -> Any:
        nonlocal most
        most = max(most, len(index))
        return taken(self, index)

    monkeypatch.setattr(type(streamed.train.inputs), "take", counted)
    monkeypatch.setattr(aebuild.results.baselines, "MOST_VALUES", 4 * 30)
    evaluate(plan, model, streamed)
    draw_picture(plan, model, streamed, tmp_path / "picture.png")
    assert most <= 16


# ------------------------------------------------------------------------------------------------------------ the order


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 60), st.integers(0, 5))
def test_every_sample_comes_once_a_pass_and_a_stretch_touches_few_blocks(sizes: list[int], window: int, epoch: int) -> None:
    borders = np.concatenate([[0], np.cumsum(sizes)])
    order = windowed_order(borders, 7, "main", epoch, window).numpy()
    assert sorted(order.tolist()) == list(range(sum(sizes)))
    assert (order == windowed_order(borders, 7, "main", epoch, window).numpy()).all()
    blocks = np.searchsorted(borders, order, side="right") - 1
    first, last = {}, {}
    for place, block in enumerate(blocks.tolist()):
        first.setdefault(block, place)
        last[block] = place
    assert all(last[block] - first[block] < window + max(sizes) for block in first)


def test_orders_of_passes_phases_and_seeds_differ() -> None:
    borders = np.arange(0, 201, 20)
    orders = [windowed_order(borders, *key, 60) for key in ((1, "a", 0), (1, "a", 1), (1, "b", 0), (2, "a", 0))]
    assert not any(torch.equal(one, other) for number, one in enumerate(orders) for other in orders[:number])


# ----------------------------------------------------------------------------------------------------- bytes as numbers


@pytest.mark.parametrize("scaling", [Scaling("unit", (0.0,), (1 / 255,)), Scaling("signed", (127.5,), (1 / 127.5,)), Scaling("integer"),
                                     Scaling("unit", (0.0,), (1 / 16,)), Scaling("standard", (33.3,), (0.0171,)),
                                     Scaling("unit", (20.0,), (1 / 97,), low=0.0, high=1.0), Scaling("unit", (3.0,), (1.0,))])
def test_bytes_become_the_same_numbers_bit_by_bit(scaling: Scaling) -> None:
    raw = np.random.default_rng(0).integers(0, 256, (40, 3, 5), dtype=np.uint8)
    levels = scaling.levels
    assert levels is not None
    plain = Scaling(scaling.kind, scaling.offset, scaling.factor, low=scaling.low, high=scaling.high).apply(raw.astype(np.int64))
    feeds = [SplitLoader(Split(Held(raw, levels), None, Held(raw, levels)), CPU), SplitLoader(Split(plain), CPU)]
    index = torch.arange(39, -1, -3)
    for batches in ([loader.take(index) for loader in feeds], [loader.slice(3, 9) for loader in feeds]):
        assert torch.equal(batches[0].x, batches[1].x)
        assert torch.equal(batches[0].target, batches[1].x)
        assert batches[0].x.dtype == torch.float32
    assert (Split(Held(raw, levels)).x == plain).all()
    assert feeds[0].x.values is not None and feeds[0].x.values.dtype == torch.uint8


def test_common_scalings_are_computed_and_odd_ones_looked_up() -> None:
    known = [ByteTable(levels, CPU).line for levels in (Scaling("unit", (0.0,), (1 / 255,)).levels, Scaling("signed", (127.5,), (1 / 127.5,)).levels,
                                                     Scaling("none").levels) if levels is not None]
    assert known == [(0.0, 255.0), (127.5, 127.5), (0.0, 1.0)]
    clipped = Scaling("unit", (20.0,), (1 / 97,), low=0.0, high=1.0).levels
    assert clipped is not None and ByteTable(clipped, CPU).line is None


# ------------------------------------------------------------------------------------------------------- reading ahead


def kept(index: Tensor) -> RawBatch:
    """A batch that is its index."""
    return RawBatch(index.clone(), None, {})


def test_batches_come_in_their_order_and_the_thread_ends() -> None:
    indices = [torch.arange(start, start + 3) for start in range(0, 60, 3)]
    with ahead(kept, indices) as ready:
        assert all(torch.equal(found.x, index) for found, index in zip(ready, indices, strict=True))
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_an_error_comes_where_its_batch_would_have_come() -> None:
    from aebuild.data.errors import fault
    from aebuild.data.rules import DAMAGED

    def read(index: Tensor) -> RawBatch:
        if int(index[0]) == 6:
            raise fault(DAMAGED, "shard-7.tar is damaged")
        return kept(index)

    with ahead(read, [torch.arange(at, at + 3) for at in range(0, 30, 3)]) as ready:
        assert [int(next(ready).x[0]) for _ in range(2)] == [0, 3]
        with pytest.raises(DataError, match=r"shard-7\.tar"):
            next(ready)


def test_what_waits_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch_module, "MOST_BYTES", 5 * 24)
    made = 0

    def read(index: Tensor) -> RawBatch:
        nonlocal made
        made += 1
        return kept(index)

    with ahead(read, (torch.arange(3) for _ in range(100))) as ready:
        next(ready)
        time.sleep(0.2)
        assert made <= 1 + 5 + 1
    assert not [thread for thread in threading.enumerate() if thread.name == "prefetch"]


def test_closing_does_not_wait_for_a_read_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefetch_module, "PATIENCE", 0.1)
    release = threading.Event()

    def read(index: Tensor) -> RawBatch:
        if int(index[0]):
            release.wait(20)
        return kept(index)

    began = time.monotonic()
    with ahead(read, (torch.tensor([at]) for at in range(5))) as ready:
        next(ready)
    assert time.monotonic() - began < 5
    release.set()


def test_samples_in_memory_need_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: Any) -> Iterator[Any]:
        raise AssertionError("a thread for samples in memory")

    monkeypatch.setattr(loader_module, "ahead", refused)
    loader = SplitLoader(Split(np.zeros((9, 2), np.float32)), CPU)
    assert [len(batch.x) for batch in loader.batches([torch.arange(4), torch.arange(5)])] == [4, 5]
    assert [len(batch.x) for batch in loader.passing([(0, 4), (4, 9)])] == [4, 5]


def test_a_damaged_sample_stops_training_with_its_name(tmp_path: Path) -> None:
    write_picture_tars(tmp_path / "tars", make_pictures(60), shards=1)
    loaded = load(tmp_path / "spec.yaml", text=IMAGES.replace("KIND", "webdataset").replace("PATH", "tars"))
    loaded.require()
    path = tmp_path / "tars" / "shard-0000.tar"
    data = bytearray(path.read_bytes())
    at = data.index(b"00040.png") + 512
    data[at:at + 8] = b"no image"
    path.write_bytes(data)
    with pytest.raises(DataError, match=r"shard-0000\.tar, member 00040\.png"):
        train(loaded, folder=tmp_path / "run")
    assert (tmp_path / "run" / "checkpoints").is_dir()
