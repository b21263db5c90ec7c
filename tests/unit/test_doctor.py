"""The doctor: each failure is planted in a real training and must be named first, its fix must remove it, and a sound run gets nothing."""

from __future__ import annotations

import importlib.util
import json
import math
import shutil
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import ModuleType

import numpy as np
import pytest
from command_line import called
from run_copies import a_run

from aebuild.compile.front import load
from aebuild.results.curves import Curves
from aebuild.results.diagnosis.capacity import TooNarrow
from aebuild.results.diagnosis.cause import Clear, Finding
from aebuild.results.diagnosis.causes import CAUSES, examine, likeliest
from aebuild.results.diagnosis.copies import copies, repeats_by_chance
from aebuild.results.diagnosis.diagnose import Diagnosis, diagnose
from aebuild.results.diagnosis.evidence import Evidence, under_final_weights
from aebuild.results.diagnosis.length import TooShort
from aebuild.results.diagnosis.measurements import Gap, Spectrum, spectrum
from aebuild.results.diagnosis.posterior import noise_of
from aebuild.results.diagnosis.scale import LikelihoodScale
from aebuild.results.evaluate import Evaluation, Scores
from aebuild.results.open_run import open_run

ROOT = Path(__file__).parents[2]


def script(path: Path) -> ModuleType:
    """A script as a module."""
    spec = importlib.util.spec_from_file_location(f"script_{path.parent.name}_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


benchmark = script(ROOT / "benchmarks" / "doctor.py")
FOLDER = Path(mkdtemp(prefix="aebuild-doctor-"))
# what is planted, the code that must come first, and epochs that are enough for a test
CODES = {"collapse": ("AE587", 6), "codebook": ("AE588", 6), "wide": ("AE585", 8), "narrow": ("AE585", 8), "diverged": ("AE581", 30),
         "rate": ("AE582", 20), "slow": ("AE594", 10), "short": ("AE592", 4), "identity": ("AE586", 10), "critic": ("AE589", 12),
         "leak": ("AE583", 10), "norm": ("AE590", 40), "by heart": ("AE591", 50), "dead units": ("AE593", 30), "size": ("AE584", 25)}
MENDED = ("codebook", "diverged", "rate", "slow", "leak", "wide")


@cache
def planted(name: str) -> Diagnosis:
    """The diagnosis of a run with this failure, trained once for all tests of a process."""
    spec = benchmark.PLANTED[name].whole(name.replace(" ", "-"), FOLDER)
    spec["train"]["epochs"] = CODES[name][1]
    found: Diagnosis = benchmark.trained(spec, FOLDER / name.replace(" ", "-"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", CODES)
def test_the_planted_failure_is_named_first(name: str) -> None:
    found = planted(name)
    assert found.findings, [each.to_json() for each in found.clear]
    first = found.findings[0]
    assert (first.rule.code, first.cause) == (CODES[name][0], benchmark.PLANTED[name].cause)
    assert first.figures
    assert all(isinstance(value, str) or math.isfinite(value) for value in first.figures.values())
    json.dumps(found.to_json(), allow_nan=False)


@pytest.mark.slow
@pytest.mark.parametrize("name", MENDED)
def test_its_fix_removes_it_and_helps(name: str) -> None:
    before = planted(name)
    after = benchmark.mended(before, benchmark.PLANTED[name], FOLDER / f"{name}-mended")
    assert after is not None
    assert CODES[name][0] not in [each.rule.code for each in after.findings]
    if benchmark.PLANTED[name].better:
        assert benchmark.error(after) < benchmark.error(before)


@pytest.mark.slow
def test_a_training_that_was_too_short_goes_on() -> None:
    """On a copy, since a resumed run is another one."""
    again = FOLDER / "short-again"
    shutil.copytree(planted("short").run, again)
    before = diagnose(again, open_run)
    after = benchmark.mended(before, benchmark.PLANTED["short"], again)
    assert after is not None
    assert after.epochs > before.epochs
    assert "AE592" not in [each.rule.code for each in after.findings]
    assert benchmark.error(after) < benchmark.error(before)


@pytest.mark.slow
def test_after_a_training_and_by_the_doctor_the_same_is_said() -> None:
    """AE702 names the cause that the doctor finds, with the same fix."""
    for name in ("collapse", "codebook", "slow"):
        told = json.loads((planted(name).run / "evaluation.json").read_text())["warnings"][0]
        first = planted(name).findings[0]
        assert told["code"] == "AE702"
        assert told["fix"] == str(first.fix)
        assert first.message in told["message"]


@pytest.mark.slow
def test_a_sound_run_gets_nothing_and_is_told_what_was_looked_at() -> None:
    spec = benchmark.Planted("", benchmark.HEALTHY["linear"][0], {"epochs": 60, "optimizer": {"lr": 1e-2}})
    found = benchmark.trained(spec.whole("healthy", FOLDER), FOLDER / "healthy")
    assert found.findings == found.remarks == ()
    assert {"leaked split", "training too short", "dead units"} <= {each.rule.title for each in found.clear}
    assert not found.skipped


@pytest.mark.slow
def test_pairs_of_a_leak_are_the_rows_of_the_file() -> None:
    """Row 600 + i of the planted file is a copy of row 3·i."""
    first = planted("leak").findings[0]
    assert first.examples
    for pair in first.examples:
        low, high = sorted((pair["judged row"], pair["training row"]))
        assert high - 600 == low / 3


def test_a_stopped_run_is_to_be_resumed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run")
    (run / "evaluation.json").unlink()
    (run / "log.txt").write_text("2026-01-01 00:00:00 training small on digits, CPU\n2026-01-01 00:00:09 stopped: AE506: SIGTERM came\n")
    code, out, _ = called(("doctor", run, "--json"), monkeypatch, capsys)
    first = json.loads(out)["findings"][0]
    assert (code, first["code"], first["certainty"], first["command"]) == (0, "AE580", "certain", True)
    assert first["fix"].startswith("aebuild train --resume ")
    (run / "log.txt").write_text("2026-01-01 00:00:00 training small on digits, CPU\n2026-01-01 00:00:09 stopped: AE602: the disk is full\n")
    _, out, _ = called(("doctor", run), monkeypatch, capsys)
    assert "aebuild explain AE602" in out
    assert "looked for in vain" in out


def test_without_a_checkpoint_the_curves_are_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
                                                       capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run")
    shutil.rmtree(run / "checkpoints")
    _, out, _ = called(("doctor", run, "--json"), monkeypatch, capsys)
    told = json.loads(out)
    assert {each["cause"] for each in told["not_looked_for"]} >= {"leaked split", "dead units", "collapsed posterior"}
    assert all("checkpoint" in each["reason"] for each in told["not_looked_for"])


def test_what_is_damaged_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run")
    (run / "evaluation.json").write_text("{")
    _, out, _ = called(("doctor", run), monkeypatch, capsys)
    assert "the run is damaged" in out
    assert "evaluation.json is not JSON" in out
    assert "nothing found" not in out
    (run / "metrics.jsonl").write_text('{"phase": "main", "epoch": 1, "step": 4, "split": "train", "loss": 1.0, "terms": {}, "lr": {"a": "x"}}\n')
    code, _, err = called(("doctor", run), monkeypatch, capsys)
    assert code == 5
    assert "metrics.jsonl is not what aebuild writes: lr.a" in " ".join(err.split())


def test_data_that_are_gone_are_told(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32))
    run = a_run(tmp_path / "run", f"data={{path: {tmp_path / 'rows.npy'}, scale: none}}", "losses.reconstruction=mse")
    (tmp_path / "rows.npy").unlink()
    found = open_run(run).doctor()
    assert "rows.npy" in found.skipped["leaked split"]
    assert "ended early" in {each.rule.title for each in found.clear}


def test_what_is_no_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = called(("doctor", tmp_path / "none"), monkeypatch, capsys)
    assert code == 5
    assert "AE502" in err


def test_quiet_says_findings_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = a_run(tmp_path / "run")
    _, out, _ = called(("doctor", run, "-q"), monkeypatch, capsys)
    assert out.startswith("1. training too short (AE592, likely)")
    assert "looked for in vain" not in out


# by made-up evidence, without a training

def evidence(settings: tuple[str, ...] = (), *, model: float = 0.5, pca: float = 0.4, mean: float = 1.0,
             scores: tuple[float, ...] = (5.0, 4.0, 3.9, 3.9, 3.9), terms: dict[str, float] | None = None) -> Evidence:
    text = "name: x\ndata: digits\nencoder: [linear: 16]\nlatent: {type: continuous, dim: 4}\n"
    plan = load("spec.yaml", settings, text=text).require()
    judged = [Scores({"reconstruction": value, **(terms or {})}, value, None) for value in (model, pca, mean)]
    made = Evaluation("x", "test", 9, 4, 128.0, 4, *judged)
    return Evidence(plan, FOLDER, "finished", "", Curves(scores, scores), 100, {}, made, missing={"data": "made up", "model": "made up"})


def test_too_narrow_is_left_when_nothing_else_is_wrong() -> None:
    assert isinstance(TooNarrow().look(evidence(model=0.3)), Clear)
    done = examine(evidence())
    assert [(each.rule.code, each.certainty) for each in done.found] == [("AE596", "possible")]
    assert "dead units" in done.skipped
    assert likeliest(evidence()) == done.found[0]


@pytest.mark.parametrize(("steps", "code", "advice"), [(300, "AE592", "--resume"), (3000, "AE596", "wider or more layers")])
def test_a_curve_that_is_flat_because_the_rate_fell_is_no_minimum(steps: int, code: str, advice: str) -> None:
    """A smaller rate, which a flat curve is else told, would end where this one ended, or sooner."""
    cooled = evidence(("train.optimizer.lr={from: 0.01, to: 1e-5}", f"train.steps={steps}"))
    done = examine(replace(cooled, steps=steps, last_rate=1e-5))
    assert [(each.rule.code, each.certainty) for each in done.found] == [(code, "possible")]
    assert advice in str(done.found[0].fix)
    assert str(examine(cooled).found[0].fix).endswith("--set train.optimizer.lr.from=0.0033")          # of a rate that has not fallen
    worse = examine(replace(evidence(model=1.2), steps=300, last_rate=1e-9))
    assert "AE592" not in [each.rule.code for each in worse.found]


def test_pca_that_is_better_than_a_variational_code_is_a_remark() -> None:
    done = examine(evidence(("latent.type=gaussian",), terms={"kl": 4.0}))
    assert done.found == []
    assert [each.rule.code for each in done.remarks] == ["AE595"]
    assert str(done.remarks[0].fix).endswith("--set losses.kl=0.1")
    assert done.skipped
    assert examine(evidence(("latent.type=gaussian",), model=0.3, terms={"kl": 4.0})).remarks == []
    cheap = examine(evidence(("latent.type=gaussian", "losses.kl=1e-6"), terms={"kl": 4.0}))
    assert ([each.rule.code for each in cheap.found], cheap.remarks) == (["AE596"], [])       # 89 nats at that price are no tenth
    worse = examine(evidence(("latent.type=gaussian",), model=1.2, terms={"kl": 4.0}, scores=(5.0,) * 30))
    assert worse.remarks == []                                   # even the mean is better: that is no price but a failure
    assert worse.found


def test_a_finding_hides_what_follows_from_it_and_what_it_hides_is_known() -> None:
    titles = {cause.rule.title for cause in CAUSES}
    assert len(titles) == len(CAUSES)
    for cause in CAUSES:
        assert set(cause.hides) <= titles - {cause.rule.title}
    falling = evidence(scores=tuple(10 * 0.8 ** epoch for epoch in range(6)))
    done = examine(falling)
    assert [each.cause for each in done.found] == ["training too short"]
    assert "too narrow" in done.hidden


def test_a_few_steps_at_a_large_rate_are_few_steps() -> None:
    """Validation by eight samples rose by chance, and the training loss fell: nothing speaks against the rate yet."""
    made = replace(evidence(("train.optimizer.lr=0.01",), model=1.1), curves=Curves((39.7, 35.1, 32.1), (35.4, 36.0, 36.2)), steps=12)
    assert [each.cause for each in examine(made).found] == ["training too short"]
    assert [each.cause for each in examine(replace(made, steps=1000)).found] == ["learning rate too large"]


@pytest.mark.parametrize(("slowness", "short"), [(1.0, True), (0.1, False)])
def test_a_curve_without_a_baseline_that_is_better_is_short_only_if_it_is_steep(slowness: float, short: bool) -> None:
    """An exponential fall with so many time constants as long as the training, in closed form e^(-t/slowness)."""
    curve = tuple(1 + math.exp(-epoch / 20 / slowness) for epoch in range(21))
    looked = TooShort().look(evidence(model=0.1, scores=curve))
    assert isinstance(looked, Finding) == short


def test_the_last_quarter_of_a_fall_is_what_it_holds() -> None:
    assert Curves((), tuple(8.0 - i for i in range(9))).last_quarter() == pytest.approx(2 / 8)
    assert Curves((), (3.0, 1.0, 1.0, 1.0)).last_quarter() == 0
    assert Curves((), (1.0, 2.0)).last_quarter() == 0
    assert Curves((4.0, 3.0, 3.5, 3.0), ()).largest_rise() == 0
    assert Curves((4.0, 3.0, 3.0, 3.5), ()).largest_rise() == 0.5


def test_a_weight_that_rises_does_not_make_the_loss_rise() -> None:
    plan = load("spec.yaml", ["latent.type=gaussian", "losses.kl.weight={from: 0, to: 2, over: 50%}", "train.epochs=4"],
                text="name: x\ndata: digits\nencoder: [linear: 16]\nlatent: {type: continuous, dim: 4}\n").require()
    records = [{"phase": plan.model_phase.name, "split": "train", "loss": 1.0, "terms": {"reconstruction": 3.0, "kl": 0.5}}]
    assert under_final_weights(plan, records, 100)[0]["loss"] == pytest.approx(3.0 + 2 * 0.5)


@pytest.mark.parametrize(("settings", "noise"), [
    (("losses.reconstruction=mse",), 0.5), (("losses.reconstruction={type: mse, reduction: mean}",), 32.0),
    (("losses.reconstruction={type: gaussian, variance: 3, weight: 2}",), 1.5),
    (("losses.reconstruction={type: gaussian, variance: learned}",), None), (("losses.reconstruction=bernoulli",), None)])
def test_the_noise_of_a_likelihood(settings: tuple[str, ...], noise: float | None) -> None:
    assert noise_of(evidence(settings).plan) == noise


@pytest.mark.parametrize(("variance", "kl", "rises"), [(0.07, "1", True), (2.0, "1", False), (0.07, "{weight: {from: 0, to: 1, over: 10%}}", False)])
def test_beside_a_learned_variance_that_begins_too_wide_the_kl_term_rises(variance: float, kl: str, rises: bool) -> None:
    """A learned variance begins at 1: it would drown what varies by less; a weight that rises already is left as it is."""
    made = evidence(("latent.type=gaussian", "losses.reconstruction={type: gaussian, variance: 100}", f"losses.kl={kl}"), model=0.9,
                    terms={"kl": 0.0})
    made.__dict__["spectrum"] = Spectrum(np.full(64, variance), 64)
    found = LikelihoodScale().look(made)
    assert isinstance(found, Finding)
    assert "variance: learned" in found.fix
    assert ("losses.kl.weight={from: 0, to: 1, over: 20%}" in found.fix) == rises


# measurements

def test_a_spectrum_is_that_of_scikit_learn() -> None:
    from sklearn.decomposition import PCA

    rows = np.random.default_rng(0).normal(size=(50, 8)) * np.arange(1, 9)
    for some in (rows, rows[:6]):                                     # more rows than columns, and fewer
        ours, theirs = spectrum(some), PCA().fit(some)
        assert ours.variances[:len(some) - 1][:8] == pytest.approx(theirs.explained_variance_[:len(some) - 1] * (len(some) - 1) / len(some))
        assert ours.left_after(0) == pytest.approx(some.var(0).mean())
    assert Spectrum(np.array([6.0, 3.0, 1.0]), 3).axes_for(0.9) == 2
    assert Spectrum(np.array([6.0, 3.0, 1.0]), 3).left_after(2) == pytest.approx(1 / 3)
    assert Spectrum(np.array([6.0]), 3).at(2) == 0


def test_a_gap_is_a_share_of_the_larger_figure() -> None:
    assert Gap(1.0, 4.0).share == Gap(4.0, 1.0).share == 0.75
    assert Gap(0.0, 0.0).share == 0


@pytest.mark.parametrize("dimension", [2, 5])
def test_the_dimension_of_a_cloud_is_known_and_chance_makes_no_copies(dimension: int) -> None:
    """Uniform in a cube of `dimension` dimensions, turned into twelve."""
    random = np.random.default_rng(dimension)
    turn = np.linalg.qr(random.normal(size=(12, 12)))[0][:dimension]
    training, judged = (random.uniform(size=(rows, dimension)) @ turn for rows in (3000, 1000))
    found = copies(training, judged)
    assert found.dimension == pytest.approx(dimension, rel=0.25)
    assert found.share < 0.005
    near = copies(training, np.concatenate([judged, training[:40] + 0.02 * found.radius * random.normal(size=(40, 12))]))
    assert {pair[:2] for pair in near.pairs} >= {(1000 + row, row) for row in range(40)}
    assert len(copies(training, training[:40], exact=True).pairs) == 40


def test_constant_samples_and_categories_are_no_leak() -> None:
    random = np.random.default_rng(0)
    black = np.zeros((20, 6))
    assert copies(np.concatenate([random.normal(size=(50, 6)), black]), black).pairs == ()
    assert repeats_by_chance(random.integers(0, 2, size=(500, 8)).astype(float))
    assert not repeats_by_chance(random.integers(0, 16, size=(500, 64)).astype(float))
    assert not repeats_by_chance(random.normal(size=(500, 4)))


def test_every_story_has_its_three_parts_and_stands_on_the_page() -> None:
    page = (ROOT / "docs" / "doctor.md").read_text(encoding="utf-8")
    assert page == script(ROOT / "docs" / "generate.py").doctor()
    for cause in CAUSES:
        places = [cause.rule.story.find(f"**{part}.**") for part in ("Symptom", "Evidence", "Remedy")]
        assert places == sorted(places)
        assert places[0] == 0
        assert f"({cause.rule.code})" in page


def test_dead_units_are_those_that_were_made_dead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Biases far below zero in 12 of 16 units; where no baseline is better that is a remark, and the learning rate has served."""
    import torch

    run = open_run(a_run(tmp_path / "run"))
    with torch.no_grad():
        dict(run.model.named_parameters())["encoder.0.linear.bias"][:12] = -1e6
    found = {each.rule.code: each for each in run.doctor().findings}
    assert "12 of 16 units of encoder.0.activation" in found["AE593"].message
    assert found["AE593"].examples == ({"layer": "encoder.0.activation", "units": 16, "dead": 12},)
    monkeypatch.setattr(Evidence, "verdict", None)
    again = run.doctor()
    assert "AE593" not in [each.rule.code for each in again.findings]
    remark = next(each for each in again.remarks if each.rule.code == "AE593")
    assert "activation=leaky_relu" in remark.fix
    assert "optimizer.lr" not in remark.fix
