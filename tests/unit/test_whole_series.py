"""Each series of a table as one sample: of unequal length, in the order of the time, and back to the rows that it came from."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from data_making import load, part_of, probe_refusal, refusal
from trained_runs import FOLDER, opened, trips_file

from aebuild.compile.front import load as load_spec
from aebuild.data.assemble import load_splits
from aebuild.data.detect import detect
from aebuild.lang.dataset import Where, Window
from aebuild.results.inference.reconstructions import write_reconstructions
from aebuild.results.inference.scorer import scorer_of


def trips(path: Path) -> dict[str, np.ndarray]:
    """The measurements of each trip in the order of the time, trips as they first occur; read by the csv module alone."""
    found: dict[str, list[tuple[str, float, float]]] = {}
    with path.open() as file:
        for row in csv.DictReader(file):
            found.setdefault(row["trip"], []).append((row["when"], float(row["speed"]), float(row["load"])))
    return {name: np.asarray([cells[1:] for cells in sorted(held)]) for name, held in found.items()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    trips_file(tmp_path / "s.csv")
    return tmp_path


def series(folder: Path, **fields: Any) -> Any:
    return load("series", folder, **({"path": "s.csv", "group": "trip", "scale": "none"} | fields))


def test_each_series_is_a_sample_in_the_order_of_its_time(folder: Path) -> None:
    wanted, splits = list(trips(folder / "s.csv").values()), series(folder)
    order = np.random.RandomState(42).permutation(40)
    begun = 0
    for part in (splits.train, splits.validation, splits.test):
        for row, sample, length in zip(order[begun:begun + len(part)], part.x, part.lengths, strict=True):
            assert length == len(wanted[row])
            np.testing.assert_allclose(sample[:length], wanted[row], atol=1e-6)
            assert (sample[length:] == 0).all()
        begun += len(part)
    assert begun == 40
    assert splits.info.ragged
    assert splits.info.value.shape == (25, 2)
    assert f"40 series of {min(map(len, wanted))} to 25 steps, each a sample" in splits.info.detected
    assert sum("put in the order of when" in note for note in splits.notes) == 1


def test_padding_does_not_count_for_the_scaling(folder: Path) -> None:
    splits = series(folder, scale="standard")
    steps = np.concatenate([sample[:length] for sample, length in zip(splits.train.x, splits.train.lengths, strict=True)])
    np.testing.assert_allclose(steps.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(steps.std(0), 1, atol=1e-5)


def test_longer_series_are_cut_at_the_end_and_told(folder: Path) -> None:
    wanted, splits = trips(folder / "s.csv"), series(folder, length=8)
    cut = sum(len(held) > 8 for held in wanted.values())
    assert splits.info.value.shape == (8, 2)
    assert any(f"{cut} series of more than 8 steps are cut at the end" in note for note in splits.notes)
    first = {tuple(np.round(held[0], 5)): held for held in wanted.values()}
    for sample, length in zip(splits.train.x, splits.train.lengths, strict=True):
        held = first[tuple(np.round(sample[0].astype(float), 5))]
        assert length == min(8, len(held))
        np.testing.assert_allclose(sample[:length], held[:length], atol=1e-6)


def test_even_steps_are_averaged_within_each_series(folder: Path) -> None:
    splits = series(folder, every="2 min", limit=5)
    wanted = {(len(held) + 1) // 2: held for held in trips(folder / "s.csv").values()}
    assert set(splits.train.lengths.tolist()) <= set(wanted)
    longest = splits.train.x[np.argmax(splits.train.lengths)]
    held = next(held for held in trips(folder / "s.csv").values() if np.allclose(held[:2].mean(0), longest[0], atol=1e-5))
    even = np.stack([held[start:start + 2].mean(0) for start in range(0, len(held), 2)])
    np.testing.assert_allclose(longest[:len(even)], even, atol=1e-5)


def test_targets_and_missing_values_are_those_of_the_steps(folder: Path) -> None:
    splits = series(folder, target="load")
    assert (splits.info.value.shape, splits.info.target.shape) == ((25, 1), (25, 1))
    pairs = {tuple(np.round(row, 5)) for held in trips(folder / "s.csv").values() for row in held}
    aims = splits.train.target
    for sample, aim, length in zip(splits.train.x, aims, splits.train.lengths, strict=True):
        assert {tuple(np.round(row, 5)) for row in np.concatenate([sample, aim], 1)[:length].astype(float)} <= pairs
        assert (aim[length:] == 0).all()
    rows = (folder / "s.csv").read_text().splitlines()
    rows[7] = ",".join([*rows[7].split(",")[:3], ""])
    (folder / "s.csv").write_text("\n".join(rows) + "\n")
    assert refusal("series", folder, path="s.csv", group="trip").code == "AE405"
    masked = series(folder, missing="mask", split={"validation": 0, "test": 0})          # `scale: none` fills too
    assert (~masked.train.beside["mask"]).sum() == 1


@pytest.mark.parametrize(("fields", "code"), [
    ({"window": Window(length=3), "length": 5}, "AE413"), ({"group": None, "window": Window(length=3), "length": 5}, "AE413"),
    ({"gaps": "ignore"}, "AE413"), ({"length": 9, "shape": [8, 2]}, "AE412"), ({"group": None}, "AE424"), ({"group": "tour"}, "AE409")])
def test_what_whole_series_do_not_have_is_refused(folder: Path, fields: dict[str, Any], code: str) -> None:
    assert probe_refusal("series", folder, **({"path": "s.csv", "group": "trip"} | fields)).code == code


def test_a_declared_shape_is_what_series_are_padded_to(folder: Path) -> None:
    declared = part_of("series", path="none.csv", group="trip", shape=[30, 2]).probe(Where(folder))
    assert (declared.ragged, declared.value.shape) == (True, (30, 2))
    found = load_splits(part_of("series", path="s.csv", group="trip", shape=[30, 2]), Where(folder))
    assert found.train.x.shape[1:] == (30, 2)
    assert found.train.lengths.max() <= 25  # type: ignore[union-attr]


def test_a_group_makes_a_table_series(folder: Path) -> None:
    assert detect("s.csv", folder, ("group",)) == "series"
    head = "data: {path: s.csv, group: trip}\nlatent: {type: continuous, dim: 2}\n"
    assert load_spec(folder / "spec.yaml", text=f"{head}encoder: [gru: 4]\n").plan is not None
    refused = load_spec(folder / "spec.yaml", text=f"{head}encoder: [conv: {{width: 8, stride: 2}}]\n").errors
    assert [found.code for found in refused] == ["AE370"]


# ------------------------------------------------------------------------------------------------------------ with a model


def test_codes_are_those_of_each_series_alone() -> None:
    """One row of codes a series, and what a series is padded to changes nothing."""
    run, file = opened("trips"), FOLDER / "trips.csv"
    codes = run.encode(str(file)).values
    assert len(codes) == 40
    for number, held in enumerate(trips(file).values()):
        if number % 9 == 0:
            alone = torch.from_numpy(run.scaling.apply(held[None]))
            with torch.no_grad():
                np.testing.assert_allclose(codes[number], run.model.encode(alone).value[0].numpy(), atol=1e-5)


def test_reconstructions_go_back_to_their_rows(tmp_path: Path) -> None:
    run, file = opened("trips"), FOLDER / "trips.csv"
    data = run.new(str(file))
    assert write_reconstructions(run, data, tmp_path / "back.csv") == {"steps": sum(map(len, trips(file).values()))}
    with (tmp_path / "back.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    samples, begun = run.reconstruct(str(file)), 0
    for sample, (name, held) in zip(samples, trips(file).items(), strict=True):
        mine = rows[begun:begun + len(held)]
        assert {row["trip"] for row in mine} == {name}
        assert [row["when"] for row in mine] == sorted(row["when"] for row in mine)
        np.testing.assert_allclose([[float(row["speed"]), float(row["load"])] for row in mine], sample[:len(held)], atol=1e-4)
        begun += len(held)
    assert begun == len(rows)


def test_a_score_for_each_step_and_each_series() -> None:
    """The steps' surprises add up to that of the series; its distance is the mean over its steps, by statistics of real steps alone."""
    run, file = opened("trips"), FOLDER / "trips.csv"
    data = run.new(str(file))
    steps, whole = run.score(data), run.score(data, by="all", windows=True)
    sizes = [len(held) for held in trips(file).values()]
    borders = np.cumsum([0, *sizes])
    assert (len(steps), len(whole)) == (sum(sizes), 40)
    added = np.add.reduceat(steps.scores["reconstruction"], borders[:-1])
    np.testing.assert_allclose(added, whole.scores["reconstruction"], rtol=1e-5)
    assert not any("length ‖x‖" in note for note in steps.notes)                  # long series are no sign of a collapse
    residuals = scorer_of(run, print).residuals
    assert residuals is not None
    assert residuals.mean.shape == (2,)
    back = (run.reconstruct(data) - data.scaling.offset) * data.scaling.factor
    for number, held in enumerate(trips(file).values()):
        apart = run.scaling.apply(held[None])[0] - back[number, :len(held)]
        assert whole.scores["mahalanobis"][number] == pytest.approx(residuals.distance(apart).mean(), rel=1e-3)
        if number == 3:
            np.testing.assert_allclose(whole.parts[3], residuals.standardised(apart).mean(0), rtol=1e-3)  # type: ignore[index]


def test_a_part_of_the_run_s_own_series_has_its_own_rows_only() -> None:
    run = opened("trips")
    own = run.own_split("test")
    found = run.score(own)
    assert np.isfinite(found.scores["reconstruction"]).all()
    assert len(found) == own.split.lengths.sum() == len(own.beside["trip"])  # type: ignore[union-attr]
    assert len(set(own.beside["trip"])) == len(own)


def test_new_series_that_are_longer_are_scored_as_far_as_the_model_goes(tmp_path: Path) -> None:
    run = opened("trips")
    data = run.new(str(trips_file(tmp_path / "long.csv", trips=5, seed=8, longest=40)))
    wanted = trips(tmp_path / "long.csv")
    beyond = sum(max(0, len(held) - 25) for held in wanted.values())
    assert beyond > 0
    found = run.score(data)
    assert len(found) == sum(map(len, wanted.values()))
    assert np.isnan(found.scores["reconstruction"]).sum() == beyond
    assert any("cut at the end" in note for note in data.notes)
    assert any(f"{beyond} steps are in no sample" in note for note in found.notes)
