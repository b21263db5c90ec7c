"""Evaluation tasks: asked in a training or later, kept in the run, read again; and reconstruction's measures against other libraries."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import numpy as np
import pytest
import torch
import yaml
from command_line import called
from run_copies import a_run
from scipy.signal import convolve2d
from scipy.stats import multivariate_normal
from skimage.metrics import structural_similarity
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure
from trained_runs import run_folder

import aebuild
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.data.assemble import load_splits
from aebuild.lang.dataset import Where
from aebuild.lang.diagnostics import CheckpointError, SpecError, UsageError
from aebuild.lang.tasks import Answer, LinePlot, SampleRows, ScatterPlot, Table
from aebuild.lang.values import Tokens
from aebuild.metrics import reconstruction as measures
from aebuild.metrics import walks
from aebuild.parts.tasks.likelihood import Likelihood
from aebuild.results.answers import Kept, answers_of, keep
from aebuild.results.inference.new_data import own_splits
from aebuild.results.inference.walks import chosen_rows
from aebuild.results.open_run import open_run
from aebuild.results.trained import TrainedModel
from aebuild.results.trained_run import TrainedRun


def images(*shape: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    x = random.random(shape).astype(np.float32)
    return x, np.clip(x + 0.2 * random.standard_normal(shape), 0, 1).astype(np.float32)


def test_structural_similarity_is_that_of_scikit_image() -> None:
    x, y = images(3, 2, 20, 17)
    found = measures.ssim(x, y, 1.0)
    wanted = [np.mean([structural_similarity(a.astype(float), b.astype(float), gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                                             data_range=1.0) for a, b in zip(one, two, strict=True)]) for one, two in zip(x, y, strict=True)]
    np.testing.assert_allclose(found, wanted, rtol=1e-10)
    np.testing.assert_allclose(measures.ssim(x, x, 1.0), 1.0)
    with pytest.raises(ValueError, match="11"):
        measures.ssim(x[:, :, :10], y[:, :, :10], 1.0)


def similarity_over_scales(x: np.ndarray, y: np.ndarray) -> float:
    """As Wang's program has it, window by window."""
    ticks = np.arange(-5, 6)
    window = np.exp(-(ticks[:, None] ** 2 + ticks**2) / (2 * 1.5**2))
    window /= window.sum()
    found = 1.0
    for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
        mx, my, xx, yy, xy = (convolve2d(each, window, "valid") for each in (x, y, x * x, y * y, x * y))
        contrast = (2 * (xy - mx * my) + 0.03**2) / (xx - mx**2 + yy - my**2 + 0.03**2)
        light = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        found *= (contrast * light if scale == 4 else contrast).mean() ** weight
        x, y = (each[:each.shape[0] // 2 * 2].reshape(each.shape[0] // 2, 2, -1, 2).mean((1, 3)) for each in (x, y))
    return found


def test_similarity_over_scales_is_the_published_one() -> None:
    x, y = images(2, 1, 176, 192)
    found = measures.ms_ssim(x, y, 1.0)
    np.testing.assert_allclose(found, [similarity_over_scales(a[0].astype(float), b[0].astype(float)) for a, b in zip(x, y, strict=True)])
    other = multiscale_structural_similarity_index_measure(torch.from_numpy(y), torch.from_numpy(x), data_range=1.0, reduction="none")
    np.testing.assert_allclose(found, other.numpy(), rtol=0.01)          # which counts incomplete windows at the last scale


def test_spectra_of_scaled_series_are_apart_by_the_scale() -> None:
    x = np.random.default_rng(1).standard_normal((4, 32, 3))
    np.testing.assert_allclose(measures.log_spectral_distance(x, x), 0)
    np.testing.assert_allclose(measures.log_spectral_distance(x, 2 * x), 20 * np.log10(2), rtol=1e-9)


def test_a_task_of_a_spec_is_asked_in_the_training_and_later_again(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "evaluate.tasks=[reconstruction]")
    kept = answers_of(run)["reconstruction"]
    told = json.loads((run / "evaluation.json").read_text())
    assert told["tasks"] == {"reconstruction": kept.answer.figures}
    assert kept.answer.figures["mse"] == pytest.approx(told["model"]["mse"], rel=1e-5)
    assert kept.answer.figures["surprise"] == pytest.approx(told["model"]["terms"]["reconstruction"], rel=1e-5)
    assert (run / "tasks" / "reconstruction.png").stat().st_size > 1000
    again = open_run(run).ask("{reconstruction: 2}")["reconstruction"]
    assert again.answer.figures == pytest.approx(kept.answer.figures, rel=1e-6)
    rows = next(each for each in again.answer.exhibits if isinstance(each, SampleRows))
    assert rows.rows["originals"].shape == (2, 1, 8, 8)
    table = next(each for each in again.answer.exhibits if isinstance(each, Table))
    figures = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert figures[0]["mse"] == pytest.approx(kept.answer.figures["worst_mse"])
    assert figures[0]["mse"] >= figures[1]["mse"]


@pytest.mark.parametrize("kind", ["image", "codebook", "table", "series", "tokens", "skips"])
def test_every_kind_of_data_is_reconstructed(kind: str, tmp_path: Path) -> None:
    copytree(run_folder(kind), tmp_path / "run")
    run = open_run(tmp_path / "run")
    found = run.ask("reconstruction")["reconstruction"].answer
    usual = run.evaluate().model
    assert found.figures["surprise"] == pytest.approx(usual.terms["reconstruction"], rel=0.05)        # a draw of the code apart
    if usual.accuracy is not None:
        assert found.figures["token_accuracy"] == pytest.approx(usual.accuracy)
        assert found.figures["whole_accuracy"] <= found.figures["token_accuracy"]
    else:
        assert usual.mse is not None
        assert found.figures["mse"] == pytest.approx(usual.mse, rel=0.05)
    assert found.figures["rate"] > 0


def test_what_is_kept_is_read_again(tmp_path: Path) -> None:
    answer = Answer({"figure": 1.5}, (
        Table("t", ("a", "b"), (("x", 1.0), ("y", float("nan")), ("z", -float("inf")))), SampleRows("s", {"one": np.ones((2, 3)), "two": np.zeros((1, 3))}),
        LinePlot("l", "x", "y", {"line": (np.arange(3.0), np.arange(3.0) ** 2)}),
        ScatterPlot("p", np.ones((4, 2)), np.array([0, 1, -1, 0]), ("zero", "one"), np.arange(4))), ("a note",))
    kept = Kept("task", {"type": "reconstruction"}, "test", 4, "best-1", answer)
    keep(tmp_path, kept)
    found = answers_of(tmp_path)["task"].answer
    sound = Table("t", ("a", "b"), (("x", 1.0), ("y", None), ("z", None)))
    assert (found.figures, found.notes, found.exhibits[0]) == (answer.figures, answer.notes, sound)
    told = json.loads(json.dumps(kept.to_json(), allow_nan=False))                # --json and -o: JSON has no NaN
    assert told["tables"] == [{"title": "t", "columns": ["a", "b"], "rows": [list(row) for row in sound.rows]}]
    _, rows, lines, points = found.exhibits
    assert isinstance(rows, SampleRows)
    assert isinstance(lines, LinePlot)
    assert isinstance(points, ScatterPlot)
    np.testing.assert_array_equal(rows.rows["two"], np.zeros((1, 3)))
    np.testing.assert_array_equal(lines.lines["line"][1], [0, 1, 4])
    np.testing.assert_array_equal(points.labels, [0, 1, -1, 0])
    (tmp_path / "tasks" / "task.npz").write_bytes(b"PK cut short")
    with pytest.raises(CheckpointError, match=r"task\.npz is damaged") as told:
        answers_of(tmp_path)
    assert told.value.diagnostics[0].code == "AE541"


def test_the_verb_asks_and_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run")
    code, out, err = called(("evaluate", run, "--task", "reconstruction: 2", "-q"), monkeypatch, capsys)
    assert code == 0, err
    assert "squared error of one value" in out
    assert str(run / "tasks" / "reconstruction.png") in out.replace("\n", "")
    code, out, _ = called(("evaluate", run, "--task", "{reconstruction: {shown: 1, name: mine}}", "--json", "-q"), monkeypatch, capsys)
    assert json.loads(out)["tasks"]["mine"]["figures"]["mse"] > 0
    code, out, _ = called(("compare", run, run, "--json"), monkeypatch, capsys)
    assert set(json.loads(out)["runs"][0]["evaluation"]["tasks"]) == {"reconstruction", "mine"}
    code, _, err = called(("evaluate", run, "--task", "reconstruktion"), monkeypatch, capsys)
    assert code == 3
    assert "reconstruction" in err
    code, _, err = called(("evaluate", run, "--task", "reconstruction", "--task", "reconstruction"), monkeypatch, capsys)
    assert code == 3
    assert "asked twice" in err
    code, _, err = called(("evaluate", run, "--task", ""), monkeypatch, capsys)
    assert (code, "no task is named" in err) == (2, True)


def test_a_task_without_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from aebuild.lang.tasks import Unanswered
    from aebuild.parts.tasks.reconstruction import Reconstruction

    def refuse(self: object, trained: object) -> Answer:
        raise Unanswered("nothing is known of it")

    monkeypatch.setattr(Reconstruction, "evaluate", refuse)
    spec = {"data": {"type": "digits", "limit": 60}, "encoder": {"layer": "linear", "width": 4}, "latent": {"type": "continuous", "dim": 2},
            "train": {"steps": 1}, "evaluate": {"tasks": ["reconstruction"]}}
    outcome = aebuild.train(spec, folder=tmp_path / "run")
    assert outcome.evaluation.tasks["reconstruction"].answer == Answer({}, (), ("nothing is known of it",))
    with pytest.raises(UsageError, match="nothing is known of it") as told:
        open_run(tmp_path / "run").ask("reconstruction")
    assert told.value.diagnostics[0].code == "AE540"
    monkeypatch.setattr(Reconstruction, "evaluate", lambda self, trained: Answer({"good": 1.0, "bad": float("nan")}))
    found = open_run(tmp_path / "run").ask("reconstruction")["reconstruction"].answer
    assert found.figures == {"good": 1.0}
    assert "bad" in found.notes[0]
    monkeypatch.setattr(Reconstruction, "evaluate", refuse)
    code, out, err = called(("evaluate", tmp_path / "run", "--task", "reconstruction", "--task", "codes", "--task", "likelihood", "-q"),
                            monkeypatch, capsys)
    assert (code, err.count("error AE540"), "active_units" in out) == (2, 2, True)
    assert answers_of(tmp_path / "run")["reconstruction"].answer.figures == {"good": 1.0}        # which a refusal does not take away


def test_data_that_cannot_answer_a_task_end_no_training(tmp_path: Path) -> None:
    spec = {"data": {"type": "digits", "limit": 60, "split": {"validation": 10, "test": 1}}, "encoder": [], "train": {"steps": 1},
            "latent": {"type": "continuous", "dim": 2}, "evaluate": {"tasks": ["traversal", "codes"]}}
    kept = aebuild.train(spec, folder=tmp_path / "run").evaluation.tasks
    assert [each.answer.notes for each in kept.values()] == [("one sample does not tell how far its code's values go",),
                                                             ("codes of one sample do not vary",)]
    with pytest.raises(SpecError):
        open_run(tmp_path / "run").ask("no such task")


def analytic(dim: int = 3) -> tuple[TrainedModel, float]:
    """A linear Gaussian model whose posterior is the true one, and the exact mean log-likelihood of its test split."""
    text = f"""
data: {{type: digits, limit: 200}}
encoder: []
latent: {{type: gaussian, dim: {dim}}}
decoder: []
losses: {{reconstruction: {{type: gaussian, variance: 0.25}}}}
"""
    loaded = load("spec.yaml", text=text)
    plan = loaded.require()
    splits = load_splits(plan.spec.data, Where(Path()))
    x = splits.train.x.reshape(len(splits.train), -1).astype(np.float64)
    mean, noise = x.mean(0), 0.25
    values, vectors = np.linalg.eigh(np.cov(x.T))
    weights = vectors[:, -dim:] * np.sqrt(values[-dim:])                      # orthogonal columns: the posterior is diagonal
    spread = noise / ((weights**2).sum(0) + noise)
    model = build(plan).eval()
    found = dict(model.named_parameters())
    to_code, from_code = [name for name in found if name.endswith("weight")]
    with torch.no_grad():
        found[to_code].copy_(torch.from_numpy(np.concatenate([(weights * spread / noise).T, np.zeros((dim, 64))])))
        found[to_code.replace("weight", "bias")].copy_(torch.from_numpy(np.concatenate([-(weights * spread / noise).T @ mean, np.log(spread)])))
        found[from_code].copy_(torch.from_numpy(weights))
        found[from_code.replace("weight", "bias")].copy_(torch.from_numpy(mean))
    run = TrainedRun(None, plan, model, splits.info, splits.scaling, None, "none")  # type: ignore[arg-type]
    assert splits.test is not None
    exact = multivariate_normal(mean, weights @ weights.T + noise * np.eye(64)).logpdf(splits.test.x.reshape(len(splits.test), -1)).mean()
    return TrainedModel(run, splits, splits.test), float(exact)


def test_with_the_true_posterior_every_number_of_draws_gives_the_exact_likelihood() -> None:
    trained, exact = analytic()
    for draws in (1, 5, 40):
        found = Likelihood(draws=draws).evaluate(trained).figures
        assert found["log_likelihood"] == pytest.approx(exact, rel=1e-4)
        assert found["effective_draws"] == pytest.approx(draws, rel=1e-3)
        assert found["bits_per_dimension"] == pytest.approx(-exact / 64 / np.log(2), rel=1e-4)
    assert found["elbo"] == pytest.approx(exact, abs=0.5)           # of draws, where the divergence is not the closed form


def test_more_draws_never_lower_the_bound_by_more_than_chance() -> None:
    trained, exact = analytic()
    with torch.no_grad():
        next(p for name, p in trained.model.named_parameters() if name.endswith("bias"))[-3:].add_(1.0)      # too wide a posterior
    found = [Likelihood(draws=draws).evaluate(trained).figures["log_likelihood"] for draws in (1, 8, 64)]
    assert found[0] < found[1] < found[2] < exact + 0.2


def test_grey_values_have_no_likelihood_until_they_are_binarised(tmp_path: Path) -> None:
    run = open_run(a_run(tmp_path / "run", "latent={type: gaussian, dim: 2}"))
    grey = run.ask("likelihood: 4")["likelihood"].answer
    assert "log_likelihood" not in grey.figures
    assert "binarize" in grey.notes[0]
    for way in ("static", "threshold"):
        found = run.ask(f"likelihood: {{draws: 4, binarize: {way}}}")["likelihood"].answer.figures
        assert found[f"log_likelihood_{way}"] >= found["elbo"]
    plain = open_run(a_run(tmp_path / "plain"))
    with pytest.raises(UsageError, match="not variational"):
        plain.ask("likelihood")


def test_the_bound_of_a_codebook_is_its_terms(tmp_path: Path) -> None:
    copytree(run_folder("codebook"), tmp_path / "run")
    run = open_run(tmp_path / "run")
    found, codes = run.ask("likelihood")["likelihood"].answer.figures, run.plan.latent.codes
    assert isinstance(codes, Tokens)
    assert found["rate"] == pytest.approx(codes.length * np.log(12), rel=1e-6)            # twelve entries, uniform prior
    assert found["distortion"] == pytest.approx(run.evaluate().model.terms["reconstruction"], rel=1e-5)


def test_walks_are_measured() -> None:
    straight = np.linspace(0, 1, 5)[None, :, None] * np.ones((1, 5, 3))
    assert walks.evenness(straight) == pytest.approx(1)
    assert walks.detour(straight) == pytest.approx(1)
    corner = np.array([[[0, 0], [1, 0], [1, 1.0]]])
    assert walks.detour(corner) == pytest.approx(2 / np.sqrt(2))
    assert not np.isfinite(walks.evenness(np.ones((1, 4, 2)))).any()
    assert walks.evenness(np.array([[[0], [0], [1.0]]])) == pytest.approx(2)
    symbols = np.array([[1, 2, 3], [4, 5, 6]])
    assert walks.nearest(symbols, np.array([[1, 2, 9], [0, 0, 6]])).tolist() == pytest.approx([1 / 3, 2 / 3])


BOOK = {"type": "codebook", "codes": 64, "dim": 2, "prior": "empirical"}


@pytest.mark.parametrize("latent", [BOOK, [BOOK, {"type": "gaussian", "dim": 2, "per": "position", "from": "encoder.0"}]], ids=["alone", "above"])
def test_codes_that_a_prior_gives_no_chance_are_told(latent: object, tmp_path: Path) -> None:
    spec = {"data": {"type": "digits", "limit": 30}, "encoder": {"layer": "conv", "width": [3, 4], "stride": 2}, "latent": latent,
            "losses": {"reconstruction": "bernoulli"}, "train": {"steps": 1}}
    run = open_run(aebuild.train(spec, folder=tmp_path / "run").run)
    answer = run.ask("likelihood: {draws: 2, binarize: threshold}")["likelihood"].answer
    assert set(answer.figures) <= {"distortion"}
    assert any("no chance" in note for note in answer.notes)


@pytest.mark.parametrize("kind", ["image", "codebook", "table", "series", "tokens"])
def test_walks_of_every_kind(kind: str, tmp_path: Path) -> None:
    copytree(run_folder(kind), tmp_path / "run")
    run = open_run(tmp_path / "run")
    answer = run.ask("interpolation: {pairs: 2, steps: 5}")["interpolation"].answer
    assert answer.figures["detour"] >= 1 - 1e-6
    rows = answer.exhibits[0]
    assert isinstance(rows, SampleRows)
    (a, b), walk = next((tuple(map(int, title.split(" to "))), walk) for title, walk in rows.rows.items())
    assert walk.shape[0] == 5
    again = run.ask(f"interpolation: {{between: [[{a}, {b}]], steps: 5}}")["interpolation"].answer.exhibits[0]
    assert isinstance(again, SampleRows)
    np.testing.assert_allclose(again.rows[f"{a} to {b}"], walk, atol=1e-5)
    if kind == "codebook":
        with pytest.raises(UsageError, match="discrete code"):
            run.ask("traversal")
    else:
        assert run.ask("traversal: 3")["traversal"].answer.figures["effective_values"] >= 1


def test_walks_without_a_figure_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = open_run(copytree(run_folder("table"), tmp_path / "table"))
    x = own_splits(run).train.x
    monkeypatch.setattr(TrainedModel, "interpolations", lambda self, first, second, steps, **how: x[[[0, 1, 0], [2, 2, 2], [3, 4, 5]]])
    answer = run.ask("interpolation: {pairs: 3, steps: 3}")["interpolation"].answer
    assert set(answer.figures) == {"evenness", "detour"}
    assert [note.split()[0:4] for note in answer.notes] == [["1", "walks", "do", "not"], ["1", "walks", "end", "where"], ["the", "ends", "of", "3"]]


def test_labels_are_added_and_removed(tmp_path: Path) -> None:
    run = open_run(a_run(tmp_path / "run"))
    found = run.ask("traversal: {add: '3', remove: '8', steps: 4, moved: 2}")["traversal"].answer
    same = run.ask("traversal: {add: '3', remove: '3', steps: 4, moved: 2}")["traversal"].answer
    assert found.figures["arithmetic_effect"] > 0.01
    assert same.figures["arithmetic_effect"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(SpecError, match="no class is called"):
        run.ask("traversal: {add: cat}")
    table = open_run(copytree(run_folder("table"), tmp_path / "table"))
    table = replace(table, info=replace(table.info, classes=None, class_names=None))       # as of arrays, whose labels no header counts
    assert table.ask("traversal: {add: odd}")["traversal"].answer.figures["arithmetic_effect"] > 0
    with pytest.raises(UsageError, match="no sample has the label 'cat'; there are even, odd"):
        table.ask("traversal: {add: cat}")
    even = [row for row, word in enumerate(table.own_split("test").words or ()) if word == "even"]
    with pytest.raises(UsageError, match="all samples have the label 'even'"):
        table.ask("traversal: {add: even}", data=chosen_rows(table.own_split("test"), even))


def test_padding_and_holes_count_in_no_task(tmp_path: Path) -> None:
    """Figures of a run are those of its real values alone, and of samples without a real value there are none."""
    draw = np.random.default_rng(0)
    x = (draw.random((70, 1, 12, 12)) < 0.5).astype(np.float32)
    x[40:, :, 3:6] = np.nan                                      # some of the judged samples are whole
    x[50] = np.nan
    np.savez(tmp_path / "holes.npz", x_train=x[:30], x_test=x[30:])
    spec = {"data": {"path": str(tmp_path / "holes.npz"), "as": "grid", "missing": "mask"}, "encoder": [], "losses": {"reconstruction": "bernoulli"},
            "latent": {"type": "gaussian", "dim": 2}, "train": {"steps": 1, "batch_size": 2}}
    run = open_run(aebuild.train(spec, folder=tmp_path / "run").run)
    found = run.ask("reconstruction", "dictionary", "likelihood: {draws: 2}")
    split = run.own_split("test").split
    target, real = split.x, split.beside["mask"]
    outputs = np.concatenate([each.reconstruction.numpy() for each in TrainedModel(run, own_splits(run), split).passes(split)])
    figures, apart = found["reconstruction"].answer.figures, np.square(outputs.astype(float) - target)
    assert figures["mse"] == pytest.approx(apart[real].mean())
    assert figures["worst_mse"] == pytest.approx(max(each[there].mean() for each, there in zip(apart, real, strict=True) if there.any()))
    assert figures["ssim"] == pytest.approx(measures.ssim(target[:10], outputs[:10], 1.0).mean())
    assert list(found["reconstruction"].answer.notes) == [
        "1 samples have no value that is known: they are left out", "30 of the 40 samples have places that do not count: they have no ssim"]
    columns = np.where(real, target, np.nan).reshape(40, -1).astype(float)
    spread = np.nansum(np.square(columns - np.nanmean(columns, 0)))
    assert found["dictionary"].answer.figures["explained_variance"] == pytest.approx(1 - apart[real].sum() / spread)
    told = found["likelihood"].answer.figures                    # zeros and ones, but for what fills the holes
    assert told["bits_per_dimension"] == pytest.approx(-told["log_likelihood"] * 40 / real.sum() / np.log(2))


def test_the_rate_is_what_a_whole_code_costs(tmp_path: Path) -> None:
    """However the loss averages it, and with the indices that have no KL; so for the bound."""
    latent = ("[{codebook: {codes: 4, dim: 2}}, {gaussian: {dim: 3, per: position, from: encoder.0}}]")
    spec = f"""
data: {{type: digits, limit: 60}}
encoder: {{layer: conv, width: [3, 4], stride: 2}}
latent: {latent}
losses: {{reconstruction: bernoulli, kl_1: {{reduction: mean}}}}
train: {{steps: 1}}
"""
    run = open_run(aebuild.train(yaml.safe_load(spec), folder=tmp_path / "run").run)
    rate, told = (run.ask(task)[task].answer.figures["rate"] for task in ("reconstruction", "likelihood"))
    assert told == pytest.approx(rate * np.log(2), rel=0.1)                 # of 200 draws in place of one
    trained = TrainedModel(run, own_splits(run), run.own_split("test").split)
    nats = np.concatenate([outputs.code.terms["kl_1"].flatten(1).sum(1).numpy() for outputs in trained.passes(trained.judged)])
    assert rate == pytest.approx(nats.mean() / np.log(2) + 4 * np.log2(4), rel=1e-5)            # 2×2 places of four entries


def test_models_that_are_told_of_samples_and_whose_mean_is_learned_answer(tmp_path: Path) -> None:
    run = a_run(tmp_path / "run", "data.scale=integer", "condition={label: concat}", "losses.reconstruction={type: ordinal, grades: 17}")
    found = open_run(run).ask("reconstruction", "probe: {labels: 30, epochs: 1}")
    assert found["reconstruction"].answer.figures["surprise"] > 0
    assert {"untrained", "from_scratch"} <= set(found["probe"].answer.figures)
    assert any("the encoder is told the label" in note for note in found["probe"].answer.notes)
