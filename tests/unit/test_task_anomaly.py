"""The anomaly task: its curves, its simple scores and its rates against scikit-learn and brute force, and what cannot be judged."""

from __future__ import annotations

import warnings
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score
from trained_runs import run_folder

import aebuild
from aebuild.lang.diagnostics import SpecError, UsageError
from aebuild.lang.splits import Split
from aebuild.lang.tasks import Answer, LinePlot, Table, Unanswered
from aebuild.lang.values import Tokens
from aebuild.metrics.detection import alarms, curves, detection, exceeded_at
from aebuild.metrics.outliers import simple_scores
from aebuild.parts.tasks.anomaly import Anomaly
from aebuild.results.open_run import OpenRun, open_run

RANDOM = np.random.RandomState(3)


def copied(kind: str, place: Path) -> OpenRun:
    return open_run(copytree(run_folder(kind), place / kind))


def test_the_areas_under_the_curves_are_those_that_are_told() -> None:
    anomalous = RANDOM.random(3000) < 0.1
    scores = np.round(RANDOM.standard_normal(3000) + anomalous, 2)
    found = detection(scores, anomalous)
    roc, precision = curves(scores, anomalous)
    assert np.trapezoid(roc[1], roc[0]) == pytest.approx(found.roc_auc, abs=1e-3)
    assert (np.diff(precision[0], prepend=0) * precision[1]).sum() == pytest.approx(found.average_precision, abs=5e-3)
    assert len(roc[0]) <= 501
    assert (roc[0][[0, -1]].tolist(), roc[1][[0, -1]].tolist()) == ([0, 1], [0, 1])
    for false, true, least in zip(*roc, strict=True):
        assert alarms(scores, anomalous, np.nextafter(least, -np.inf)) == pytest.approx((true, false))
    for recall, share, least in list(zip(*precision, strict=True))[1:]:
        called = scores >= least
        assert (anomalous[called].mean(), called[anomalous].mean()) == pytest.approx((share, recall))
    few = curves(np.asarray([1.0, 2.0, np.inf, 3.0]), np.asarray([False, False, True, True]))
    assert few[0][1].max() == 1.0
    assert few[0][0][few[0][1] < 1].max() == 0.0


def test_scores_that_are_no_numbers_and_one_kind_alone_are_refused() -> None:
    with pytest.raises(ValueError, match="2 of the 4 scores are no numbers"):
        detection(np.asarray([1.0, np.nan, np.nan, 2.0]), np.asarray([True, False, True, False]))
    for anomalous, kind in ((np.ones(4, bool), "anomalies"), (np.zeros(4, bool), "ordinary")):
        with pytest.raises(ValueError, match=f"are {kind}; both kinds are needed"):
            detection(np.arange(4.0), anomalous)
        with pytest.raises(ValueError, match="both"):
            curves(np.arange(4.0), anomalous)
    assert detection(np.zeros(4), np.asarray([True, False, True, False])).roc_auc == 0.5         # nothing but ties


def test_a_threshold_is_exceeded_as_often_as_it_says() -> None:
    ordinary = RANDOM.standard_normal(1000)
    assert (ordinary > exceeded_at(ordinary, 0.05)).mean() == pytest.approx(0.05, abs=1.1e-3)
    assert exceeded_at(ordinary, 1e-6) == ordinary.max()
    assert alarms(np.asarray([1.0, 5.0, 3.0, 4.0]), np.asarray([True, True, False, False]), 3.5) == (0.5, 0.5)
    assert alarms(np.asarray([3.5, 5.0, 3.5, 3.0]), np.asarray([True, True, False, False]), 3.5) == (0.5, 0.0)    # at it is no alarm


def test_simple_scores_are_what_their_names_say() -> None:
    train, x = RANDOM.standard_normal((200, 6)).astype(np.float32), RANDOM.standard_normal((50, 6)).astype(np.float32)
    found = {name: score(x) for name, score in simple_scores(train, 2, 3).items()}
    middle = train.mean(0)
    axes = np.linalg.svd(train - middle)[2][2:]
    np.testing.assert_allclose(found["pca"], np.square((x - middle) @ axes.T).sum(1), rtol=1e-3)
    np.testing.assert_allclose(found["norm"], np.sqrt(np.square(x.astype(float)).sum(1)))
    np.testing.assert_allclose(found["knn"], np.sort(np.linalg.norm(x[:, None] - train, axis=2), 1)[:, 2], rtol=1e-4)
    far = simple_scores(train, 2, 3)["forest"](np.asarray([[9.0] * 6, [0.0] * 6], np.float32))
    assert far[0] > far[1]
    assert len(simple_scores(train[:2], 1, 5)["knn"](x)) == 50           # fewer samples than neighbours
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert simple_scores(np.ones((9, 6), np.float32), 2, 3)["pca"](np.ones((1, 6), np.float32)) == 0


def test_the_areas_are_scikit_learn_s_of_the_run_s_own_scores(tmp_path: Path) -> None:
    spec = {"name": "ones", "data": {"type": "digits", "limit": 400, "exclude": {"label": 1}}, "encoder": {"layer": "linear", "width": 16},
            "latent": {"type": "continuous", "dim": 3}, "losses": {"reconstruction": "bernoulli"}, "train": {"epochs": 2, "batch_size": 32},
            "evaluate": {"tasks": [{"anomaly": {"false_alarms": 0.1}}]}}
    outcome = aebuild.train(spec, folder=tmp_path / "run")
    found, run = outcome.evaluation.tasks["anomaly"].answer, open_run(tmp_path / "run")
    assert set(found.figures) == set(Anomaly.meanings) - {"prior_auc", "prior_ap"}             # a plain code has no prior of its own
    test = run.own_split("test")
    scores, anomalous = run.score(test, by=["all", "signed"]).scores, np.asarray(test.words) == "1"
    for name, values in scores.items():
        assert found.figures[f"{name}_auc"] == pytest.approx(roc_auc_score(anomalous, values), abs=1e-3), name
        assert found.figures[f"{name}_ap"] == pytest.approx(average_precision_score(anomalous, values), abs=1e-3), name
    length = np.linalg.norm(test.split.x.reshape(len(test), -1), axis=1)
    assert found.figures["norm_auc"] == pytest.approx(roc_auc_score(anomalous, length))
    held_back = np.sort(run.score(run.own_split("validation")).scores["reconstruction"])
    threshold = np.quantile(held_back, 0.9, method="higher")
    assert found.figures["found"] == pytest.approx((scores["reconstruction"][anomalous] > threshold).mean(), abs=0.06)
    assert found.figures["false_alarms"] == pytest.approx((scores["reconstruction"][~anomalous] > threshold).mean(), abs=0.01)
    table, roc, precision = found.exhibits
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["reconstruction", "latent", "mahalanobis", "signed", "combined", "pca", "norm", "knn", "forest"]
    for plot in (roc, precision):
        assert isinstance(plot, LinePlot)
        assert list(plot.lines) == list(plot.marks) == [row[0] for row in table.rows]


def test_labels_say_what_an_anomaly_is(tmp_path: Path) -> None:
    run = copied("table", tmp_path)
    odd, even = (run.ask(f"anomaly: [{name}]")["anomaly"].answer for name in ("odd", "even"))
    assert odd.figures["knn_auc"] == pytest.approx(1 - even.figures["knn_auc"])
    assert odd.figures["anomalies"] == pytest.approx(1 - even.figures["anomalies"])
    assert any("training samples are labelled as such anomalies" in note for note in odd.notes)
    with pytest.raises(UsageError, match="no class 'wrong'; the classes are even, odd"):
        run.ask("anomaly: [wrong]")
    with pytest.raises(UsageError, match="all of the 30 samples that are judged are anomalies"):
        run.ask("anomaly: [odd, even]")
    with pytest.raises(UsageError, match="no class is known to be an anomaly"):
        run.ask("anomaly")
    with pytest.raises(SpecError, match="no labels"):
        copied("series", tmp_path).ask("anomaly")
    with pytest.raises(SpecError, match="no class 'seven'; the classes are 0, 1"):
        copied("image", tmp_path).ask("anomaly: [seven]")


class Fake:
    """A model that scores samples by their first number, over splits of numbers [n, 2]."""

    def __init__(self, judged: Split, held: Split | None, score: float = 1.0) -> None:
        train = Split(RANDOM.standard_normal((30, 2)).astype(np.float32), np.zeros(30, np.int64))
        self.judged, self.factor = judged, score
        self.splits = SimpleNamespace(train=train, held_back=held, class_names=("fine", "anomaly"))
        self.plan = SimpleNamespace(spec=SimpleNamespace(data=None), input=Tokens(2, 5))

    def scores(self, split: Split) -> dict[str, np.ndarray]:
        return {"reconstruction": self.factor * split.x[:, 0].astype(float), "latent": np.ones(len(split))}


def asked(labels: list[int], **more: float) -> Answer:
    x = np.stack([np.arange(len(labels)), np.ones(len(labels))], 1).astype(np.float32)
    held = Split(np.asarray([[0.5, 1]] * 20, np.float32), np.zeros(20, np.int64))
    return Anomaly().evaluate(Fake(Split(x, np.asarray(labels)), held, **more))  # type: ignore[arg-type]


def test_doubtful_scores_are_told() -> None:
    found = asked([0, 0, -1, 0, 0, 1, 1])
    assert found.figures["reconstruction_auc"] == 1.0
    assert found.figures["found"] == 1.0
    assert found.figures["false_alarms"] == 0.75
    assert found.figures["anomalies"] == pytest.approx(2 / 6)
    assert "1 samples without a known label" in found.notes[0]
    assert any("cannot tell a share of 0.01" in note for note in found.notes)
    assert any("latent is the same for all" in note for note in found.notes)
    assert any("reconstruction orders the samples as their length" in note for note in found.notes)
    assert "norm_auc" not in found.figures                    # of tokens there are no lengths
    assert any("reconstruction is inverted" in note for note in asked([0] * 20 + [1] * 20, score=-1).notes)
    bad = asked([0, 0, 1, 1], score=float("nan"))
    assert "reconstruction_auc" not in bad.figures
    assert any("reconstruction cannot be judged: 4 of the 4 scores are no numbers" in note for note in bad.notes)
    with pytest.raises(Unanswered, match="none of the 3 samples"):
        asked([0, 0, 0])
    with pytest.raises(Unanswered, match="have no labels"):
        asked([-1, -1])


def test_without_validation_samples_training_samples_stand_in() -> None:
    x = np.stack([np.arange(4), np.ones(4)], 1).astype(np.float32)
    found = Anomaly(false_alarms=0.5).evaluate(Fake(Split(x, np.asarray([0, 0, 1, 1])), None))  # type: ignore[arg-type]
    assert any("without validation samples" in note for note in found.notes)
    table = found.exhibits[0]
    assert isinstance(table, Table)
    assert table.title.endswith("found on training samples")
