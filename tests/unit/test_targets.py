"""Targets that are not the input: smaller and grey inputs, what they are by arithmetic, and what the evaluation compares with."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
import torch
from command_line import called
from PIL import Image

import aebuild
from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.lang.diagnostics import DataError, UsageError
from aebuild.modules.forming import Downsample, Grayscale
from aebuild.results.export.programs import Exporter
from aebuild.results.export.samples import case_of, checking_samples
from aebuild.results.open_run import OpenRun

FOLDER = Path(mkdtemp(prefix="aebuild-targets-"))
TRAIN = {"steps": 4, "batch_size": 16}


@cache
def trained(kind: str) -> OpenRun:
    corrupt = [{"downsample": {"factor": 2, "when": "always"}}] if kind == "small" else ["grayscale"]
    spec = {"name": kind, "data": {"type": "photos", "patch": 24, "count": 60}, "corrupt": corrupt, "encoder": [{"conv": 6}],
            "latent": {"type": "continuous", "dim": 6, "per": "position"}, "losses": {"reconstruction": "mse"}, "train": TRAIN,
            "decoder": [{"conv": {"width": 6, "stride": 2 if kind == "small" else 1}}]}
    return aebuild.open_run(aebuild.train(spec, folder=FOLDER / kind).run)


def test_smaller_inputs_are_means_of_blocks_or_what_pillow_makes_of_them():
    x = torch.rand(2, 3, 12, 18)
    blocks = x.reshape(2, 3, 6, 2, 6, 3).mean((3, 5))
    assert torch.allclose(Downsample([2, 3], "area")(x), blocks, atol=1e-6)
    small = Downsample(2, "bicubic")(x)
    for image, found in zip(x.flatten(0, 1), small.flatten(0, 1), strict=True):
        wanted = np.asarray(Image.fromarray(image.numpy()).resize((9, 6), Image.Resampling.BICUBIC))
        assert np.allclose(found.numpy(), wanted, atol=1e-5)
    flat = torch.full((1, 1, 4, 4), 0.3)
    assert torch.allclose(Downsample(2, "area").back(flat), torch.full((1, 1, 8, 8), 0.3), atol=1e-6)
    assert Downsample(3, "area")(torch.rand(1, 2, 9)).shape == (1, 2, 3)


def test_brightness_is_pillows():
    x = torch.randint(0, 256, (1, 3, 9, 7))
    wanted = np.asarray(Image.fromarray(x[0].permute(1, 2, 0).numpy().astype(np.uint8)).convert("L"))
    assert np.abs(Grayscale()(x.double())[0, 0].numpy() - wanted).max() < 1


@pytest.mark.parametrize("kind", ["small", "grey"])
def test_a_run_takes_large_and_colourful_samples_or_those_that_its_encoder_takes(kind, tmp_path, monkeypatch, capsys):
    run = trained(kind)
    x = np.random.RandomState(0).randint(0, 256, (3, 3, 24, 24), np.uint8)
    assert str(run.plan.encoder.input) == ("grid(3; 12×12)" if kind == "small" else "grid(1; 24×24)")
    back = run.reconstruct(x)
    assert back.shape == (3, 3, 24, 24)
    bare, made = run.without_corruptions(), run.model.formed(torch.from_numpy(x).float()).numpy()
    assert np.allclose(bare.reconstruct(made), back, atol=1e-2)
    given = made.round().astype(np.uint8)
    whole = bare.reconstruct(np.repeat(given, 3, 2), fit="pad")
    assert whole.shape == (3, 3, 72, 24)
    assert np.allclose(bare.reconstruct(np.repeat(given, 3, 2), fit="tile", overlap=8), whole, atol=1e-2)
    monkeypatch.chdir(tmp_path)
    Image.fromarray(given[0].transpose(1, 2, 0) if kind == "small" else given[0, 0]).save(tmp_path / "one.png")
    (tmp_path / "in").mkdir()
    (tmp_path / "one.png").rename(tmp_path / "in" / "one.png")
    code, _, told = called(["reconstruct", run.run.folder, "in", "--corrupted", "--fit", "tile", "-o", "out"], monkeypatch, capsys)
    assert code == 0, told
    with Image.open(tmp_path / "out" / "one.png") as image:
        assert (image.size, image.mode) == ((24, 24), "RGB")
    with pytest.raises(UsageError, match="nothing is done to them always"):
        bare.without_corruptions()


def test_the_evaluation_has_what_anybody_would_make_of_the_input():
    run = trained("small")
    found = run.evaluate()
    assert found.plain is not None and found.plain_name == "interpolation"
    test = torch.from_numpy(run.own_split("test").split.x)
    small = torch.nn.functional.avg_pool2d(test, 2)
    large = torch.nn.functional.interpolate(small, scale_factor=2, mode="bicubic")
    assert found.plain.mse == pytest.approx(float((large - test).square().mean()), rel=1e-4)
    assert found.to_json()["plain"]["name"] == "interpolation"


def test_a_recorded_program_takes_what_the_run_takes():
    run = trained("small")
    x = torch.rand(2, 3, 24, 24)
    program = torch.export.export(run.model, (x,)).module()
    assert torch.allclose(program(x), run.model(x), atol=1e-6)
    spec = load("walk.yaml", text="data: photos\ncorrupt: [grayscale]\nencoder: [conv: 4]\nlatent: {type: continuous, dim: 4}\n").require()
    model = build(spec).eval()
    a, b = torch.rand(2, 1, 3, 32, 32)
    assert model.interpolate(a, b, 3, where="features").shape == (3, 1, 3, 32, 32)


def drawn_pairs(folder: Path, count: int = 30) -> None:
    """Discs of a colour as photographs, and the lines around them as edges."""
    draw = np.random.RandomState(0)
    for name in ("edges", "photos"):
        (folder / name).mkdir()
    rows, columns = np.mgrid[:16, :16]
    for number in range(count):
        far = np.hypot(rows - draw.randint(5, 11), columns - draw.randint(5, 11)) - draw.randint(2, 5)
        photo = np.where((far < 0)[..., None], draw.randint(100, 255, 3), 20).astype(np.uint8)
        Image.fromarray(((np.abs(far) < 0.7) * 255).astype(np.uint8)).save(folder / "edges" / f"{number:02}.png")
        Image.fromarray(photo).save(folder / "photos" / f"{number:02}.bmp")


def test_images_of_one_folder_become_their_partners_of_another(tmp_path, monkeypatch, capsys):
    drawn_pairs(tmp_path)
    text = "name: pix\ndata: {type: images, path: edges, target: photos}\nencoder: {layer: conv, width: [4, 4], stride: 2}\n" \
           "latent: {type: continuous, dim: 4, per: position}\ndecoder: {layer: conv, width: [4, 4], skip: true}\n" \
           "losses: {reconstruction: l1}\ntrain: {steps: 2, batch_size: 8, device: cpu}\n"
    (tmp_path / "pix.yaml").write_text(text)
    plan = load(tmp_path / "pix.yaml").require()
    assert (str(plan.input), str(plan.target)) == ("grid(1; 16×16)", "grid(3; 16×16)")
    run = aebuild.open_run(aebuild.train(tmp_path / "pix.yaml", folder=tmp_path / "run").run)
    split = run.own_split("test")
    assert split.split.x.shape[1:] == (1, 16, 16) and split.split.target.shape[1:] == (3, 16, 16)
    name = split.beside["file"][0]
    with Image.open(tmp_path / "photos" / name.replace(".png", ".bmp")) as image:
        assert np.allclose(split.split.target[0].transpose(1, 2, 0) * 255, np.asarray(image), atol=1e-3)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").rename(tmp_path / "elsewhere")             # new edges have no partners
    code, _, told = called(["reconstruct", "run", "edges", "-o", "made"], monkeypatch, capsys)
    assert code == 0, told
    with Image.open(tmp_path / "made" / "03.png") as image:
        assert image.mode == "RGB"
    (tmp_path / "elsewhere").rename(tmp_path / "photos")
    (tmp_path / "photos" / "03.bmp").unlink()
    found = load(tmp_path / "pix.yaml").diagnostics
    assert [each.code for each in found] == ["AE438"] and "no partners of 1 images: 03" in found[0].message


def paired_run(folder: Path, data: dict[str, object]) -> OpenRun:
    spec = {"name": "pairs", "data": data, "encoder": {"layer": "linear", "width": [8]}, "latent": {"type": "continuous", "dim": 2},
            "losses": {"reconstruction": "mse"}, "train": {"steps": 2, "batch_size": 8, "device": "cpu"}}
    return aebuild.open_run(aebuild.train(spec, folder=folder).run)


def test_new_inputs_need_no_target_but_to_be_judged(tmp_path: Path) -> None:
    """Arrays, columns and values in memory: codes and reconstructions of inputs alone; a score against the input would be a silent lie."""
    x = np.random.default_rng(0).random((40, 3))
    np.savez(tmp_path / "pairs.npz", x=x, aim=5 - 2 * x)
    np.save(tmp_path / "new.npy", x[:6])
    (tmp_path / "pairs.csv").write_text("a,b,c\n" + "".join(f"{a},{b},{a - b}\n" for a, b, _ in x))
    (tmp_path / "new.csv").write_text("b,a\n" + "".join(f"{b},{a}\n" for a, b, _ in x[:6]))
    arrays = paired_run(tmp_path / "arrays", {"path": str(tmp_path / "pairs.npz"), "target": "aim"})
    table = paired_run(tmp_path / "table", {"path": str(tmp_path / "pairs.csv"), "columns": ["a", "b"], "target": ["c"]})
    for run, new, whole, width in ((arrays, tmp_path / "new.npy", tmp_path / "pairs.npz", 3), (arrays, x[:6], tmp_path / "pairs.npz", 3),
                                   (table, tmp_path / "new.csv", tmp_path / "pairs.csv", 1)):
        assert np.allclose(run.encode(new).values, run.encode(whole).values[:6], atol=1e-6)
        assert run.reconstruct(new).shape == (6, width)
        assert len(run.score(whole)) == run.evaluate(whole).samples == 40
        for judge in (run.score, run.evaluate):
            with pytest.raises(DataError, match="AE885"):
                judge(new)


def test_the_cost_of_int8_is_told_against_the_target(tmp_path: Path) -> None:
    """And without what is missing: the figure before is that of the evaluation."""
    x = np.random.default_rng(0).random((40, 3))
    np.savez(tmp_path / "pairs.npz", x=x, aim=5 - 2 * x)
    x[::3, 1] = np.nan
    (tmp_path / "gaps.csv").write_text("a,b,c\n" + "".join(f"{a},{'' if np.isnan(b) else b},{c}\n" for a, b, c in x))
    for data in ({"path": str(tmp_path / "pairs.npz"), "target": "aim"}, {"path": str(tmp_path / "gaps.csv"), "missing": "mask"}):
        run = paired_run(tmp_path / Path(data["path"]).stem, data)
        samples = checking_samples(run, None, drawn=False)
        told = Exporter(run, tmp_path, samples)._loss(case_of(run, "encoder", samples).outputs[0])
        assert told == pytest.approx(run.evaluate().model.terms["reconstruction"], rel=1e-5)
