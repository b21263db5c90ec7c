"""The scikit-learn estimator: scikit-learn's own checks, pipelines, searches, and what its parameters mean."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import aebuild
from aebuild.sklearn import Autoencoder

IMAGES = {"encoder": {"layer": "conv", "width": [4, 8], "stride": 2}, "latent": {"type": "gaussian", "dim": 3},
          "losses": {"reconstruction": "bernoulli"}}
WINDOWS = {"data": {"path": "x.csv", "window": {"length": 5}}, "encoder": {"layer": "gru", "width": 4}, "latent": {"type": "continuous", "dim": 2}}
RANDOM = np.random.RandomState(0)
X = RANDOM.standard_normal((120, 2)) @ RANDOM.standard_normal((2, 5)) + 0.05 * RANDOM.standard_normal((120, 5))


@pytest.mark.slow
@parametrize_with_checks([Autoencoder(epochs=1)])
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def fitted():
    return Autoencoder(code=2, epochs=20, lr=1e-2, contamination=0.1).fit(X)


def test_codes_and_reconstructions_are_those_of_the_run(fitted):
    assert np.allclose(fitted.transform(X), fitted.run_.encode(X).values, atol=1e-5)
    assert np.allclose(fitted.inverse_transform(fitted.transform(X)), fitted.run_.reconstruct(X), atol=1e-4)
    error = ((fitted.run_.reconstruct(X) - X) ** 2).mean(0) / X.var(0)
    assert error.max() < 0.5
    scale = np.asarray(fitted.run_.scaling.factor)
    by_hand = -(((fitted.run_.reconstruct(X) - X) * scale) ** 2).sum(1)
    assert np.allclose(fitted.score_samples(X), by_hand, atol=1e-3)


def test_outliers_are_the_asked_share_or_beyond_the_threshold(fitted):
    assert (fitted.predict(X) == -1).sum() == 12
    assert (fitted.predict(X + [0, 0, 9, 0, 0]) == -1).all()
    level = Autoencoder(code=2, epochs=1, threshold=3.0).fit(X)
    assert np.array_equal(level.predict(X) == -1, level.score_samples(X) < -3.0)


@pytest.mark.parametrize("name", ["reconstruction", "latent", "mahalanobis", "combined"])
def test_each_score_can_decide_and_is_that_of_the_run_directory(name, tmp_path):
    found = Autoencoder(epochs=3, score_by=name, folder=tmp_path).fit(X)
    folder, = tmp_path.iterdir()
    scored = aebuild.open_run(folder).score(X, name, threshold=-found.offset_)
    assert np.allclose(scored.scores[name], -found.score_samples(X), atol=1e-4)
    assert np.array_equal(scored.anomaly, found.predict(X) == -1)


def test_a_pickle_and_a_clone(fitted):
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.transform(X), fitted.transform(X))
    assert np.array_equal(copy.decision_function(X), fitted.decision_function(X))
    assert clone(fitted).get_params() == fitted.get_params()
    assert not hasattr(clone(fitted), "run_")


def test_a_seed_decides_and_the_usual_one_is_the_specs():
    def codes(**parameters):
        return Autoencoder(epochs=1, **parameters).fit(X).transform(X)

    assert np.array_equal(codes(), codes())
    assert np.array_equal(codes(random_state=1), codes(random_state=np.random.RandomState(1)))
    assert not np.array_equal(codes(random_state=1), codes(random_state=2))


def test_frames_go_in_and_come_out(fitted):
    frame = pd.DataFrame(X, columns=list("abcde"))
    found = Autoencoder(code=2, epochs=1).set_output(transform="pandas").fit(frame)
    assert list(found.feature_names_in_) == list("abcde")
    assert list(found.transform(frame).columns) == list(found.get_feature_names_out()) == ["autoencoder0", "autoencoder1"]
    with pytest.raises(ValueError, match="feature names"):
        found.transform(frame[list("edcba")])


@pytest.mark.slow
def test_a_pipeline_with_a_search_finds_the_size_of_the_code():
    pipeline = make_pipeline(StandardScaler(), Autoencoder(epochs=15, lr=1e-2))
    grid = {"autoencoder__code": [1, 2], "autoencoder__settings": [None, {"train.clip": 1.0}]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(X)
    assert search.best_params_["autoencoder__code"] == 2
    assert search.best_estimator_.transform(X).shape == (120, 2)
    assert search.best_estimator_[:-1].inverse_transform(search.best_estimator_[-1].inverse_transform(search.transform(X))).shape == X.shape


@pytest.mark.slow
def test_a_spec_of_ones_own_over_flattened_images(tmp_path):
    digits = load_digits().data
    found = Autoencoder(IMAGES, shape=(1, 8, 8), epochs=1, code=2, folder=tmp_path).fit(digits)
    assert found.transform(digits).shape == (1797, 2)
    assert found.inverse_transform(found.transform(digits[:3])).shape == (3, 64)
    folder, = tmp_path.iterdir()
    assert np.allclose(aebuild.open_run(folder).encode(digits.reshape(-1, 1, 8, 8)[:7]).values, found.transform(digits[:7]), atol=1e-5)
    with pytest.raises(ValueError, match="64 features"):
        Autoencoder(IMAGES, shape=(1, 8, 9)).fit(digits)


@pytest.mark.slow
def test_benign_tumours_are_told_from_malignant_ones():
    """Trained on benign ones alone, which is the usual use."""
    data = load_breast_cancer()
    usual = data.data[data.target == 1]
    found = Autoencoder(epochs=60).fit(usual[:250])
    judged, labels = np.concatenate([usual[250:], data.data[data.target == 0]]), np.repeat([0, 1], [len(usual) - 250, 212])
    assert roc_auc_score(labels, -found.score_samples(judged)) > 0.9


@pytest.mark.parametrize(("parameters", "told"), [({"contamination": 0}, "contamination"), ({"contamination": 0.6}, "contamination"),
                                                  ({"score_by": "distance"}, "score_by is one of reconstruction"),
                                                  ({"settings": "train.clip=1"}, "settings are a dict"),
                                                  ({"spec": WINDOWS}, "window"),
                                                  ({"spec": {**IMAGES, "condition": {"label": "concat"}}}, "is told label of each sample")])
def test_a_parameter_that_cannot_be_is_named(parameters, told):
    with pytest.raises(ValueError, match=told):
        Autoencoder(epochs=1, **parameters).fit(X)


def test_nothing_is_printed_or_left(capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    found = Autoencoder(epochs=1).fit(X)
    assert found.score(X) < 0
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert not list((tmp_path / "temporary").iterdir())
