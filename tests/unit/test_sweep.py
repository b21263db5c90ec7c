"""`aebuild sweep`: what is varied, which trials none betters, and sweeps that are stopped and gone on with."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from command_line import called
from in_this_process import InThisProcess
from test_bakeoff import quiet, small

from aebuild.lang.diagnostics import SpecError, UsageError
from aebuild.results.comparing import proposals
from aebuild.results.comparing.pareto import non_dominated
from aebuild.results.comparing.proposals import Past, proposed, require
from aebuild.results.comparing.result_files import write_sweep
from aebuild.results.comparing.sweep import SweepAsked, new_sweep, resumed_sweep, run_sweep
from aebuild.results.comparing.trial_figures import objective_of, points_of
from aebuild.results.comparing.varied import Varied, drawn, grid, parse_all, parse_varied, settings_of
from aebuild.trainer.signals import Interrupted

LR = "train.optimizer.lr=1e-3..1e-1(log)"


def test_values_and_ranges_are_read():
    assert parse_varied("latent.dim=2,8,32") == Varied("latent.dim", (2, 8, 32))
    assert parse_varied("encoder.0.linear.activation=relu, none,relu").choices == ("relu", "none")
    assert parse_varied("encoder.width=[8, 4],[16, 8]").choices == ([8, 4], [16, 8])
    assert parse_varied("latent.dim=2..9") == Varied("latent.dim", (), 2, 9, whole=True)
    assert parse_varied(LR) == Varied("train.optimizer.lr", (), 1e-3, 1e-1, log=True)
    assert parse_varied("lr=1e-4..1e-2(log, 3)").grid() == pytest.approx([1e-4, 1e-3, 1e-2])
    assert parse_varied("dim=1..4(9)").grid() == [1, 2, 3, 4]                # whole numbers, each once
    assert parse_varied("data=../a.csv,x/../b.csv").choices == ("../a.csv", "x/../b.csv")          # paths, and no range
    assert settings_of({"a.b": 0.001, "c": [8, 4], "d": "relu", "e": True}) == ["a.b=0.001", "c=[8, 4]", "d=relu", "e=true"]


@pytest.mark.parametrize("written", ["latent.dim", "=2", "latent.dim=", "latent.dim=[2", "lr=1e-2..1e-4", "lr=a..b", "lr=0..1(log)",
                                     "lr=nan..1", "lr=0..1(0)", "dim=5..9(3,log)", "dim=1..9" + 19 * "9", "dim=1..9" + 400 * "9"])
def test_a_variation_that_is_none_is_refused(written):
    with pytest.raises(UsageError, match="AE616"):
        parse_varied(written)


def test_a_grid_has_every_combination_and_needs_points():
    varied = parse_all(["a=1,2", "b=x,y,z"])
    assert [tuple(each.values()) for each in grid(varied)] == list(product([1, 2], "xyz"))
    for wrong in (["lr=0..1"], ["a=1,2", "a=3"], ["a=0.0..1(200)", "b=0.0..1(200)"]):
        with pytest.raises(UsageError, match="AE616"):
            grid(parse_all(wrong))
    with pytest.raises(UsageError) as refused:
        grid(parse_all(["dim=1000000..2000001"]))
    assert grid(parse_all([refused.value.diagnostics[0].fix.split("'")[1]]))[-1] == {"dim": 2000001}          # as it stands


def test_random_trials_lie_in_their_ranges_and_depend_on_their_number_only():
    varied = parse_all([LR, "dim=2..5", "kind=x,y"])
    trials = [drawn(varied, number, 42) for number in range(200)]
    assert trials[7] == drawn(varied, 7, 42) != drawn(varied, 7, 43)
    assert {trial["dim"] for trial in trials} == {2, 3, 4, 5}
    assert {trial["kind"] for trial in trials} == {"x", "y"}
    logs = np.log10([trial["train.optimizer.lr"] for trial in trials])
    assert -3 <= logs.min() < -2.9 and -1.1 < logs.max() <= -1 and abs(logs.mean() + 2) < 0.15


def test_the_front_is_what_trying_all_pairs_finds():
    random = np.random.RandomState(0)
    for size in (1, 2, 3):
        for _ in range(30):
            points = [tuple(row) for row in random.randint(0, 6, (random.randint(0, 25), size)).tolist()]
            better = [any(all(a <= b for a, b in zip(other, point, strict=True)) and other != point for other in points) for point in points]
            assert non_dominated(points) == [not each for each in better]


def test_a_sweep_that_was_stopped_goes_on_and_ends_as_if_it_had_not(tmp_path):
    spec = small(tmp_path, "tiny")
    asked = SweepAsked(["latent.dim=2,6", "encoder.steps.0.width=8,0"], seeds=(1,))
    heard: list[str] = []
    with new_sweep(spec, asked, tmp_path / "out", heard.append) as campaign, pytest.raises(Interrupted):
        run_sweep(campaign, InThisProcess(stop_at=1), quiet)
    assert [text.split(":")[0] for text in heard] == ["tiny-001 cannot be built", "tiny-003 cannot be built"]      # no layer is 0 wide
    workers = InThisProcess()
    with resumed_sweep(tmp_path / "out", (), None) as campaign:
        found = run_sweep(campaign, workers, quiet)
        told, _, files = write_sweep(campaign, found)
    assert len(workers.begun) == 1
    assert {training.contestant for training in found.failures} == {"tiny-001", "tiny-003"}
    assert {each["values"]["latent.dim"]: each["code_bits"] for each in told["trials"]} == {2: 64.0, 6: 192.0}
    points = points_of(found, "reconstruction")
    assert [point.objective.mean for point in points] == sorted(point.objective.mean for point in points)
    small_one = next(point for point in points if point.entry.record.values["latent.dim"] == 2)
    assert small_one.best_for_bits                                         # none has so few bits
    lines = [json.loads(line) for line in (campaign.folder / "runs" / "tiny-000-1" / "metrics.jsonl").read_text().splitlines()]
    best = [line for line in lines if line["split"] == "validation" and line["best"]][-1]
    assert objective_of(campaign.folder / "runs" / "tiny-000-1", "score") == best["score"]
    assert files[0].name == "sweep.md"
    if importlib.util.find_spec("matplotlib") is not None:
        assert files[1].read_bytes().startswith(b"<?xml") and files[2].read_bytes().startswith(b"\x89PNG")


def test_more_random_trials_leave_the_first_ones_as_they_are(tmp_path):
    with new_sweep(small(tmp_path, "tiny"), SweepAsked([LR], "random", 2), tmp_path / "out", quiet) as campaign:
        first = [each.values for each in campaign.record.contestants]
    with resumed_sweep(tmp_path / "out", (), 4) as campaign:
        assert [each.values for each in campaign.record.contestants][:2] == first
        assert [len(campaign.record.contestants), len(campaign.trainings())] == [4, 4]
    with pytest.raises(SpecError, match="dims"):                            # a wrong path is said as for any setting
        new_sweep(small(tmp_path, "tiny"), SweepAsked(["latent.dims=2,4"]), tmp_path / "none", quiet)


def test_paths_are_those_of_the_file_and_those_of_its_canonical_form(tmp_path):
    (tmp_path / "block.yaml").write_text("extends: base.yaml\nencoder: {layer: linear, width: 8}\n")
    small(tmp_path, "base")
    for path in ("encoder.width", "encoder.steps.0.width"):
        new_sweep(str(tmp_path / "block.yaml"), SweepAsked([f"{path}=0,4,6"], "random", 4), tmp_path / path, quiet).__exit__()
        with resumed_sweep(tmp_path / path, (), 8) as campaign:
            held = {each.values[path]: each for each in campaign.record.contestants}
            assert {value: bool(each.refused) for value, each in held.items()} == {0: True, 4: False, 6: False}
            assert "linear: {width: 4}" in campaign.spec_file(held[4].name).read_text()


@pytest.mark.parametrize(("asked", "code"), [
    (SweepAsked(["latent.dim=2"], objective="mse"), "AE873.*there are reconstruction, score"), (SweepAsked(["train.seed=1,2"]), "AE874.*--seeds"),
    (SweepAsked(["name=x,y"]), "AE874")])
def test_what_would_change_or_judge_nothing_is_refused(asked, code, tmp_path):
    with pytest.raises(UsageError, match=code):
        new_sweep(small(tmp_path, "tiny"), asked, None, quiet)


def test_a_grid_has_no_more_trials_and_random_ones_are_not_taken_back(tmp_path):
    for asked, message in ((SweepAsked(["latent.dim=2,4"]), "all its combinations"), (SweepAsked([LR], "random", 3), "asked for 3")):
        new_sweep(small(tmp_path, "tiny"), asked, tmp_path / asked.method, quiet).__exit__()
        for _ in range(2):                                            # and the folder is free again
            with pytest.raises(UsageError, match=message):
                resumed_sweep(tmp_path / asked.method, (), 2)


def test_a_model_proposes_better_values_than_chance():
    pytest.importorskip("optuna")
    varied = parse_all(["x=0.001..1(log)", "n=1..20", "k=a,b"])

    def error(values):
        return (np.log10(values["x"]) + 2) ** 2 + ((values["n"] - 5) / 5) ** 2 + (values["k"] == "b")

    past: list[Past] = []
    for _ in range(40):
        values = proposed(varied, past, 3)
        assert 0.001 <= values["x"] <= 1 and values["n"] in range(1, 21) and values["k"] in ("a", "b")
        past.append(Past(values, error(values)))
    chance = [error(drawn(varied, number, 3)) for number in range(40)]
    assert np.median([each.figure for each in past[20:]]) < 0.7 * np.median(chance)
    assert proposed(varied, past, 3) == proposed(varied, past, 3)           # so that a resumed sweep goes on alike
    assert proposed(varied, [*past[:3], Past(past[3].values, None), Past(past[4].values, None, running=True)], 3)["n"] > 0


def test_a_model_based_sweep_goes_on_with_what_it_was_proposed(tmp_path):
    pytest.importorskip("optuna")
    asked = SweepAsked([LR], "model", 3)
    with new_sweep(small(tmp_path, "tiny"), asked, tmp_path / "out", quiet) as campaign, pytest.raises(Interrupted):
        run_sweep(campaign, InThisProcess(stop_at=1), quiet)
    first = campaign.record.contestants[0].values
    workers = InThisProcess()
    with resumed_sweep(tmp_path / "out", (), None) as campaign:
        found = run_sweep(campaign, workers, quiet)
    assert (len(workers.begun), len(found.entries)) == (2, 3)
    assert campaign.record.contestants[0].values == first


def test_a_missing_package_is_one_message_with_the_command(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"AE617.*optuna") as refused:
        require("optuna", "--method model")
    assert refused.value.diagnostics[0].fix == "pip install optuna"
    assert refused.value.diagnostics[0].rule is proposals.LACKING


@pytest.mark.parametrize(("words", "message"), [
    (["a"], "Say what to vary"), ([], "Give the spec"), (["a", "--vary", "x=1", "--trials", 3], "--trials belongs"),
    (["--resume", "x", "--vary", "x=1"], "--resume goes on"), (["--resume", "x", "--method", "grid"], "--resume goes on")])
def test_options_that_cannot_be_meant_are_refused(words, message, monkeypatch, capsys):
    code, _, err = called(("sweep", *words), monkeypatch, capsys)
    assert code == 2
    assert message in err


@pytest.mark.slow
def test_trials_as_tasks_of_ray(tmp_path):
    pytest.importorskip("ray")
    words = ["sweep", small(tmp_path, "tiny"), "--vary", "latent.dim=2", "--on", "ray", "--jobs", "1", "-o", "out", "--json", "-q"]
    done = subprocess.run([sys.executable, "-m", "aebuild", *words], cwd=tmp_path, capture_output=True, text=True, timeout=500, check=False,
                          env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})
    assert done.returncode == 0, done.stderr
    assert [each["reconstruction"]["count"] for each in json.loads(done.stdout)["trials"]] == [1]
