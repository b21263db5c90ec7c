"""Zero and null ask for no validation or test samples, whatever the data are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from contexts import among_files
from models import fine

from aebuild import train
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where

DATA = ("{type: digits", "{path: x.npz, label: y", "{path: train-images-idx3-ubyte.gz", "{path: pictures", "{path: tars", "{path: rows.csv",
        "{path: tars, stream: true", "{path: pictures, stream: true", "{path: wave.csv, window: 6", "{type: photos, patch: 6, count: 60")


@pytest.fixture(scope="module", autouse=True)
def files(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A working directory with data of every kind."""
    with among_files(tmp_path_factory.mktemp("files")):
        yield


def spec(data: str, split: str) -> str:
    """The smallest model over some data, divided so."""
    return f"data: {data}, split: {split}}}\nencoder: []\nlatent: {{type: continuous, dim: 2}}\ntrain: {{steps: 2, batch_size: 8, speed: exact}}\n"


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(("split", "held"), [("{validation: 0, test: null}", (False, False)), ("{validation: none}", (False, True)),
                                             ("{test: 0}", (True, False))])
def test_a_part_of_none_is_empty_and_the_rest_trains(data, split, held):
    loaded = fine(spec(data, split))
    splits = load_splits(loaded.spec.data, Where(Path()))
    assert (len(splits.validation) > 0, len(splits.test) > 0, len(splits.train) > 0) == (*held, True)
    assert loaded.info.counts in (splits.info.counts, {**splits.info.counts, **dict.fromkeys(splits.info.counts)})
    assert splits.test.x.shape[1:] == splits.train.x.shape[1:]


@pytest.mark.parametrize("data", DATA[:2] + DATA[6:7])
def test_a_training_without_validation_and_test_ends(data, tmp_path):
    outcome = train(fine(spec(data, "{validation: 0, test: 0}")), folder=tmp_path / "run")
    assert outcome.evaluation.split == "training"


def test_null_in_a_file_that_extends_another_still_brings_the_default_back(tmp_path):
    (tmp_path / "base.yaml").write_text(spec("{type: digits", "{validation: 0}"))
    assert load(tmp_path / "spec.yaml", text="extends: base.yaml\ndata: {split: {validation: null}}\n").spec.data.split.validation is None
