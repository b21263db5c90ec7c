"""A trained run on new data, from Python and from a shell: against the bare modules, and one way against the other."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import called
from PIL import Image
from trained_runs import FOLDER, opened, raw, run_folder, series_file, table_file

import aebuild
from aebuild.lang.diagnostics import AebuildError, DataError, UsageError
from aebuild.results.inference.codes import Codes, merged_windows, packed
from aebuild.results.inference.walks import between

KINDS = ("image", "codebook", "table", "series", "tokens")


@pytest.fixture
def shell(monkeypatch, capsys, tmp_path):
    """`aebuild` in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    return lambda *words: called(words, monkeypatch, capsys)


def windows(values: np.ndarray, length: int = 20, stride: int = 5) -> np.ndarray:
    return np.stack([values[start:start + length] for start in range(0, len(values) - length + 1, stride)])


def scaled(kind: str) -> torch.Tensor:
    """Raw samples as the model takes them, by hand."""
    run, values = opened(kind), raw(kind)
    if kind in ("image", "codebook"):
        return torch.from_numpy((values / 16).astype(np.float32))
    if kind == "tokens":
        return torch.from_numpy(values)
    offset, factor = np.asarray(run.scaling.offset), np.asarray(run.scaling.factor)
    values = ((values - offset) * factor).astype(np.float32)
    return torch.from_numpy(windows(values) if kind == "series" else values)


@pytest.mark.parametrize("kind", KINDS)
def test_codes_and_reconstructions_are_those_of_the_bare_modules(kind):
    run, x = opened(kind), scaled(kind)
    code = run.model.latent(run.model.encoder(x, {}), {})
    value = code.value if code.posterior is None else code.posterior.mean
    found = run.encode(raw(kind))
    assert np.allclose(found.values, value.numpy(), atol=1e-5)
    back = run.model.likelihood.mean(run.model.decoder(value, {"mean": run.model.likelihood.mean})).numpy()
    again = run.reconstruct(raw(kind))
    if kind == "tokens":
        assert np.array_equal(again, back)
    elif kind in ("image", "codebook"):
        assert np.allclose(again, back * 16, atol=1e-3)
    else:
        assert np.allclose(again, back / np.asarray(run.scaling.factor) + np.asarray(run.scaling.offset), atol=1e-3)
    assert np.allclose(run.decode(found), again, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_the_shell_says_what_python_says(kind, shell, tmp_path):
    values = raw(kind)
    data = tmp_path / "new.csv"
    if kind == "series":
        shutil.copy(FOLDER / "series.csv", data)
        values = np.loadtxt(data, delimiter=",", skiprows=1, usecols=(1, 2))
    elif kind == "table":
        shutil.copy(FOLDER / "table.csv", data)
        values = np.loadtxt(data, delimiter=",", skiprows=1, usecols=(1, 2, 3, 4))
    else:
        data = tmp_path / "new.npy"
        np.save(data, values if kind == "tokens" else values[:, 0].astype(np.uint8))
    folder, run = run_folder(kind), opened(kind)
    assert shell("encode", folder, data, "-q") == (0, "", "")
    found = run.encode(values)
    with np.load("codes.npz") as held:
        assert np.array_equal(held["codes"], found.values)
        if found.indices is not None:
            assert np.array_equal(held["indices"], found.indices)
            assert np.array_equal(held["bits"], packed(found.indices, run))
        if kind == "table":
            assert held["label"][:2].tolist() == ["odd", "even"]
    for ending in ("csv", "npy"):
        assert shell("encode", folder, data, "-q", "-o", f"codes.{ending}")[0] == 0
        assert shell("decode", folder, f"codes.{ending}", "-q", "-o", f"{ending}.npz")[0] == 0
    assert shell("decode", folder, "codes.npz", "-q", "-o", "decoded.npz")[0] == 0
    assert shell("reconstruct", folder, data, "-q", "-o", "again.npz")[0] == 0
    back = run.reconstruct(values)
    with np.load("decoded.npz") as held, np.load("csv.npz") as by_table, np.load("npy.npz") as by_array:
        assert np.allclose(held["x"], back, atol=1e-5)
        assert np.array_equal(held["x"], by_array["x"])
        assert np.allclose(held["x"], by_table["x"], atol=1e-5)
    with np.load("again.npz") as held:
        whole = back if kind != "series" else naive_merge(back, len(values), 5)
        assert np.allclose(held["x"], whole, atol=1e-4, equal_nan=True)
    assert shell("score", folder, data, "-q", "--by", "all")[0] == 0
    assert Path("scores.csv").read_text().splitlines()[0].startswith({"table": "id,label,", "series": "time,"}.get(kind, ""))


def naive_merge(parts: np.ndarray, rows: int, stride: int) -> np.ndarray:
    total, count = np.zeros((rows, *parts.shape[2:])), np.zeros(rows)
    for number, part in enumerate(parts):
        for step, value in enumerate(part):
            total[number * stride + step] += value
            count[number * stride + step] += 1
    with np.errstate(invalid="ignore"):
        return total / count.reshape(-1, *(1,) * (total.ndim - 1))


def test_merging_windows_is_an_average():
    from aebuild.lang.splits import Windows

    parts = np.random.RandomState(0).rand(5, 4, 2)
    merged = merged_windows(Windows(np.arange(0, 15, 3), 4, 18), [parts[:2], parts[2:]])
    assert np.allclose(merged, naive_merge(parts, 18, 3), equal_nan=True)
    assert np.isnan(merged[16:]).all()


def test_one_sample_or_many_and_files_arrays_tensors_and_frames_give_the_same_codes(tmp_path):
    run, values = opened("table"), raw("table")
    found = run.encode(values).values
    assert np.allclose(np.concatenate([run.encode(values[row:row + 1]).values for row in range(len(values))]), found, atol=1e-6)
    assert np.array_equal(run.encode(torch.from_numpy(values)).values, found)
    assert np.array_equal(run.encode(table_file(tmp_path / "other.csv", 40, label=False)).values.shape, found.shape)
    lines = (FOLDER / "table.csv").read_text().splitlines()[:41]
    cells = [line.split(",") for line in lines]
    turned = tmp_path / "turned.csv"                                     # columns in another order, and one more
    turned.write_text("\n".join(",".join([*row[::-1], "x" if number == 0 else "7"]) for number, row in enumerate(cells)) + "\n")
    assert np.array_equal(run.encode(str(turned)).values, found)


def test_images_of_another_depth_are_brought_to_the_range_of_training(tmp_path):
    run, values = opened("image"), raw("image")
    for number, image in enumerate(values[:, 0]):
        (tmp_path / f"{number % 2}").mkdir(exist_ok=True)
        Image.fromarray((image * 255 / 16).round().astype(np.uint8)).save(tmp_path / f"{number % 2}" / f"{number:03d}.png")
    new = run.new(tmp_path)
    assert any("both are brought to" in note for note in new.notes)
    order = [*range(0, 40, 2), *range(1, 40, 2)]
    assert np.allclose(run.encode(new).values, run.encode(values[order]).values, atol=0.02)
    assert new.words == ["0"] * 20 + ["1"] * 20


def test_a_draw_has_the_posterior_s_moments():
    run, values = opened("image"), raw("image")[:3]
    drawn = run.encode(values, draw=4000).values.reshape(3, 4000, 4)
    code = run.model.latent(run.model.encoder(torch.from_numpy((values / 16).astype(np.float32)), {}), {})
    spread = (0.5 * code.posterior.log_variance).exp().numpy()
    assert np.allclose(drawn.mean(1), code.posterior.mean.numpy(), atol=5 * spread.max() / 4000 ** 0.5)
    assert np.allclose(drawn.std(1), spread, rtol=0.08)
    assert np.array_equal(drawn, run.encode(values, draw=4000).values.reshape(3, 4000, 4))


def test_bits_are_the_indices():
    run = opened("codebook")
    indices = run.encode(raw("codebook")).indices
    unpacked = np.unpackbits(packed(indices, run), axis=1)[:, :indices.shape[1] * 4].reshape(*indices.shape, 4)
    assert np.array_equal(unpacked @ [8, 4, 2, 1], indices)


def test_samples_follow_the_seed_and_a_fitted_prior_is_kept(tmp_path):
    run = opened("image")
    assert np.array_equal(run.sample(70), run.sample(70))
    assert not np.array_equal(run.sample(5), run.sample(5, seed=1))
    folder = shutil.copytree(run_folder("table"), tmp_path / "run")
    import aebuild

    table = aebuild.open_run(folder)
    drawn = table.sample(2000, prior="gaussian")
    codes = table.encode(raw("table")).values
    assert (folder / "prior-gaussian.safetensors").exists()
    assert np.array_equal(drawn, aebuild.open_run(folder).sample(2000, prior="gaussian"))
    assert np.allclose(table.encode(drawn).values.mean(0), codes.mean(0), atol=1.0)
    (folder / "prior-gaussian.safetensors").write_bytes(b"damaged")
    assert np.array_equal(drawn, table.sample(2000, prior="gaussian"))       # fitted anew


def test_a_decoder_that_draws_draws_the_same_each_time(tmp_path):
    made = aebuild.train({"name": "x", "data": "digits", "encoder": {"layer": "linear", "width": 4}, "latent": {"type": "continuous", "dim": 2},
                          "decoder": {"layer": "pixelcnn", "width": 4, "depth": 1}, "losses": {"reconstruction": "gaussian"},
                          "train": {"steps": 1, "batch_size": 8, "device": "cpu"}}, {"data.limit": 20}, folder=tmp_path / "run")
    run = aebuild.open_run(made.run)
    codes = np.zeros((2, 2), np.float32)
    assert np.array_equal(run.decode(codes), run.decode(codes))
    assert np.array_equal(run.interpolate(raw("image")[:1], raw("image")[1:2], 3), run.interpolate(raw("image")[:1], raw("image")[1:2], 3))
    drawn = run.sample(3, prior="gaussian")
    assert np.array_equal(drawn, run.sample(3, prior="gaussian"))
    assert not np.array_equal(drawn, run.sample(3, prior="gaussian", seed=1))


def test_walks_end_where_they_should():
    run, values = opened("image"), raw("image")
    for path in ("linear", "spherical"):
        walk = run.interpolate(values[:2], values[2:4], 5, path=path)
        assert walk.shape == (2, 5, 1, 8, 8)
        assert np.allclose(walk[:, 0], run.reconstruct(values[:2]), atol=1e-3)
        assert np.allclose(walk[:, -1], run.reconstruct(values[2:4]), atol=1e-3)
    middle = run.decode((run.encode(values[:1]).values + run.encode(values[1:2]).values) / 2)
    assert np.allclose(run.interpolate(values[:1], values[1:2], 3)[:, 1], middle, atol=1e-3)
    rows = run.traverse(values, 3, dims=[1], around=4)
    code = np.repeat(run.encode(values).values[4:5], 3, 0)
    whole = run.encode(values).values
    code[:, 1] = whole[:, 1].mean() + np.asarray([-3, 0, 3]) * whole[:, 1].std()
    assert np.allclose(rows[0], run.decode(code), atol=1e-3)


def test_a_spherical_walk_turns_evenly():
    a, b = torch.tensor([2.0, 0.0, 0.0]), torch.tensor([0.0, 3.0, 0.0])
    way = between(a, b, 5, "spherical")
    assert torch.allclose(way.norm(dim=1), torch.linspace(2, 3, 5))
    turns = torch.nn.functional.cosine_similarity(way[:-1], way[1:])
    assert torch.allclose(turns, torch.full((4,), np.cos(np.pi / 8)).float(), atol=1e-6)
    assert torch.allclose(between(a, 2 * a, 3, "spherical"), between(a, 2 * a, 3, "linear"))


def test_latent_arithmetic_moves_by_the_difference_of_means():
    from aebuild.results.inference.walks import moved

    run = opened("image")
    digits = run.own_split("train")
    codes, words = run.encode(digits).values, np.asarray(digits.words)
    start = run.new(raw("image")[:2])
    walk = moved(run, start, digits, "3", "8", 3)
    way = codes[words == "3"].mean(0) - codes[words == "8"].mean(0)
    assert np.allclose(run.scaling.undo(walk[:, 2]), run.decode(run.encode(start).values + way), atol=1e-3)


def test_a_planted_fault_is_found_at_its_step_and_column(shell, tmp_path):
    data = series_file(tmp_path / "new.csv", 400, broken_at=200)
    code, out, _ = shell("score", run_folder("series"), data, "--threshold", "per-sample=0.002", "--force", "--json")
    assert code == 0
    assert json.loads(out)["level"] == "step"
    rows = [line.split(",") for line in Path("scores.csv").read_text().splitlines()]
    names = rows[0]
    scores = np.asarray([float(row[names.index("reconstruction")] or "nan") for row in rows[1:]])
    assert 200 <= int(np.nanargmax(scores)) < 212
    assert rows[1 + int(np.nanargmax(scores))][names.index("unusual")] == "flow"
    found = opened("series").score(str(data))
    assert np.allclose(found.scores["reconstruction"], scores, equal_nan=True)
    (run_folder("series") / "threshold.json").unlink()


def test_the_evaluation_again_is_that_of_the_training():
    run = opened("image")
    told = json.loads((run_folder("image") / "evaluation.json").read_text())
    again = run.evaluate().to_json()
    assert again["model"]["terms"].keys() == told["model"]["terms"].keys()
    if told["samples"] == again["samples"]:
        assert again["model"]["terms"] == pytest.approx(told["model"]["terms"])
    new = run.evaluate("digits")
    assert (new.split, new.samples) == ("new data", 1797)


def test_pictures_animations_and_folders_are_written(shell):
    folder = run_folder("image")
    assert shell("sample", folder, "-n", 6, "-q")[0] == 0
    assert shell("sample", folder, "-n", 6, "-q", "-o", "many")[0] == 0
    assert shell("interpolate", folder, "0,1", "2,3", "-q", "-o", "walk.gif", "--steps", 4)[0] == 0
    assert shell("interpolate", folder, "label=3", "label=8", "-q", "-o", "walk.webp", "--steps", 4)[0] == 0
    assert shell("traverse", folder, "-q", "--dims", "0,2", "--steps", 3)[0] == 0
    assert shell("traverse", folder, "-q", "--add", "label=3", "--remove", "label=8", "-o", "moved.npz")[0] == 0
    assert shell("interpolate", folder, "0", "1", "-q", "-o", "walk", "--steps", 3)[0] == 0
    assert sorted(path.name for path in Path("walk").iterdir()) == ["000-000.png", "000-001.png", "000-002.png"]
    assert shell("reconstruct", folder, "many", "-q", "-o", "again")[0] == 0
    assert sorted(path.name for path in Path("again").iterdir()) == sorted(path.name for path in Path("many").iterdir())
    with Image.open("samples.png") as drawn, Image.open("walk.gif") as walk, Image.open("traversal.png") as rows:
        assert drawn.size[0] > 100
        assert walk.n_frames == 6
        assert rows.size[0] > rows.size[1]
    assert not [path for path in Path().iterdir() if "partial" in path.name]


@pytest.mark.parametrize(("kind", "words", "code", "said"), [
    ("image", ("encode", "{run}", "absent.npz"), 4, "absent.npz"),
    ("image", ("encode", "{run}", "nothing"), 4, "no file, folder or known data set"),
    ("image", ("encode", "nowhere"), 5, "not a run directory"),
    ("image", ("encode", "{run}", "-o", "codes.xlsx"), 2, ".xlsx"),
    ("image", ("encode", "{run}", "--device", "gpu9"), 2, "gpu9"),
    ("image", ("encode", "{run}", "digits", "--split", "test"), 2, "--split"),
    ("image", ("encode", "{run}", "--set", "data.pad=2"), 2, "name them"),
    ("image", ("encode", "{run}", "digits", "--set", "latent.dim=2"), 3, "only how new data are read"),
    ("image", ("encode", "{run}", "digits", "--set", "data.padd=2"), 3, "padd"),
    ("image", ("encode", "{run}", "digits", "--set", "data.limit=2"), 3, "taken whole"),
    ("image", ("sample", "{run}", "--given", "label=3", "--given", "label=4"), 2, "said twice"),
    ("image", ("traverse", "{run}", "--span", "nan"), 2, "no finite number"),
    ("table", ("encode", "{run}", "--draw", "3"), 3, "not random"),
    ("image", ("encode", "{run}", "wine"), 4, "vector(13)"),
    ("image", ("decode", "{run}", "absent.npz"), 4, "absent.npz"),
    ("skips", ("sample", "{run}"), 3, "cannot sample"),
    ("table", ("sample", "{run}", "--prior", "flow"), 2, "flow"),
    ("codebook", ("traverse", "{run}"), 2, "discrete"),
    ("codebook", ("interpolate", "{run}", "0", "1", "--where", "code"), 2, "discrete"),
    ("image", ("interpolate", "{run}", "0", "9999"), 4, "9999"),
    ("image", ("interpolate", "{run}", "zero", "1"), 2, "zero"),
    ("image", ("traverse", "{run}", "--around", "9999"), 4, "9999"),
    ("image", ("traverse", "{run}", "--around", "-1"), 4, "no sample -1"),
    ("image", ("traverse", "{run}", "--around", "0,1"), 2, "--around"),
    ("image", ("traverse", "{run}", "--add", "label=3", "--span", "2"), 2, "--span"),
    ("image", ("score", "{run}", "--windows"), 2, "--windows"),
    ("image", ("evaluate", "{run}", "--set", "data.label=kind"), 2, "--set"),
    ("image", ("export", "{run}", "--half", "decoder", "--int8"), 2, "--int8"),
    ("image", ("traverse", "{run}", "--add", "label=cat"), 2, "cat"),
    ("table", ("score", "{run}", "--by", "distance"), 2, "distance"),
    ("table", ("score", "{run}", "--threshold", "quantile=2"), 2, "quantile"),
    ("table", ("score", "{run}", "--threshold", "guess=2"), 2, "guess"),
    ("table", ("score", "{run}", "--threshold", "best-f=1"), 2, "labels"),
    ("table", ("score", "{run}", "--anomalies", "wrong"), 2, "wrong"),
    ("image", ("evaluate", "{run}", "-o", "x.csv"), 2, ".csv"),
])
def test_what_cannot_be_done_is_said_in_a_sentence(kind, words, code, said, shell):
    found = shell(*(str(run_folder(kind)) if word == "{run}" else word for word in words))
    assert found[0] == code, found[2]
    assert said in "".join(found[2].split("\n  "))
    assert "Traceback" not in found[2]
    assert not list(Path().iterdir())


def test_an_output_that_is_there_is_kept_unless_told_otherwise(shell):
    Path("codes.npz").write_text("mine")
    assert shell("encode", run_folder("image"))[0] == 2
    assert Path("codes.npz").read_text() == "mine"
    assert shell("encode", run_folder("image"), "--force", "-q") == (0, "", "")
    assert Path("codes.npz").stat().st_size > 100
    code, _, said = shell("encode", run_folder("image"), "-o", "codes.npz/codes.npz", "-q")
    assert code == 6 and "choose another folder" in said and "resume" not in said


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_device_that_is_not_there_is_that_of_the_option(shell):
    code, _, said = shell("encode", run_folder("image"), "--device", "cuda", "-o", "x.npz", "-q")
    assert code == 6 and "--device is cuda" in said and "fix: --device auto" in said


@pytest.mark.parametrize(("change", "said"), [
    (lambda x: x / 16, "scaled already"), (lambda x: x[:, 0, :7], "shape"), (lambda x: x[0, 0], "shape"),
    (lambda x: x.astype(str), "is no data"), (lambda x: x * 20, "went from 0 to 16"), (lambda x: -x, "went from 0 to 16"),
    (lambda x: np.where(x > 3, np.nan, x), "finite"),
])
def test_values_in_other_units_or_shapes_are_refused(change, said):
    with pytest.raises(DataError, match=said):
        opened("image").encode(change(raw("image")))


def test_a_column_that_is_absent_is_named(tmp_path):
    file = tmp_path / "short.csv"
    file.write_text("id,length,width,depth\na,1,2,3\nb,2,3,4\n")
    with pytest.raises(DataError, match="weight"):
        opened("table").encode(file)


def test_what_is_advised_of_new_data_is_no_change_of_what_training_settled(tmp_path):
    """Neither a gap, a token beyond the vocabulary, nor a series shorter than a window is mended by an option of the spec."""
    run_folder("series")
    (tmp_path / "gap.csv").write_text("length,width,depth,weight\n1,2,3,4\n1,,3,4\n")
    (tmp_path / "short.csv").write_text("\n".join((FOLDER / "series.csv").read_text().splitlines()[:4]))
    np.save(tmp_path / "far.npy", np.full((2, 12), 9))
    told = {"table": ("gap.csv", "remove the row"), "series": ("short.csv", "longer series"), "tokens": ("far.npy", "symbols 0 to 4 alone")}
    for kind, (file, advice) in told.items():
        with pytest.raises(DataError) as caught:
            opened(kind).encode(tmp_path / file)
        assert advice in str(caught.value.diagnostics[0].fix)
    with pytest.raises(DataError, match="lacks a value"):
        opened("table").encode(opened("table").new(tmp_path / "gap.csv", ["data.missing=mean"]))


def test_values_that_no_category_has_are_refused(tmp_path):
    spec = {"name": "x", "data": {"type": "digits", "scale": "integer", "limit": 20}, "encoder": {"layer": "linear", "width": 4},
            "latent": {"type": "continuous", "dim": 2}, "losses": {"reconstruction": "categorical"},
            "train": {"steps": 1, "batch_size": 8, "device": "cpu"}}
    made = aebuild.train(spec, folder=tmp_path / "run")
    for wrong in (-raw("image"), raw("image") + 1):
        with pytest.raises(DataError, match="went from 0 to 16"):
            aebuild.open_run(made.run).encode(wrong)


def test_a_label_or_group_that_the_spec_counts_is_found_by_its_name_in_a_new_table(tmp_path):
    rows = [f"{n % 5},{n},{n % 3},{n // 8}" for n in range(40)]
    (tmp_path / "rows.csv").write_text("\n".join(["a,b,kind,trip", *rows]))
    (tmp_path / "turned.csv").write_text("\n".join(["trip,kind,b,a", *(",".join(row.split(",")[::-1]) for row in rows)]))
    for data in ({"label": 2, "columns": [0, 1]}, {"type": "series", "group": 3, "label": 2, "columns": [0, 1]}):
        spec = {"name": "x", "data": {"path": str(tmp_path / "rows.csv"), **data}, "encoder": {"layer": "linear", "width": 4},
                "latent": {"type": "continuous", "dim": 1}, "train": {"steps": 1, "batch_size": 4, "device": "cpu"}}
        run = aebuild.open_run(aebuild.train(spec, folder=tmp_path / str(len(data))).run)
        first, second = run.new(tmp_path / "rows.csv"), run.new(tmp_path / "turned.csv")
        assert (first.words, first.steps) == (second.words, second.steps)
        assert np.array_equal(run.encode(first).values, run.encode(second).values)


def test_codes_of_another_model_are_refused(tmp_path):
    for kind, codes in (("image", np.zeros((3, 5))), ("codebook", np.full((2, 16), 12)), ("codebook", np.zeros((2, 3), int)),
                        ("table", np.full((2, 2), np.nan)), ("table", np.full((2, 2), 1e300)), ("table", np.zeros((0, 2))),
                        ("table", np.float64(1)), ("table", np.ones((2, 2), bool))):
        with pytest.raises(AebuildError, match="AE481"):
            opened(kind).decode(codes)
    for kind, text, said in (("codebook", ",".join(f"index_{n}" for n in range(16)) + "\n" + "1," * 15 + "1.5\n", "a whole number"),
                             ("table", "code_0,code_1\n1,2\n1,\n", "sample 1 holds what is not a finite number")):
        (tmp_path / "codes.csv").write_text(text)
        with pytest.raises(DataError, match=said):
            opened(kind).decode(tmp_path / "codes.csv")
    with pytest.raises(UsageError):
        opened("codebook").traverse(raw("codebook"))
    with pytest.raises(UsageError, match="no score is named"):
        opened("table").score(raw("table"), by=[])
    assert len(Codes(np.zeros((3, 2), np.float32))) == 3


def test_a_part_of_the_run_s_own_data_knows_its_rows_ids_and_times():
    table, series = opened("table").own_split("test"), opened("series").own_split("test")
    every = opened("table").new(FOLDER / "table.csv")
    place = {name: row for row, name in enumerate(every.beside["id"])}
    rows = [place[name] for name in table.beside["id"]]
    assert np.array_equal(opened("table").encode(table).values, opened("table").encode(every).values[rows])
    assert [every.words[row] for row in rows] == table.words
    whole = opened("series").new(FOLDER / "series.csv")
    first = int(series.beside["row"][0])
    assert list(series.beside["time"]) == list(whole.beside["time"])[first:first + series.split.windows.rows]
    found = opened("series").score(series)
    assert not np.isnan(found.scores["reconstruction"]).any()
    assert len(found) == series.split.windows.rows


@pytest.mark.parametrize(("missing", "ending"), [("mask", "parquet"), ("median", "parquet"), ("indicator", "parquet"), ("mean", "npy")])
def test_new_data_with_holes_may_be_in_files_that_stay_on_disk_otherwise(missing, ending, tmp_path, shell):
    """And a table comes back with its columns' names and words, to be read again."""
    random = np.random.default_rng(0)
    values = random.random((40, 3))
    values[::7, 1] = np.nan
    kinds = random.choice(["gas", "oil"], 40)
    lines = [f"h{row},{a},{'' if np.isnan(b) else b},{c},{kind}" for row, ((a, b, c), kind) in enumerate(zip(values, kinds, strict=True))]
    (tmp_path / "rows.csv").write_text("\n".join(["id,a,b,c,heating", *lines]) + "\n")
    np.save(tmp_path / "rows.npy", values)
    data = {"path": str(tmp_path / ("rows.npy" if ending == "npy" else "rows.csv")), "missing": missing}
    run = aebuild.open_run(aebuild.train({"data": data, "encoder": [], "latent": {"type": "continuous", "dim": 2}, "train": {"epochs": 1}},
                                         folder=tmp_path / "run").run)
    if ending == "npy":
        assert run.encode(tmp_path / "rows.npy").values.shape == (40, 2)
        return
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = {"id": [f"h{row}" for row in range(40)], "a": values[:, 0], "c": values[:, 2], "heating": list(kinds),
             "b": [None if np.isnan(value) else value for value in values[:, 1]]}
    parquet.write_table(pyarrow.table(table), tmp_path / "rows.parquet")
    assert np.allclose(run.encode(tmp_path / "rows.parquet").values, run.encode(tmp_path / "rows.csv").values, atol=1e-5)
    assert shell("reconstruct", tmp_path / "run", tmp_path / "rows.parquet", "-q", "-o", "again.parquet")[0] == 0
    assert shell("reconstruct", tmp_path / "run", tmp_path / "rows.parquet", "-q", "-o", "again.csv")[0] == 0
    again = parquet.read_table("again.parquet")
    assert again.column_names == ["id", "a", "b", "c", "heating"]
    assert again.column("heating").to_pylist() == [line.rpartition(",")[2] for line in Path("again.csv").read_text().splitlines()[1:]]
