"""Anomaly scores: their statistics against libraries, brute force and known distributions, and what is said of bad ones."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from command_line import called
from scipy import stats
from sklearn.covariance import oas
from sklearn.metrics import average_precision_score, fbeta_score
from trained_runs import opened, raw, run_folder, series_file

import aebuild
from aebuild.lang.diagnostics import DataError, UsageError
from aebuild.lang.splits import Split, Windows
from aebuild.metrics.detection import delong, detection, trivial
from aebuild.results.inference.code_density import Mixture
from aebuild.results.inference.residuals import fit_residuals, shrunk
from aebuild.results.inference.scorer import combined, per_step, tail
from aebuild.results.inference.scoring import read_threshold
from aebuild.results.inference.thresholds import best_f, extreme, parse_rule, steps_a_day, threshold_of

RANDOM = np.random.RandomState(7)


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    """`aebuild` in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: called(words, monkeypatch, capsys)


def with_ties(count: int, shift: float) -> np.ndarray:
    return np.round(RANDOM.standard_normal(count) + shift, 1)


def test_delong_is_the_naive_sum_over_all_pairs():
    positive, negative = with_ties(40, 1.0), with_ties(130, 0.0)
    above = (positive[:, None] > negative) + 0.5 * (positive[:, None] == negative)
    variance = above.mean(1).var(ddof=1) / 40 + above.mean(0).var(ddof=1) / 130
    assert delong(positive, negative) == pytest.approx((above.mean(), variance))


def test_delong_s_deviation_is_the_bootstrap_s():
    positive, negative = RANDOM.standard_normal(150) + 1.2, RANDOM.standard_normal(400)
    again = [delong(RANDOM.choice(positive, 150), RANDOM.choice(negative, 400))[0] for _ in range(600)]
    area, variance = delong(positive, negative)
    assert variance ** 0.5 == pytest.approx(np.std(again), rel=0.12)
    found = detection(np.concatenate([positive, negative]), np.arange(550) < 150)
    assert found.roc_auc_interval == pytest.approx(np.quantile(again, [0.025, 0.975]), abs=0.01)
    assert found.roc_auc_interval[0] < area < found.roc_auc_interval[1]


def test_average_precision_is_scikit_learn_s_also_with_ties():
    scores = np.concatenate([with_ties(30, 1.0), with_ties(200, 0.0)])
    anomalous = np.arange(230) < 30
    found = detection(scores, anomalous)
    assert found.average_precision == pytest.approx(average_precision_score(anomalous, scores))
    low, high = found.average_precision_interval
    assert low < found.average_precision < high
    again = [average_precision_score(anomalous, np.concatenate([RANDOM.choice(scores[:30], 30), RANDOM.choice(scores[30:], 200)]))
             for _ in range(300)]
    assert (low, high) == pytest.approx(np.quantile(again, [0.025, 0.975]), abs=0.1)
    for worst in (scores[::-1], -scores):                                # resamples of a bad score all look better than it is
        judged = detection(worst, anomalous)
        assert judged.average_precision_interval[0] <= judged.average_precision <= judged.average_precision_interval[1]


@pytest.mark.parametrize(("positive", "negative", "right", "pairs"), [
    ([5, 6, 7], [1, 2, 3, 4], 3, 3), ([1, 2], [3, 4, 5], 0, 2), ([9], [1, 2, 3], 1, 1)])
def test_an_area_without_spread_has_the_interval_of_so_many_pairs(positive, negative, right, pairs):
    scores = np.asarray([*positive, *negative], float)
    found = detection(scores, np.arange(len(scores)) < len(positive))
    exact = stats.binomtest(right, pairs).proportion_ci(0.95)
    assert found.roc_auc_interval == pytest.approx((exact.low, exact.high))


def test_shrinkage_is_scikit_learn_s():
    draws = RANDOM.standard_normal((30, 12)) @ RANDOM.standard_normal((12, 12))
    expected, _ = oas(draws)
    assert np.allclose(shrunk(np.cov(draws.T, bias=True), 30), expected)
    found = fit_residuals([draws[:11], draws[11:]])
    away = draws - draws.mean(0)
    assert np.allclose(found.distance(draws), np.einsum("ni,ij,nj->n", away, np.linalg.inv(expected), away))
    assert np.allclose(found.standardised(draws), away ** 2 / draws.var(0))


def test_a_mixture_s_density_is_scipy_s():
    weights, means = np.asarray([0.3, 0.7]), RANDOM.standard_normal((2, 3))
    roots = RANDOM.standard_normal((2, 3, 3))
    full = roots @ roots.transpose(0, 2, 1) + np.eye(3)
    codes = RANDOM.standard_normal((20, 3))
    for covariances, matrices in ((full, full), (np.ones((2, 3)) * [[2], [0.5]], np.stack([2 * np.eye(3), 0.5 * np.eye(3)]))):
        whole = sum(weight * stats.multivariate_normal(mean, matrix).pdf(codes) for weight, mean, matrix in zip(weights, means, matrices,
                                                                                                          strict=True))
        assert np.allclose(Mixture(weights, means, covariances).log_prob(codes), np.log(whole))


@pytest.mark.parametrize("law", [stats.expon(), stats.genpareto(0.2), stats.genpareto(-0.2)], ids=["expon", "heavy", "bounded"])
def test_an_extreme_value_fit_finds_quantiles_beyond_what_was_seen(law):
    for seed in range(2):                                                # 40,000 seen, asked for the one in 200,000
        found = extreme(law.rvs(40_000, random_state=seed), 5e-6)
        assert law.isf(3e-5) < found < law.isf(3e-7)
        assert found > law.isf(5e-6) * 0.75
    inside = law.rvs(4000, random_state=9)
    assert extreme(inside, 0.2) == pytest.approx(np.quantile(inside, 0.8))


def test_a_quantile_is_exceeded_as_often_as_said():
    scores, later = RANDOM.exponential(size=2000), RANDOM.exponential(size=100_000)
    for rule, rate in (("quantile=0.99", 0.01), ("per-sample=0.05", 0.05), ("extreme=0.001", 0.001)):
        value, notes = threshold_of(parse_rule(rule), scores)
        assert (later > value).mean() == pytest.approx(rate, rel=0.5)
        assert notes == ()
    value, _ = threshold_of(parse_rule("per-day=14.4"), scores, rows_a_day=1440)
    assert value == threshold_of(parse_rule("quantile=0.99"), scores)[0]
    value, notes = threshold_of(parse_rule("per-sample=1e-5"), scores)
    assert value == scores.max()
    assert "cannot tell" in notes[0]


def measure(called: np.ndarray, anomalous: np.ndarray, beta: float) -> float:
    """F-beta by its definition."""
    right = (called & anomalous).sum()
    return (1 + beta ** 2) * right / (beta ** 2 * anomalous.sum() + called.sum())


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_the_best_f_is_that_of_all_thresholds(beta):
    for _ in range(3):
        scores, anomalous = np.concatenate([with_ties(12, 1.0), with_ties(60, 0.0)]), np.arange(72) < 12
        best = max(measure(scores >= at, anomalous, beta) for at in scores)
        found = scores > best_f(scores, anomalous, beta)
        assert measure(found, anomalous, beta) == pytest.approx(best)
        assert fbeta_score(anomalous, found, beta=beta) == pytest.approx(best)


@pytest.mark.parametrize("count", [30, 200, 3000])
@pytest.mark.parametrize("law", [stats.expon(), stats.chi2(5), stats.norm()], ids=["expon", "chi2", "normal"])
def test_the_calibrated_tail_is_a_p_value(law, count):
    """Over many calibrations the share of fresh scores with a p-value of at most a is a, or less."""
    found = np.concatenate([tail(np.sort(law.rvs(count, random_state=seed)), law.rvs(2000, random_state=1000 + seed)) for seed in range(40)])
    assert 0 < found.min() <= found.max() <= 1
    for level in (0.01, 0.05, 0.1, 0.3, 0.7):
        assert (found <= level).mean() == pytest.approx(level, rel=0.3, abs=1 / count)


def test_the_tail_falls_wherever_the_score_grows_beyond_the_knee():
    ordinary = np.sort(RANDOM.exponential(size=500))
    shares = tail(ordinary, np.linspace(0, 300, 5000))
    assert (np.diff(shares) <= 0).all()
    assert (np.diff(shares[100:4000]) < 0).all()
    assert (tail(np.ones(50), np.asarray([0.0, 1.0, 2.0])) == [1.0, 1.0, 1 / 51]).all()
    joint = combined({"reconstruction": ordinary, "latent": ordinary}, {"reconstruction": ordinary[:9], "latent": ordinary[5:14]})
    assert np.allclose(joint, -np.log(tail(ordinary, ordinary[:9])) - np.log(tail(ordinary, ordinary[5:14])))


@pytest.mark.parametrize(("cells", "expected"), [
    ([f"2026-01-01T{hour:02d}:00" for hour in range(5)], 24.0),
    (["2026-01-01 00:00:00", "2026-01-01 00:10:00", "2026-01-01 00:10:00", "2026-01-01 00:20:00"], 144.0),
    ([str(1_700_000_000 + 300 * step) for step in range(4)], 288.0),
    (["a", "b", "c"], None), (["1", "2", "3"], None), (["2026-01-01T00:00"], None), (["2026-01-01T00:00", ""], None)])
def test_how_many_steps_a_day_has(cells, expected):
    assert steps_a_day({"machine": ["x"] * len(cells), "time": cells}) == expected


def test_trivial_scores_are_told():
    norms = RANDOM.exponential(size=100)
    assert "the same for all" in trivial("latent", np.ones(100), norms)
    assert "as their length" in trivial("reconstruction", norms ** 2, norms)
    assert "reverse order" in trivial("reconstruction", -norms, norms)
    assert trivial("reconstruction", RANDOM.exponential(size=100), norms) is None
    steps = RANDOM.randint(1, 500, 100)
    each, size = RANDOM.exponential(size=100), 1 + 0.01 * RANDOM.exponential(size=100)
    assert trivial("reconstruction", *per_step("reconstruction", each * steps, size * np.sqrt(steps), steps)) is None
    assert "as their length" in trivial("reconstruction", *per_step("reconstruction", size * steps, size * np.sqrt(steps), steps))


@pytest.mark.slow
def test_a_collapsed_model_and_an_inverted_score_are_told(tmp_path):
    """No training at all: the reconstruction is almost nothing, and the error is the length of the sample."""
    spec = {"name": "collapsed", "data": {"type": "breast_cancer", "exclude": {"label": "malignant"}}, "encoder": [],
            "latent": {"type": "continuous", "dim": 1}, "losses": {"reconstruction": "mse"},
            "train": {"steps": 1, "batch_size": 8, "optimizer": {"type": "sgd", "lr": 1e-6}}}
    run = aebuild.open_run(aebuild.train(spec, folder=tmp_path / "run").run)
    for weight in run.model.parameters():
        weight.zero_()
    found = run.score(run.own_split("test"))
    assert any("length ‖x‖" in note for note in found.notes)
    assert found.detection["reconstruction"].roc_auc > 0.9
    test = run.own_split("test")
    turned = replace(test, words=["benign" if word == "malignant" else "malignant" for word in test.words])
    assert any("is inverted" in note for note in run.score(turned).notes)
    unlabelled = replace(test, words=["" if row % 2 else word for row, word in enumerate(test.words)])
    judged = run.score(unlabelled).detection["reconstruction"]
    assert judged.samples == (len(test) + 1) // 2


@pytest.mark.slow
def test_the_signed_score_is_the_sum_of_errors_with_their_sign():
    run, values = opened("image"), raw("image")
    found = run.score(values, by=["signed", "all"])
    assert list(found.scores) == ["signed", "reconstruction", "latent", "mahalanobis", "combined"]
    assert "signed" not in run.score(values, by="all").scores
    expected = (run.reconstruct(values) - values).sum((1, 2, 3)) / 16
    assert np.allclose(found.scores["signed"], expected, atol=1e-3)


@pytest.mark.slow
def test_each_column_of_a_mixed_table_is_named(tmp_path):
    rows = ["size,shade,weight", *(f"{number % 5 + 1.5},{'red' if number % 3 else 'blue'},{number % 7 * 1.5}" for number in range(120))]
    (tmp_path / "mixed.csv").write_text("\n".join(rows) + "\n")
    spec = {"name": "mixed", "data": {"path": str(tmp_path / "mixed.csv")}, "encoder": [], "latent": {"type": "continuous", "dim": 2},
            "losses": {"reconstruction": "mixed"}, "train": {"epochs": 2}}
    found = aebuild.open_run(aebuild.train(spec, folder=tmp_path / "run").run).score(str(tmp_path / "mixed.csv"))
    assert found.columns == ("size", "shade", "weight")
    assert found.parts.shape == (120, 3)
    assert set(found.unusual) <= set(found.columns)


@pytest.mark.slow
def test_per_day_counts_windows_by_their_stride_and_a_kept_threshold_belongs_to_its_weights(tmp_path, shell):
    folder = shutil.copytree(run_folder("series"), tmp_path / "run")
    data = series_file(tmp_path / "new.csv", 400)                        # a row a minute, a window each five
    assert shell("score", folder, data, "--threshold", "per-day=28.8", "-q", "--windows")[0] == 0
    run = aebuild.open_run(folder)
    by_window = run.score(str(data), windows=True, threshold="per-sample=0.1")
    kept = run.score(str(data), windows=True)
    assert kept.threshold == by_window.threshold == read_threshold(folder)
    assert run.score(str(data), windows=True, threshold="per-day=28.8").threshold.value == by_window.threshold.value
    by_step = run.score(str(data), threshold="per-day=144").threshold.value
    assert by_step == run.score(str(data), threshold="per-sample=0.1").threshold.value
    told = json.loads((folder / "threshold.json").read_text())
    (folder / "threshold.json").write_text(json.dumps({**told, "weights": "another"}))
    assert run.score(str(data)).threshold.rule == "quantile=0.99"
    with pytest.raises(UsageError, match="not nan"):
        run.score(str(data), threshold=float("nan"))


@pytest.mark.slow
def test_a_table_of_adbench_is_divided_as_its_protocol_says(tmp_path, monkeypatch):
    monkeypatch.setenv("AEBUILD_DATA", str(tmp_path))
    spec = {"data": {"type": "adbench", "name": "thyroid", "split": {"validation": 0}, "scale": "none"}, "encoder": [],
            "latent": {"type": "continuous", "dim": 2}, "losses": {"reconstruction": "mse"}, "train": {"steps": 1}}
    with pytest.raises(DataError) as absent:
        aebuild.train(spec, folder=tmp_path / "run")
    assert "38_thyroid.npz" in absent.value.diagnostics[0].fix
    (tmp_path / "adbench").mkdir()
    x, y = RANDOM.standard_normal((3772, 6)).astype(np.float32), (np.arange(3772) % 40 == 0).astype(int)
    np.savez(tmp_path / "adbench" / "38_thyroid.npz", X=x, y=y)
    with pytest.raises(DataError, match="95 anomalies"):
        aebuild.train(spec, folder=tmp_path / "run")
    y[[0, 40]] = 0
    np.savez(tmp_path / "adbench" / "38_thyroid.npz", X=x, y=y)
    run = aebuild.open_run(aebuild.train(spec, folder=tmp_path / "run").run)
    train, test = (run.own_split(part) for part in ("train", "test"))
    assert {tuple(row) for row in train.split.x} == {tuple(row) for row in x[y == 0][:1839]}
    assert np.array_equal(test.split.x, np.concatenate([x[y == 0][1839:], x[y == 1]]))
    assert test.words == ["normal"] * 1840 + ["anomaly"] * 93
    assert run.score(test).detection["reconstruction"].anomalies == 93
    assert Path(run.run.folder).exists()


def test_some_windows_still_know_where_they_lie():
    split = Split(RANDOM.standard_normal((6, 4, 1)).astype(np.float32), np.arange(6))
    split.windows = Windows(np.arange(0, 12, 2), 4, 14)
    for some, index in ((split.taken(np.arange(3)), [0, 1, 2]), (split.thinned(3), [0, 2, 5])):
        assert np.array_equal(some.x, split.x[index])
        assert some.labels.tolist() == index
        assert (some.windows.starts.tolist(), some.windows.rows) == ([2 * row for row in index], 14)
