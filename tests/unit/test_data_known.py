from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from data_making import REAL, load, needs_real_data, part_of, probe_refusal, refusal

from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Dataset, Exclude, Holdout, OnDisk, Where, Window
from aebuild.lang.values import Grid, Range, Sequence, Vector

HERE = Path()
ROOT = Path(REAL or ".")


@pytest.mark.parametrize(("variant", "value", "counts", "classes"), [
    ("digits", Grid(1, (8, 8)), (1437, 180, 180), 10), ("wine", Vector(13), (142, 18, 18), 3),
    ("breast_cancer", Vector(30), (455, 57, 57), 2),
    ("photos", Grid(3, (32, 32)), (1600, 200, 200), None)])
def test_bundled_sets(variant: str, value: object, counts: tuple[int, ...], classes: int | None) -> None:
    splits = load(variant, HERE)
    assert splits.info.value == value
    assert tuple(splits.info.counts.values()) == counts
    assert splits.info.classes == classes
    assert splits.train.x.shape == (counts[0], *splits.info.value.shape)
    assert splits.train.x.dtype == np.float32


def test_bundled_tables_are_scikit_learns() -> None:
    from sklearn import datasets

    for variant, loaded in (("digits", datasets.load_digits()), ("wine", datasets.load_wine()),
                            ("breast_cancer", datasets.load_breast_cancer())):
        splits = load(variant, HERE, scale="none")
        order = np.random.RandomState(42).permutation(len(loaded.data))[:len(splits.train)]
        assert np.allclose(splits.train.x.reshape(len(order), -1), loaded.data[order])
        assert splits.train.labels is not None
        assert (splits.train.labels == loaded.target[order]).all()
        assert splits.info.columns in (None, tuple(map(str, loaded.feature_names)))
        assert list(splits.class_names) == [str(name) for name in loaded.target_names]


def test_digits_fill_their_range() -> None:
    splits = load("digits", HERE)
    assert (splits.train.x.min(), splits.train.x.max(), splits.scaling.factor) == (0, 1, (1 / 16,))
    assert load("digits", HERE, scale="integer", size=12).info.range == Range(0, 16, True)


def test_patches_of_two_parts_share_no_pixel() -> None:
    part = part_of("photos", patch=16, count=300, split={"validation": 0.2, "test": 0.2})
    columns = [{left + step for _, _, left in places.tolist() for step in range(16)} for places in part._places().values()]
    assert not columns[0] & columns[1]
    assert not columns[1] & columns[2]
    assert not columns[0] & columns[2]
    assert [len(places) for places in part._places().values()] == [180, 60, 60]


def test_patches_follow_the_seed_and_the_strips_limit_their_size() -> None:
    def first(seed: int) -> np.ndarray:
        return load("photos", HERE, patch=8, count=30, split={"seed": seed}).train.x

    assert (first(1) == first(1)).all()
    assert not (first(1) == first(2)).all()
    assert probe_refusal("photos", HERE, patch=65).code == "AE407"
    assert load("photos", HERE, patch=64, count=30).info.value == Grid(3, (64, 64))


@pytest.mark.slow
@needs_real_data
def test_mnist_is_split_as_the_references_say() -> None:
    part = part_of("mnist", pad=2, split=Holdout(validation=5000, seed=42), labels=550)
    splits = load_splits(part, Where(HERE))
    order = np.random.RandomState(42).permutation(60_000)
    raw = gzip.decompress((ROOT / "mnist" / "train-images-idx3-ubyte.gz").read_bytes())[16:]
    images = np.frombuffer(raw, np.uint8).reshape(-1, 28, 28)
    labels = np.frombuffer(gzip.decompress((ROOT / "mnist" / "train-labels-idx1-ubyte.gz").read_bytes())[8:], np.uint8)
    assert splits.info.value == Grid(1, (32, 32))
    assert splits.info.range == Range(0, 1)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (55_000, 5_000, 10_000)
    assert (splits.train.x[:, 0, 2:-2, 2:-2] == (images[order[:55_000]] / 255).astype(np.float32)).all()
    assert (splits.validation.x[:, 0, 2:-2, 2:-2] == (images[order[55_000:]] / 255).astype(np.float32)).all()
    assert not splits.train.x[:, 0, :2].any()
    assert not splits.train.x[:, 0, :, -2:].any()
    assert splits.train.labels is not None
    assert splits.test.labels is not None
    assert (splits.train.labels[:550] == labels[order[:550]]).all()
    assert (splits.train.labels[550:] == -1).all()
    assert np.bincount(splits.test.labels).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]


@needs_real_data
@pytest.mark.parametrize(("variant", "mean", "deviation"), [("mnist", 0.1307, 0.3081), ("fashion_mnist", 0.2860, 0.3530)])
def test_the_idx_sets_have_their_published_moments(variant: str, mean: float, deviation: float) -> None:
    splits = load(variant, HERE)
    x = np.concatenate([splits.train.x, splits.validation.x])
    assert x.mean(dtype=np.float64) == pytest.approx(mean, abs=5e-5)
    assert x.std(dtype=np.float64) == pytest.approx(deviation, abs=5e-5)
    labels = np.concatenate([splits.train.labels, splits.validation.labels])
    assert len(labels) == 60_000
    assert (variant == "mnist" or (np.bincount(labels) == 6000).all())


@needs_real_data
def test_exclude_on_mnist() -> None:
    splits = load("mnist", HERE, exclude=Exclude(label=1), limit=2000)
    assert splits.train.labels is not None
    assert 1 not in splits.train.labels
    assert splits.validation.labels is not None
    assert 1 not in splits.validation.labels
    assert (splits.test.labels == 1).sum() == 1135


@needs_real_data
def test_ecg5000() -> None:
    splits = load("ecg5000", HERE)
    assert splits.info.value == Sequence(140, 1)
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (450, 50, 4500)
    assert splits.test.labels is not None
    assert np.bincount(splits.test.labels).tolist() == [2627, 1873]
    normal = load("ecg5000", HERE, exclude=Exclude(label="abnormal"))
    assert len(normal.train) + len(normal.validation) == 292


@pytest.mark.slow
@needs_real_data
def test_cifar10_from_jpeg() -> None:
    splits = load("cifar10", HERE, limit=500, split=Holdout(validation=100), scale="none")
    assert splits.info.value == Grid(3, (32, 32))
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (500, 100, 10_000)
    with np.load(ROOT / "cifar10" / "cifar10_rgb_small.npz") as small:
        assert (splits.test.x[:1000] == small["x_test"].transpose(0, 3, 1, 2)).all()
        assert (splits.test.labels[:1000] == small["y_test"]).all()
    assert "lossy" in splits.notes[0]


def test_cifar10_from_binary_batches(tmp_path: Path) -> None:
    folder = tmp_path / "cifar10" / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    records = np.zeros((10_000, 3073), np.uint8)
    records[:, 0], records[:, 1], records[:, 1025] = np.arange(10_000) % 10, 10, 20
    for name in (*(f"data_batch_{number}.bin" for number in range(1, 6)), "test_batch.bin"):
        records.tofile(folder / name)
    splits = load_splits(part_of("cifar10", limit=30, scale="none"), Where(tmp_path, tmp_path))
    assert splits.train.x[:, :, 0, 0].tolist() == [[10, 20, 0]] * 30
    assert splits.info.counts["test"] == 10_000
    records[77, 0] = 11
    records.tofile(folder / "data_batch_3.bin")
    found = refusal("cifar10", tmp_path, root=".")
    assert found.code == "AE403"
    assert "record 77" in found.message
    (folder / "data_batch_3.bin").write_bytes(b"short")
    assert "5 bytes" in refusal("cifar10", tmp_path, root=".").message


@pytest.mark.parametrize("variant", ["cifar10", "ecg5000"])
def test_sets_that_are_not_downloaded_say_what_to_put_where(tmp_path: Path, variant: str) -> None:
    found = refusal(variant, tmp_path, root=".")
    assert found.code == "AE414"
    assert found.fix is not None
    assert str(tmp_path / variant) in found.fix


def test_damaged_ecg5000(tmp_path: Path) -> None:
    (tmp_path / "ecg5000").mkdir()
    np.savez(tmp_path / "ecg5000" / "ecg5000.npz", train_x=np.zeros((3, 140)))
    assert refusal("ecg5000", tmp_path, root=".").code == "AE403"


@pytest.mark.slow
@needs_real_data
@pytest.mark.parametrize(("variant", "fields"), [
    ("arrays", {"path": "cifar10/cifar10_rgb_small.npz"}), ("arrays", {"path": "basicmotions/BasicMotions.npz", "channels": "first"}),
    *(("arrays", {"path": f"adbench/{name}.npz"}) for name in ("23_mammography", "26_optdigits", "27_PageBlocks", "30_satellite",
                                                               "32_shuttle",
                                                              "38_thyroid", "6_cardio")),
    ("idx", {"path": "fashion-mnist", "limit": 100}), ("idx", {"path": "mnist/t10k-images-idx3-ubyte.gz"}),
    ("series", {"path": "nab/realKnownCause/nyc_taxi.csv", "window": Window(length=48, stride=4)}),
    ("table", {"path": "fsdd/metadata.csv", "columns": ["n_samples", "index"], "label": "speaker"})])
def test_probe_promises_what_load_gives(variant: str, fields: dict) -> None:
    splits = load(variant, ROOT, **fields)
    assert np.isfinite(splits.train.x).all()
    assert splits.info.detected
    if splits.info.labelled:
        assert part_of(variant, **fields).count_classes(Where(ROOT)) == splits.info.classes


@needs_real_data
def test_the_files_here_are_the_published_ones() -> None:
    from aebuild.parts.datasets.fashion_mnist import SET as FASHION
    from aebuild.parts.datasets.mnist import SET

    for known in (SET, FASHION):
        for remote in known.files:
            data = (ROOT / known.folder / remote.name).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (remote.size, remote.sha256)
            assert hashlib.sha256(gzip.decompress(data)).hexdigest() == remote.content_sha256


def test_every_variant_has_a_path_or_is_known_and_probes_without_numpy() -> None:
    code = ("import sys; from pathlib import Path; from aebuild.parts import discover; discover()\n"
            "from aebuild.lang.dataset import Dataset, Where\n"
            "for name in ('digits', 'wine', 'breast_cancer', 'photos', 'mnist', 'fashion_mnist', 'cifar10', 'ecg5000'):\n"
            "    Dataset.variants[name]().probe(Where(Path('/nowhere')))\n"
            "Dataset.variants['images'](path='absent', shape=[3, 8, 8]).probe(Where(Path('/nowhere')))\n"
            "print([name for name in ('numpy', 'torch', 'sklearn', 'PIL') if name in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "[]\n"
    known = {name for name, kind in Dataset.variants.items() if not issubclass(kind, OnDisk)}
    assert known == {"digits", "wine", "breast_cancer", "photos", "mnist", "fashion_mnist", "cifar10", "ecg5000", "adbench", "sentences", "shapes",
                     "activations", "counts", "volumes"}


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "cifar10", "ecg5000"])
def test_a_root_that_no_folder_can_have_is_refused(name: str, tmp_path: Path) -> None:
    found = refusal(name, tmp_path, root="a\0b")
    assert (found.code, found.message) == ("AE401", "a\\x00b cannot be the name of a folder")
