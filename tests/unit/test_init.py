"""`aebuild init`: specs for files of all kinds, which validate without a word and beat PCA."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from command_line import called
from PIL import Image
from scipy.io import wavfile
from sklearn.datasets import load_breast_cancer, load_wine

from aebuild.cli.options import GOALS
from aebuild.compile.front import load
from aebuild.data.autocorrelation import LONGEST, SHORTEST, autocorrelation, length_of, period_of
from aebuild.lang.source import read
from aebuild.results.advising.candidates import WEIGHTS, Goal
from aebuild.results.advising.commented_yaml import commented
from aebuild.results.advising.init_spec import init_spec
from aebuild.results.advising.model_choice import SHARES
from aebuild.results.experiment import train
from aebuild.results.open_run import open_run

WAVE = 24      # steps of a period


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: called(("init", *words), monkeypatch, capsys)


def written(path: Path, names, rows) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([names, *rows])
    return path


def wave(steps: int = 900) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(steps, 2))
    angle = 2 * np.pi * np.arange(steps) / WAVE
    return np.stack([np.sin(angle), np.cos(angle) ** 2], 1) + 0.05 * noise


def dates(steps: int) -> list[str]:
    return [f"2026-01-{1 + step // 1440:02} {step // 60 % 24:02}:{step % 60:02}:00" for step in range(steps)]


def made(kind: str, folder: Path) -> str:
    """A file or folder of a kind, and its name."""
    noise = np.random.default_rng(1)
    match kind:
        case "series.csv":
            written(folder / kind, ["timestamp", "load", "heat"], [[day, *row] for day, row in zip(dates(900), wave().round(4), strict=True)])
        case "machines.csv":
            rows = [[day, name, *row] for name in "AB" for day, row in zip(dates(600), wave(600).round(4), strict=True)]
            written(folder / kind, ["time", "machine", "load", "heat"], rows)
        case "table.csv":
            data = load_wine()
            written(folder / kind, [*data.feature_names, "species"],
                    [[*row, f"kind{label}"] for row, label in zip(data.data.tolist(), data.target, strict=True)])
        case "numbered.csv":
            written(folder / kind, ["id", "a", "b", "c"], [[row, *noise.normal(size=3).round(4)] for row in range(100)])
        case "arrays.npz":
            np.savez(folder / kind, x=load_breast_cancer().data, y=load_breast_cancer().target)
        case "walk.npy":
            np.save(folder / kind, wave())
        case "symbols.npy":
            np.save(folder / kind, noise.integers(0, 9, (200, 12)))
        case "heights.npy":
            np.save(folder / kind, noise.normal(size=(300, 6)) @ noise.normal(size=(6, 6)))
        case "prose.txt":
            (folder / kind).write_text("the quick brown foxes jump over a lazy dog and run\n" * 120)
        case "calls":
            (folder / kind).mkdir()
            for number in range(24):
                sound = 0.3 * np.sin(2 * np.pi * (200 + 20 * number) * np.arange(4000) / 8000)
                wavfile.write(folder / kind / f"{number}.wav", 8000, (32767 * sound).astype(np.int16))
        case "pictures" | "unequal":
            (folder / kind).mkdir()
            for number in range(30):
                side = 20 + (number % 5 if kind == "unequal" else 0)
                shade = np.full((side, side, 3), 40 + 5 * number, np.uint8)
                shade[: 5 + number % 9] = noise.integers(0, 255, 3)
                Image.fromarray(shade).save(folder / kind / f"{number}.png")
    return kind


KINDS = {"series.csv": "sequence(48; 2)", "machines.csv": "sequence(48; 2)", "table.csv": "vector(13)", "numbered.csv": "vector(3)",
         "arrays.npz": "vector(30)", "walk.npy": "sequence(48; 2)", "symbols.npy": "tokens(12; 9)", "heights.npy": "vector(6)",
         "prose.txt": "tokens(64; 30)", "calls": "grid(1; 64×64)",
         "pictures": "grid(3; 20×20)", "unequal": "grid(3; 16×16)", "digits": "grid(1; 8×8)", "wine": "vector(13)"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_data_gets_a_spec_without_findings(kind, run, tmp_path):
    code, out, err = run(made(kind, tmp_path))
    assert (code, err) == (0, "")
    loaded = load(tmp_path / "spec.yaml", text=out)
    assert not loaded.diagnostics
    assert str(loaded.info.value) == KINDS[kind]
    comments = [line for line in out.splitlines() if line.lstrip().startswith("#")]
    assert len(comments) > 5
    assert all(len(line) <= 112 for line in comments)


@pytest.mark.parametrize(("kind", "goal"), [(kind, goal) for kind in ("series.csv", "table.csv", "pictures", "symbols.npy", "digits")
                                            for goal in GOALS if (kind, goal) != ("symbols.npy", "denoise")])
def test_every_goal_gets_a_spec_without_findings(kind, goal, run, tmp_path):
    code, out, err = run(made(kind, tmp_path), "--goal", goal)
    assert (code, err) == (0, "")
    assert not load(tmp_path / "spec.yaml", text=out).diagnostics


def test_the_goals_of_the_verb_are_those_of_the_choice():
    assert set(GOALS) == set(SHARES) == set(WEIGHTS) == set(Goal.__args__)


def test_what_the_columns_are_is_found_out(run, tmp_path):
    table = load(tmp_path / "spec.yaml", text=run(made("table.csv", tmp_path))[1]).spec.data
    assert table.label == "species"
    assert load(tmp_path / "spec.yaml", text=run(made("numbered.csv", tmp_path))[1]).info.columns == ("a", "b", "c")
    written(tmp_path / "counted.csv", ["row", "a", "b"], [[row, row % 7, row % 5] for row in range(100)])
    assert load(tmp_path / "spec.yaml", text=run("counted.csv")[1]).spec.data.index is True
    assert load(tmp_path / "spec.yaml", text=run(made("machines.csv", tmp_path))[1]).spec.data.group == "machine"
    rows = [[day, *row, note] for day, row, note in zip(dates(900), wave().round(4), ["ok", "bad", "late"] * 300, strict=True)]
    written(tmp_path / "noted.csv", ["time", "load", "heat", "note"], rows)
    assert load(tmp_path / "spec.yaml", text=run("noted.csv")[1]).spec.data.columns == ["load", "heat"]


def test_an_array_of_lengths_is_noticed(run, tmp_path, monkeypatch, capsys):
    """In `init` it is taken; without, it is said that padding counts."""
    random = np.random.default_rng(0)
    np.savez(tmp_path / "trips.npz", x=random.random((60, 9, 2)), lengths=random.integers(1, 10, 60))
    code, text, _ = run("trips.npz")
    assert (code, "\n  lengths: lengths\n" in text) == (0, True)
    (tmp_path / "plain.yaml").write_text("data: trips.npz\nencoder: [gru: 4]\nlatent: {type: continuous, dim: 2}\n")
    assert "the array lengths is not used" in called(("validate", "plain.yaml"), monkeypatch, capsys)[2]


def test_categories_and_empty_cells_get_what_they_need(run, tmp_path):
    rows = [[round(np.sin(row), 3), "" if row % 9 == 4 else row % 5, "abc"[row % 3]] for row in range(120)]
    written(tmp_path / "mixed.csv", ["size", "weight", "kind"], rows)
    code, out, err = run("mixed.csv")
    loaded = load(tmp_path / "spec.yaml", text=out)
    assert (code, err, loaded.diagnostics) == (0, "", [])
    assert loaded.spec.losses.reconstruction.variant_name() == "mixed"
    assert loaded.spec.data.missing == "mask"


def test_the_anomaly_is_kept_out_of_training(run, tmp_path):
    noise = np.random.default_rng(0).normal(size=(300, 5)).round(3)
    written(tmp_path / "named.csv", [*"abcde", "class"], [[*row, "fault" if row[0] > 1 else "fine"] for row in noise])
    written(tmp_path / "rare.csv", [*"abcde", "label"], [[*row, int(row[0] > 1.5)] for row in noise])
    for name, odd in (("named.csv", "fault"), ("rare.csv", "1")):
        text = run(name, "--goal", "anomaly")[1]
        assert str(load(tmp_path / "spec.yaml", text=text).spec.data.exclude.label) == odd
        assert "exclude" not in run(name)[1]


@pytest.mark.slow
def test_what_a_spec_for_anomalies_allows_is_known_before_anything_is_trained(tmp_path):
    noise = np.random.default_rng(0).normal(size=(300, 5)).round(3)
    written(tmp_path / "rare.csv", [*"abcde", "label"], [[*row, int(row[0] > 1.5)] for row in noise])
    (tmp_path / "spec.yaml").write_text(init_spec(str(tmp_path / "rare.csv"), "anomaly", tmp_path))
    done = subprocess.run([sys.executable, "-m", "aebuild", "validate", str(tmp_path / "spec.yaml")], capture_output=True, text=True,
                          timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_period_gives_the_window_and_its_absence_the_memory():
    correlation = autocorrelation(wave())
    assert period_of(correlation) == WAVE
    assert length_of(correlation)[0] == 2 * WAVE
    noise = np.random.default_rng(0).normal(size=(4_000, 1))
    assert period_of(autocorrelation(noise)) is None
    assert length_of(autocorrelation(noise))[0] == SHORTEST
    walk = np.cumsum(noise, 0)
    assert SHORTEST < length_of(autocorrelation(walk))[0] <= LONGEST


def test_the_autocorrelation_is_the_plain_sum():
    values = wave(60)
    centred = (values - values.mean(0)) / values.std(0)
    naive = [np.mean([np.mean(centred[:60 - lag, column] * centred[lag:, column]) for column in range(2)]) for lag in range(30)]
    assert autocorrelation(values) == pytest.approx(np.asarray(naive) / naive[0])


def test_the_code_is_as_large_as_the_spectrum_says(run, tmp_path):
    noise = np.random.default_rng(0)
    np.save(tmp_path / "flat.npy", noise.normal(size=(900, 3)) @ noise.normal(size=(3, 20)) + 1e-3 * noise.normal(size=(900, 20)))
    assert load(tmp_path / "spec.yaml", text=run("flat.npy")[1]).plan.latent.values == 3


def test_binary_values_get_their_likelihood(run, tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (200, 1, 6, 6)).astype(np.float32)
    np.save(tmp_path / "bits.npy", bits)
    assert load(tmp_path / "spec.yaml", text=run("bits.npy")[1]).spec.losses.reconstruction.variant_name() == "bernoulli"


def test_the_spec_finds_its_data_from_its_own_folder(run, tmp_path):
    made("table.csv", tmp_path)
    (tmp_path / "specs").mkdir()
    code, out, err = run("table.csv", "-o", "specs/mine.yaml")
    assert (code, out) == (0, "")
    assert "aebuild train specs/mine.yaml" in err
    assert load(tmp_path / "specs" / "mine.yaml").spec.data.path == "../table.csv"
    assert not load(tmp_path / "specs" / "mine.yaml").diagnostics


def test_a_file_is_replaced_by_force_only(run, tmp_path):
    (tmp_path / "mine.yaml").write_text("precious")
    code, _, err = run("digits", "-o", "mine.yaml")
    assert code == 2
    assert "AE553" in err
    assert (tmp_path / "mine.yaml").read_text() == "precious"
    assert run("digits", "-o", "mine.yaml", "--force")[0] == 0
    assert "precious" not in (tmp_path / "mine.yaml").read_text()
    assert run("digits", "--force")[0] == 2


def test_data_that_are_not_there_or_not_read_are_the_data_s_own_errors(run, tmp_path):
    (tmp_path / "notes.docx").write_text("x")
    (tmp_path / "void").mkdir()
    (tmp_path / "ids.csv").write_text("id,note\n" + "".join(f"{row},note {row}\n" for row in range(90)))
    np.savez(tmp_path / "two.npz", one=np.zeros((9, 2)), other=np.zeros((9, 2)))
    np.save(tmp_path / "holes.npy", np.where(np.arange(300)[:, None] % 9, wave(300), [[np.nan, np.inf]]))
    np.save(tmp_path / "none.npy", np.zeros((0, 4)))
    for name, told in {"gone.csv": "AE401", "notes.docx": "AE4", "void/": "AE4", "ids.csv": "note holds 90 different words",
                       "two.npz": "with array: one under data", "holes.npy": "AE405", "none.npy": "0 samples"}.items():
        code, out, err = run(name)
        assert (code, out) == (4, "")
        assert told in err.replace("\n  ", " ")
        assert "spec.yaml" not in err                        # of which nobody has heard yet
    code, _, err = run("minst")
    assert code in (3, 4)
    assert "mnist" in err


@pytest.mark.parametrize("rows", [[[1.0]] * 50, [[1.0, 2.0]] * 50, [[1.0, 2.0], [2.0, 3.0]]])
def test_nothing_can_be_learned_from_too_little(rows, run, tmp_path):
    np.save(tmp_path / "x.npy", np.asarray(rows))
    code, _, err = run("x.npy")
    assert code == 4
    assert "AE554" in err


def test_few_symbols_get_a_narrow_network(tmp_path):
    (tmp_path / "few.jsonl").write_text("".join(f'{{"text": "{row % 7} of {row:09}"}}\n' for row in range(30)))
    for goal in ("represent", "compress"):
        assert not load(tmp_path / "spec.yaml", text=init_spec(str(tmp_path / "few.jsonl"), goal, tmp_path)).diagnostics


def test_names_of_users_stay_in_their_comments(run, tmp_path):
    (tmp_path / "odd").mkdir()
    made("table.csv", tmp_path)
    odd = tmp_path / "odd" / "a\nname: x # b.csv"
    (tmp_path / "table.csv").rename(odd)
    code, out, _ = run(str(odd))
    assert code == 0
    assert read(out, "x")[0].plain()["name"] == "a_name_x_b"


def test_comments_end_with_their_line():
    text = commented({"a": {"b": 1, "c": [2]}, "d": 3}, {"a.b": "first\nd: 4", "d": "x " * 99}, ["head\n a: 1"])
    assert read(text, "x")[0].plain() == {"a": {"b": 1, "c": [2]}, "d": 3}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["digits", "series.csv"])
def test_the_spec_beats_pca(kind, run, tmp_path, monkeypatch):
    text = run(made(kind, tmp_path))[1]
    outcome = train(load(tmp_path / "spec.yaml", ["train.steps=700", "train.speed=exact"], text=text), folder=tmp_path / "run")
    assert outcome.evaluation.model.mse < outcome.evaluation.pca.mse
    assert not outcome.evaluation.findings
    assert open_run(tmp_path / "run").plan.spec.name == kind.split(".")[0]


def test_ids_and_dates_in_any_order_make_no_series(run, tmp_path):
    lines = [f"c{row:04d},{2020 + row * 7 % 5}-0{1 + row * 5 % 9}-11,{row % 13},{'abc'[row % 3]}" for row in range(200)]
    (tmp_path / "customers.csv").write_text("\n".join(["customer,since,calls,plan", *lines]) + "\n")
    out = run("customers.csv")[1]
    assert "type: series" not in out
    assert "reconstruction: mixed" in out
