"""A column that says what each step of a series is: no input, and what anomaly scores of steps are judged by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import called
from data_making import load, part_of, refusal
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score
from trained_runs import opened, run_folder, series_file

from aebuild.lang.dataset import Where, Window
from aebuild.lang.diagnostics import DataError, UsageError
from aebuild.results.inference.evaluation import detect_anomalies

WINDOW = Window(length=20, stride=5)
STEPS, FIRST, LAST = 303, 100, 112             # the last three steps are in no window of the run


def labelled(path: Path, words: tuple[str, str] = ("0", "1"), known: int = STEPS) -> Path:
    """A series whose second sensor is stuck for twelve steps, and a column that says so; later than `known` nothing is known."""
    lines = series_file(path, STEPS, broken_at=FIRST).read_text().splitlines()
    cells = [words[FIRST <= step < LAST] if step < known else "" for step in range(STEPS)]
    path.write_text("\n".join([f"{lines[0]},broken", *(f"{line},{cell}" for line, cell in zip(lines[1:], cells, strict=True))]) + "\n")
    return path


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: called(words, monkeypatch, capsys)


def test_the_label_is_no_input(tmp_path: Path) -> None:
    labelled(tmp_path / "s.csv")
    plain, told = (load("series", tmp_path, path="s.csv", window=WINDOW, columns=columns, label=label)
                   for columns, label in ((["pressure", "flow"], None), (None, "broken")))
    assert told.info.columns == ("pressure", "flow")
    assert not told.info.labelled
    assert np.array_equal(plain.train.x, told.train.x)
    assert "broken says what each step is" in told.info.detected
    words = labelled(tmp_path / "s.csv", ("ok", "stuck"))
    assert load("series", tmp_path, path=words.name, window=WINDOW, label="broken").info.columns == ("pressure", "flow")


@pytest.mark.parametrize(("fields", "code"), [
    ({"label": "time", "group": "time"}, "AE413"), ({"label": "flow"}, "AE410"), ({"label": "brokn"}, "AE409"),
    ({"label": "broken", "columns": ["flow", "broken"]}, "AE413"), ({"path": "s.npy", "label": "y"}, "AE413")])
def test_what_is_no_label_of_steps_is_refused(tmp_path: Path, fields: dict[str, Any], code: str) -> None:
    labelled(tmp_path / "s.csv")
    np.save(tmp_path / "s.npy", np.zeros((90, 2)))
    assert refusal("series", tmp_path, **({"path": "s.csv", "window": WINDOW} | fields)).code == code


def test_a_step_of_several_rows_has_their_rarest_label(tmp_path: Path) -> None:
    cells = ["0", "0", "0", "1", "", "0", "", "", "2", "1", "2", "1"]
    lines = [f"{2 * row + (row > 8)},{row % 5},{cell}" for row, cell in enumerate(cells)]
    (tmp_path / "s.csv").write_text("\n".join(["time,u,state", *lines]) + "\n")
    part = part_of("series", path="s.csv", window=Window(length=2), label="state", every=4.0, index=True,
                   split={"validation": 0, "test": 0})
    assert part.read(Where(tmp_path)).steps == ["0", "1", "0", "", "2", "2"]         # 0: four rows, 1: three, 2: two


def test_anomalous_steps_are_told_from_others_by_the_merged_scores(tmp_path: Path) -> None:
    run = opened("series")
    data = run.new(str(labelled(tmp_path / "new.csv")), ["data.label=broken"])
    found = run.score(data, by="all")
    scored = np.isfinite(found.scores["reconstruction"])
    truth = (np.arange(STEPS) >= FIRST) & (np.arange(STEPS) < LAST)
    assert scored.sum() == STEPS - 3
    for name, scores in found.scores.items():
        assert found.detection[name].roc_auc == pytest.approx(roc_auc_score(truth[scored], scores[scored]))
        assert found.detection[name].average_precision == pytest.approx(average_precision_score(truth[scored], scores[scored]))
        assert (found.detection[name].anomalies, found.detection[name].samples) == (LAST - FIRST, STEPS - 3)
    assert found.detection["reconstruction"].roc_auc > 0.95
    assert any("follow each other" in note for note in found.notes)
    best = run.score(data, threshold="best-f=1")
    precision, recall, _ = precision_recall_curve(truth[scored], best.scores["reconstruction"][scored])
    called_so = best.anomaly[scored]
    hits = (called_so & truth[scored]).sum()
    assert 2 * hits / (called_so.sum() + truth.sum()) == pytest.approx(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-9)))
    assert best.threshold.level == "step"


def test_words_are_named_and_what_is_not_known_does_not_count(tmp_path: Path) -> None:
    run = opened("series")
    data = run.new(str(labelled(tmp_path / "new.csv", ("ok", "stuck"), known=150)), ["data.label=broken"])
    assert run.score(data).detection == {}                                           # nothing says which word is an anomaly
    judged = run.score(data, anomalies=["stuck"]).detection["reconstruction"]
    assert (judged.anomalies, judged.samples) == (LAST - FIRST, 150)
    with pytest.raises(UsageError, match="no step has the label"):
        run.score(data, anomalies=["broken"])
    with pytest.raises(DataError, match="no labels"):
        run.score(run.new(str(series_file(tmp_path / "plain.csv", 100))), anomalies=["stuck"])


def test_a_window_is_an_anomaly_if_it_holds_one(tmp_path: Path) -> None:
    run = opened("series")
    data = run.new(str(labelled(tmp_path / "new.csv")), ["data.label=broken"])
    found = run.score(data, windows=True)
    starts = np.arange(0, STEPS - 19, 5)
    truth = (starts < LAST) & (starts + 20 > FIRST)
    assert found.detection["reconstruction"].anomalies == truth.sum()
    assert found.detection["reconstruction"].roc_auc == pytest.approx(roc_auc_score(truth, found.scores["reconstruction"]))
    assert set(detect_anomalies(run, data, None).detection) == {"reconstruction", "latent", "mahalanobis", "combined"}   # type: ignore[union-attr]


def test_the_commands_judge_steps(tmp_path: Path, shell: Any) -> None:
    """Both give the same figures; the scores' file keeps the label beside each step."""
    labelled(tmp_path / "new.csv")
    folder = run_folder("series")
    code, told, _ = shell("evaluate", folder, "new.csv", "--set", "data.label=broken", "--json")
    judged = json.loads(told)["detection"]
    code_too, scored, _ = shell("score", folder, "new.csv", "--set", "data.label=broken", "--by", "all", "--json")
    assert (code, code_too) == (0, 0)
    assert judged == json.loads(scored)["detection"]
    assert judged["reconstruction"]["samples"] == STEPS - 3
    rows = (tmp_path / "scores.csv").read_text().splitlines()
    place = rows[0].split(",").index("broken")
    assert [row.split(",")[place] for row in rows[1:]] == [str(int(FIRST <= step < LAST)) for step in range(STEPS)]
