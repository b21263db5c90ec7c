"""The tasks that ask samples and codes: what they find, what they keep, and what they cannot answer."""

from __future__ import annotations

import hashlib
import sys
import warnings
from pathlib import Path
from shutil import copytree
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from run_copies import a_run
from sklearn.neighbors import NearestNeighbors
from trained_runs import opened, run_folder

from aebuild.compile.front import load
from aebuild.lang.diagnostics import SpecError, UsageError
from aebuild.lang.tasks import Answer, LinePlot, SampleRows, ScatterPlot, Table, Task
from aebuild.modules.classifier import Classifier, train_classifier
from aebuild.modules.feature_programs import feature_program, program_features
from aebuild.parts import discover
from aebuild.results.inference.new_data import own_splits
from aebuild.results.inference.walks import chosen_rows
from aebuild.results.open_run import OpenRun, open_run
from aebuild.results.trained import TrainedModel

discover()
DISTANCES = {"mmd2", "energy_distance", "precision", "recall", "density", "coverage"}
COPIES = {"nearness", "held_back_share"}


def run_of(kind: str, place: Path) -> OpenRun:
    copytree(run_folder(kind), place / "run")
    return open_run(place / "run")


def asked(run: OpenRun, task: str, **data: Any) -> Answer:
    (kept,) = run.ask(task, **data).values()
    assert set(kept.answer.figures) <= set(Task.variants[str(kept.task["type"])].meanings)  # type: ignore[attr-defined]
    assert all(np.isfinite(value) for value in kept.answer.figures.values())
    return kept.answer


def shown(answer: Answer, kind: type) -> list[Any]:
    return [each for each in answer.exhibits if isinstance(each, kind)]


def drawn(samples: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on these are the samples of every model."""
    monkeypatch.setattr(TrainedModel, "samples", lambda self, count, seed=0: samples[:count])


# ---------------------------------------------------------------------------------------------------------------- samples


def test_samples_of_images_are_compared_by_a_classifier_that_the_run_keeps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("image", tmp_path)
    answer = asked(run, "samples: {count: 60, shown: 3}")
    assert set(answer.figures) == DISTANCES | COPIES
    assert "right on" in answer.notes[0]
    table, = shown(answer, Table)
    ideal = {row[0]: row[2] for row in table.rows}
    assert answer.figures["mmd2"] > 10 * ideal["mmd2"]                       # of a model that was trained for two epochs
    assert (ideal["precision"], ideal["nearness"]) == (pytest.approx(1, abs=0.15), None)
    grid, pairs = shown(answer, SampleRows)
    assert [len(rows) for rows in (*grid.rows.values(), *pairs.rows.values())] == [12, 3, 3]
    assert (tmp_path / "run" / "tasks" / "samples.png").stat().st_size > 1000
    assert (tmp_path / "run" / "classifier.safetensors").exists()
    monkeypatch.setattr("aebuild.modules.classifier.train_classifier", None)              # it is not trained again
    assert asked(run, "samples: {count: 60, shown: 3}").figures == answer.figures
    other = asked(run, "samples: {count: 60, shown: 3, features: data}")
    assert "64 principal components" in other.notes[0] or "data's values" in other.notes[0]
    assert other.figures["mmd2"] != answer.figures["mmd2"]
    assert other.figures["nearness"] == answer.figures["nearness"]


def test_copies_of_training_samples_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("image", tmp_path)
    splits = own_splits(run)
    drawn(splits.train.x[:200], monkeypatch)
    copies = asked(run, "samples: {features: data}")
    assert copies.figures["nearness"] == 0
    assert copies.figures["held_back_share"] == 0
    assert any("memorised" in note for note in copies.notes)
    pairs = shown(copies, SampleRows)[1].rows
    np.testing.assert_array_equal(pairs["samples"], pairs["the training sample nearest to each"])
    drawn(splits.validation.x, monkeypatch)
    fresh = asked(run, "samples: {features: data}")
    assert fresh.figures["nearness"] == pytest.approx(1, abs=0.1)
    assert fresh.figures["held_back_share"] == pytest.approx(1, abs=0.6)
    assert abs(fresh.figures["mmd2"]) < 0.01
    flat = splits.validation.x.reshape(len(splits.validation), -1)
    drawn(splits.validation.x[NearestNeighbors(n_neighbors=3).fit(flat).kneighbors(flat)[1]].mean(1), monkeypatch)
    smooth = asked(run, "samples: {features: data}")
    assert smooth.figures["nearness"] < 0.9
    assert not any("memorised" in note for note in (*fresh.notes, *smooth.notes))
    assert any("smoother, not copied" in note for note in smooth.notes)


def test_few_held_back_samples_do_not_tell_copies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("image", tmp_path)
    splits = own_splits(run)
    drawn(splits.train.x[:200], monkeypatch)
    some = chosen_rows(run.own_split("test"), range(6))
    note = asked(run, "samples: {features: data}", data=some).notes[-1]
    assert "0 times as far" in note and "6 held-back samples are too few to tell" in note


def test_samples_of_judged_training_samples_have_nothing_to_be_compared_with(tmp_path: Path) -> None:
    run = run_of("table", tmp_path)
    answer = asked(run, "samples: {count: 40}", data=run.own_split("train"))
    assert set(answer.figures) == DISTANCES
    assert "nothing to compare copies with" in answer.notes[-1]
    assert all(row[2] is None for row in shown(answer, Table)[0].rows)


def test_samples_of_tokens_are_compared_by_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("tokens", tmp_path)
    answer = asked(run, "samples: 20")
    assert set(answer.figures) == {"unigram_divergence", "bigram_divergence", "trigram_divergence", "distinct_trigrams", *COPIES}
    drawn(own_splits(run).test.x, monkeypatch)
    real = asked(run, "samples: 20")
    assert real.figures["trigram_divergence"] == pytest.approx(0, abs=1e-9)
    assert answer.figures["trigram_divergence"] > 0.5


def test_samples_that_cannot_be_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("table", tmp_path)
    with pytest.raises(UsageError, match="cannot decode"):
        opened("skips").ask("samples")
    with pytest.raises(UsageError, match="30 neighbours need more samples than the 30"):
        run.ask("samples: {neighbours: 30}")
    bad = own_splits(run).test.x.copy()
    bad[3, 1] = np.nan
    drawn(bad, monkeypatch)
    with pytest.raises(UsageError, match="1 of 30 samples have values that are no numbers"):
        run.ask("samples")
    drawn(own_splits(run).test.x, monkeypatch)
    with pytest.raises(UsageError, match="distances have no scale"):
        run.ask("samples: {features: data}", data=np.tile([[10.0, 0, -5, 100]], (20, 1)))


@pytest.mark.parametrize(("kind", "task", "why"), [
    ("series", "{features: classifier}", "a classifier needs labels"),
    ("tokens", "{features: data}", "compared by runs of tokens"),
    ("image", "{features: clasifier}", "neither data nor classifier nor a file"),
    ("image", f"{{sha256: {'a' * 64}}}", "`features` names none")])
def test_features_that_there_are_not_are_refused_before_a_training(kind: str, task: str, why: str) -> None:
    with pytest.raises(SpecError, match=why) as told:
        opened(kind).ask(f"samples: {task}")
    assert told.value.diagnostics[0].code == "AE371"


def test_a_classifier_without_classes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("image", tmp_path)
    ask = TrainedModel.__init__

    def one_class(self: TrainedModel, *args: Any) -> None:
        ask(self, *args)
        self.splits.train.labels[:] = 3

    monkeypatch.setattr(TrainedModel, "__init__", one_class)
    with pytest.raises(UsageError, match="all of the training data are of one class"):
        run.ask("samples: {count: 20, features: classifier}")
    assert "principal components" in asked(run, "samples: {count: 20}").notes[0] or "values" in asked(run, "samples: 20").notes[0]


def program(place: Path, *, exported: bool = False, size: int = 64) -> tuple[Path, torch.nn.Module]:
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(size, 5)).eval()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r".*torch\.jit")
        if exported:
            file = place / "features.pt2"
            shapes = ({0: torch.export.Dim.AUTO},)
            torch.export.save(torch.export.export(module, (torch.ones(4, 1, 8, 8),), dynamic_shapes=shapes), file)
        else:
            file = place / "features.ts"
            torch.jit.script(module).save(file)
    return file, module


def test_features_of_a_file_are_checked_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("image", tmp_path)
    file, _ = program(tmp_path)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    monkeypatch.chdir(tmp_path)
    answer = asked(run, "samples: {count: 30, features: features.ts}")
    assert f"SHA-256 {digest}; write `sha256`" in answer.notes[0]
    held = run.ask(f"samples: {{count: 30, features: {file}, sha256: {digest}}}")["samples"]
    assert held.answer.figures == answer.figures
    assert held.answer.notes[0].endswith(digest)
    assert held.task["features"] == str(file)
    with pytest.raises(UsageError, match=f"has SHA-256 {digest}, not aaaa"):
        run.ask(f"samples: {{features: {file}, sha256: {'a' * 64}}}")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        run.ask("samples: {features: lost.pt}")
    (tmp_path / "text.pt").write_text("no program")
    with pytest.raises(UsageError, match="no ZIP archive"):
        run.ask("samples: {features: text.pt}")
    (tmp_path / "cut.ts").write_bytes(file.read_bytes()[:-400])
    with pytest.raises(UsageError, match="no program that torch can load"):
        run.ask("samples: {features: cut.ts}")
    (tmp_path / "other").mkdir()
    small, _ = program(tmp_path / "other", size=3)
    with pytest.raises(UsageError, match=r"does not take samples of \(180, 1, 8, 8\)"):
        run.ask(f"samples: {{features: {small}}}")


def test_features_of_an_exported_program_are_the_modules(tmp_path: Path) -> None:
    file, module = program(tmp_path, exported=True)
    x = torch.rand(7, 1, 8, 8)
    torch.testing.assert_close(program_features(feature_program(file.read_bytes(), ".pt2"), x, batch=4), module(x))
    with pytest.raises(ValueError, match="no program"):
        feature_program(file.read_bytes()[:-100], ".pt2")
    with pytest.raises(ValueError, match="no 7 rows of finite numbers"):
        program_features(lambda part: part.sum(), x)
    with pytest.raises(ValueError, match="no 7 rows of finite numbers"):
        program_features(lambda part: part.flatten(1) / 0, x)


def test_a_spec_names_the_file_from_its_own_folder(tmp_path: Path) -> None:
    file, _ = program(tmp_path)
    text = "data: digits\nencoder: [linear: 4]\nlatent: {type: continuous, dim: 2}\nevaluate: {tasks: [samples: {features: features.ts}]}\n"
    task, = load(tmp_path / "spec.yaml", text=text).require().spec.evaluate.tasks
    assert task.settled(tmp_path).features == str(file)  # type: ignore[attr-defined]
    assert Task.named("samples").settled(tmp_path) == Task.named("samples")


@pytest.mark.parametrize("shape", [(2, 9, 33), (1, 40, 8), (6,), (5, 3)])
def test_a_small_classifier_learns_what_can_be_learned(shape: tuple[int, ...]) -> None:
    labels = torch.arange(300) % 3
    x = 7 + torch.rand(300, *shape, generator=torch.Generator().manual_seed(0)) + labels.reshape(-1, *[1] * len(shape))
    before = torch.get_rng_state()
    model = train_classifier(x, labels, 3, 0, lambda done, whole: None)
    assert torch.equal(before, torch.get_rng_state())
    assert (model(x).argmax(1) == labels).float().mean() > 0.9
    assert model.features(x).shape == (300, 64)
    again = Classifier(shape, 3)
    again.load_state_dict(train_classifier(x, labels, 3, 0, lambda done, whole: None).state_dict())
    assert torch.equal(again(x), model(x))
    with pytest.raises(ValueError, match="needs samples"):
        train_classifier(x[:0], labels[:0], 3, 0, lambda done, whole: None)


# ------------------------------------------------------------------------------------------------------------- latent maps


def test_a_map_of_codes_has_points_with_labels_and_rows(tmp_path: Path) -> None:
    run = run_of("image", tmp_path)
    answer = asked(run, "latent_map: {limit: 60, neighbours: 4, maps: [pca, tsne], perplexity: 5}")
    names = ("trustworthiness", "continuity")
    assert list(answer.figures) == [*names, *(f"{method}_{name}" for method in ("pca", "tsne") for name in names),
                                    "purity", "adjusted_rand", "mutual_information", "silhouette"]
    pca, tsne = shown(answer, ScatterPlot)
    assert (pca.points.shape, tsne.points.shape, pca.names) == ((60, 2), (60, 2), tuple("0123456789"))
    test = own_splits(run).test
    assert test.labels is not None
    np.testing.assert_array_equal(pca.labels, test.labels[pca.rows])
    codes = run.encode(run.own_split("test")).values[pca.rows]
    first = np.linalg.svd(codes - codes.mean(0))[2][0]
    assert abs(np.corrcoef(pca.points[:, 0], codes @ first)[0, 1]) == pytest.approx(1, abs=1e-4)
    rows = dict(row for row in shown(answer, Table)[0].rows)
    assert rows["codes"] == answer.figures["purity"]
    assert rows["by chance"] < rows["codes"] < rows["data"]


@pytest.mark.parametrize("kind", ["codebook", "series", "tokens"])
def test_maps_of_every_kind_of_code(kind: str, tmp_path: Path) -> None:
    answer = asked(run_of(kind, tmp_path), "latent_map: {neighbours: 3, maps: [pca]}")
    assert ("purity" in answer.figures) == (kind == "codebook")
    assert ("trustworthiness" in answer.figures) == (kind != "tokens")
    assert any("no labels" in note for note in answer.notes) == (kind != "codebook")
    assert shown(answer, ScatterPlot)[0].points.shape[1] == 2


def test_maps_that_cannot_be_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("table", tmp_path)
    with pytest.raises(UsageError, match="15 neighbours need more than 30 samples, and 30"):
        run.ask("latent_map: {neighbours: 15}")
    found = run.ask("latent_map")["latent_map"].answer
    assert any("no t-SNE: a perplexity of 30 needs more samples than the 30" in note for note in found.notes)
    assert len(shown(found, ScatterPlot)) == 1                    # that of PCA
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(UsageError, match=r'pip install "aebuild\[umap\]"'):
        run.ask("latent_map: {maps: [umap]}")
    monkeypatch.setattr(TrainedModel, "code_values", lambda self, split: np.ones((len(split), 3)))
    with pytest.raises(UsageError, match="all codes are the same"):
        run.ask("latent_map: {maps: [pca]}")
    monkeypatch.setattr(TrainedModel, "code_values", lambda self, split: np.full((len(split), 3), np.inf))
    with pytest.raises(UsageError, match="no numbers"):
        run.ask("latent_map: {maps: [pca]}")
    monkeypatch.setattr(TrainedModel, "code_values", lambda self, split: np.arange(len(split), dtype=float)[:, None] ** 2)
    line = asked(run, "latent_map: {maps: [pca, tsne], neighbours: 3, perplexity: 4}")
    assert not shown(line, ScatterPlot)[0].points[:, 1].any()                     # a code of one value has one direction
    assert line.figures["pca_trustworthiness"] == 1


def test_one_class_has_no_figures_of_classes(tmp_path: Path) -> None:
    run = run_of("table", tmp_path)
    data = np.random.default_rng(0).standard_normal((30, 4))
    answer = asked(run, "latent_map: {maps: [pca], neighbours: 3}", data=data)
    assert "no labels" in answer.notes[0]
    part = run.own_split("test")
    part.split.labels[:] = 0  # type: ignore[index]
    answer = asked(run, "latent_map: {maps: [pca], neighbours: 3}", data=part)
    assert "one class" in answer.notes[0]
    part.split.labels[:28] = -1  # type: ignore[index]
    part.split.labels[29] = 1  # type: ignore[index]
    assert "2 samples with labels are too few" in asked(run, "latent_map: {maps: [pca], neighbours: 3}", data=part).notes[0]


def test_umap_draws_what_the_library_draws(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library itself takes a while to start, so its stand-in sees what it would be asked."""
    seen: dict[str, Any] = {}

    class Stand:
        def __init__(self, **settings: Any) -> None:
            seen.update(settings)

        def fit_transform(self, codes: np.ndarray) -> np.ndarray:
            warnings.warn("from inside", UserWarning, stacklevel=1)
            return codes[:, :2]

    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Stand))
    answer = asked(run_of("table", tmp_path), "latent_map: {maps: [umap], neighbours: 4, seed: 3}")
    assert seen == {"n_neighbors": 4, "random_state": 3, "n_jobs": 1}
    assert answer.figures["umap_trustworthiness"] == 1


# ------------------------------------------------------------------------------------------------------------------- codes


def test_units_of_a_variational_code(tmp_path: Path) -> None:
    run = run_of("image", tmp_path)
    answer = asked(run, "codes: {threshold: 1e-4}")
    figures = answer.figures
    assert (figures["active_units"], figures["dead_units"]) == (4, 0)
    values = run.encode(run.own_split("test")).values.astype(float)
    assert figures["total_correlation"] == pytest.approx(-0.5 * np.log(np.linalg.det(np.corrcoef(values.T))), rel=1e-4)
    assert 1 <= figures["effective_dimension"] <= 4
    kl = run.evaluate().model.terms["kl"]
    assert figures["mutual_information"] + figures["aggregate_kl"] == pytest.approx(kl, rel=1e-4)
    assert asked(run, "codes: {threshold: 100}").figures["dead_units"] == 4
    assert shown(answer, LinePlot)[0].y == "variance"


def test_entries_of_a_codebook(tmp_path: Path) -> None:
    run = run_of("codebook", tmp_path)
    figures = asked(run, "codes").figures
    usual = run.evaluate().model.metrics
    assert figures["usage"] == pytest.approx(usual["usage"])
    assert figures["perplexity"] == pytest.approx(usual["perplexity"], rel=1e-5)
    assert figures["dead_entries"] == round(12 * (1 - figures["usage"]))
    assert figures["perplexity"] == pytest.approx(2 ** figures["entropy"])
    assert figures["coded_bits"] < figures["code_bits"] == pytest.approx(16 * np.log2(12))
    assert figures["coded_bits"] < figures["lzma_bits"]


def test_books_are_counted_one_by_one(tmp_path: Path) -> None:
    run = open_run(a_run(tmp_path / "run", "latent={type: codebook, codes: 5, dim: 4, groups: 2}"))
    answer = asked(run, "codes")
    indices = run.encode(run.own_split("test")).indices
    assert indices is not None
    assert answer.figures["usage"] == pytest.approx(np.mean([len(set(column)) / 5 for column in indices.T]))
    assert list(shown(answer, LinePlot)[0].lines) == ["codebook 1", "codebook 2"]


def test_codes_that_have_collapsed_or_are_too_few(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("table", tmp_path)
    real = TrainedModel.codes
    with pytest.raises(UsageError, match="one sample"):
        run.ask("codes", data=np.ones((1, 4)))
    for codes, told in ((np.ones((30, 3)), "collapsed"), (np.random.default_rng(0).random((30, 40)), "sums of others"),
                        (np.random.default_rng(0).random((30, 2_049)), "too large")):
        monkeypatch.setattr(TrainedModel, "codes", lambda self, split, codes=codes: codes)
        answer = asked(run, "codes")
        assert any(told in note for note in answer.notes)
        assert "total_correlation" not in answer.figures
        assert answer.figures["active_units"] + answer.figures["dead_units"] == codes.shape[1]
    monkeypatch.setattr(TrainedModel, "codes", lambda self, split: np.full((30, 2), np.nan))
    with pytest.raises(UsageError, match="no numbers"):
        run.ask("codes")
    monkeypatch.setattr(TrainedModel, "codes", real)
    assert "mutual_information" not in asked(run, "codes").figures


def test_more_information_than_samples_can_show_is_a_lower_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aebuild.metrics.code_statistics.mixture_information", lambda draws, means, widths: 0.95 * np.log(len(draws)))
    answer = asked(run_of("image", tmp_path), "codes: 100")
    assert answer.figures["mutual_information"] == pytest.approx(0.95 * np.log(100))
    assert "aggregate_kl" not in answer.figures
    assert "lower bound" in answer.notes[-1]
