"""`aebuild advise`: what is measured against closed forms, how families are ranked, and specs that train."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command_line import called

from aebuild.cli.options import GOALS
from aebuild.compile.front import load
from aebuild.lang.values import Grid, Sequence, Tokens, Vector
from aebuild.results.advising.advise import advise, to_json
from aebuild.results.advising.candidates import WEIGHTS, ranked, straight
from aebuild.results.advising.families import FAMILIES
from aebuild.results.advising.family_grades import Grades, bakeoff, figures_of, grade, grades_of, record
from aebuild.results.advising.init_spec import init_spec, look_at
from aebuild.results.advising.intrinsic_dimension import levina_bickel, two_nn
from aebuild.results.advising.sample_statistics import SampleStatistics, _local
from aebuild.results.experiment import train_only
from aebuild.results.shipped import shipped

DOCS = Path(__file__).parents[2] / "docs"
RANDOM = np.random.default_rng(0)


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: called(("advise", *words), monkeypatch, capsys)


def flat(dimension: int) -> np.ndarray:
    """Normal numbers in a plane of 30 dimensions."""
    random = np.random.default_rng(dimension)
    return random.normal(size=(1_000, dimension)) @ random.normal(size=(dimension, 30))


def sphere(dimension: int) -> np.ndarray:
    points = np.random.default_rng(7).normal(size=(1_000, dimension + 1))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def rolled() -> np.ndarray:
    """A plane of two dimensions rolled up in three."""
    random = np.random.default_rng(1)
    angle = random.uniform(1.5 * np.pi, 4.5 * np.pi, 1_000)
    return np.stack([angle * np.cos(angle), random.uniform(0, 20, 1_000), angle * np.sin(angle)], 1)


@pytest.mark.parametrize("estimate", [two_nn, levina_bickel])
@pytest.mark.parametrize(("samples", "dimension"), [(flat(1), 1), (flat(2), 2), (flat(5), 5), (sphere(1), 1), (sphere(3), 3), (rolled(), 2)],
                         ids=["line", "plane", "flat of five", "circle", "sphere", "swiss roll"])
def test_the_intrinsic_dimension_is_that_of_the_surface(estimate, samples, dimension):
    assert estimate(samples) == pytest.approx(dimension, rel=0.15)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(samples.shape[1],) * 2))[0]
    assert estimate(100 * samples @ turn + 3) == pytest.approx(estimate(samples), rel=1e-6)


def test_samples_that_come_twice_count_once():
    assert two_nn(np.concatenate([flat(2)] * 2)) == pytest.approx(two_nn(flat(2)))
    assert two_nn(np.ones((50, 3))) is None
    assert levina_bickel(flat(2)[:10]) is None


def test_the_likelihood_estimate_is_the_plain_sum():
    samples = flat(3)[:60]
    apart = np.sort(np.linalg.norm(samples[:, None] - samples[None], axis=2), axis=1)[:, 1:]
    naive = []
    for k in range(10, 21):
        sums = [sum(np.log(row[k - 1] / row[j]) for j in range(k - 1)) / (k - 1) for row in apart]
        naive.append(1 / np.mean(sums))
    assert levina_bickel(samples) == pytest.approx(np.mean(naive))


def test_neighbours_correlate_as_the_process_says():
    steps = np.zeros((400, 60, 1))
    for step in range(1, 60):
        steps[:, step] = 0.8 * steps[:, step - 1] + np.sqrt(1 - 0.8 ** 2) * RANDOM.normal(size=(400, 1))
    assert _local(steps + 5, Sequence(60, 1)) == pytest.approx(0.8, abs=0.02)
    noise = RANDOM.normal(size=(300, 1, 17, 16))
    assert _local(noise, Grid(1, (17, 16))) == pytest.approx(0, abs=0.02)
    smooth = noise[:, :, 1:] + noise[:, :, :-1]           # neighbours share one of two terms down, none across
    assert _local(smooth, Grid(1, (16, 16))) == pytest.approx((0.5 + 0) / 2, abs=0.02)
    assert _local(noise.reshape(300, -1), Vector(272)) is None
    assert _local(noise, Tokens(3, 5)) is None


def test_a_mean_that_differs_by_place_is_no_correlation():
    ramp = np.arange(20.0)[None, :, None] + RANDOM.normal(size=(500, 20, 1))
    assert _local(ramp, Sequence(20, 1)) == pytest.approx(0, abs=0.03)


def made(kind: str, folder: Path) -> str:
    """Small data of a kind, written into a folder."""
    random = np.random.default_rng(3)
    path = folder / f"{kind}.npz"
    hidden = random.normal(size=(240, 3))
    match kind:
        case "table":
            np.savez(path, x=np.tanh(hidden @ random.normal(size=(3, 8))) + 0.05 * random.normal(size=(240, 8)), y=np.arange(240) % 9 == 0)
        case "series":
            angle = np.arange(48)[None] / (4 + hidden[:, :1] ** 2) + hidden[:, 1:2]
            np.savez(path, x=np.stack([np.sin(angle), np.cos(angle)], 2), y=np.arange(240) % 9 == 0)
        case "images":
            place = np.arange(16)
            spot = np.exp(-np.square(place - 8 - 2 * hidden[:, :1]) / 8)[:, :, None] * np.exp(-np.square(place - 8 - 2 * hidden[:, 1:2]) / 8)[:, None]
            np.savez(path, x=(255 * spot).astype(np.uint8), y=np.arange(240) % 9 == 0)
        case "symbols":
            path = folder / "symbols.npy"
            np.save(path, random.integers(0, 6, (240, 10)))
    return str(path)


KINDS = {"table": "vector", "series": "sequence", "images": "grid", "symbols": "tokens"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_measured(kind, run, tmp_path):
    code, out, err = run(made(kind, tmp_path), "--json")
    assert (code, err) == (0, "")
    told = json.loads(out)
    found = told["measured"]
    assert (found["kind"], found["missing"], found["samples"]) == (KINDS[kind], 0, 192)
    assert (found["neighbour_correlation"] is None) == (kind in ("table", "symbols"))
    if kind == "symbols":
        assert found["intrinsic_dimension"] == {"two_nn": None, "levina_bickel": None}
        assert found["principal_components"] is None
    else:
        assert 1 < found["intrinsic_dimension"]["two_nn"] < 5
        assert found["labels"] == {"0": pytest.approx(171, abs=8), "1": pytest.approx(21, abs=8)}
    assert [each["family"] for each in told["candidates"]] != list(FAMILIES)
    assert {each["family"] for each in told["candidates"]} == set(FAMILIES)


@pytest.mark.parametrize(("kind", "goal"), [(kind, goal) for kind in KINDS for goal in GOALS if (kind, goal) != ("symbols", "denoise")])
def test_the_spec_of_each_goal_validates_and_trains_a_step(kind, goal, tmp_path):
    written = advise(made(kind, tmp_path), goal, tmp_path)
    loaded = load(tmp_path / "spec.yaml", ["train.steps=1", "train.speed=exact"], text=written.text)
    assert not loaded.diagnostics
    assert train_only(loaded, tmp_path / "runs").is_dir()
    wanted = {"compress": "codebook"}.get(goal, "gaussian" if written.choice.chosen.family.word == "vae" else "continuous")
    assert loaded.spec.latent.variant_name() == wanted
    assert bool(loaded.spec.corrupt) or goal != "denoise"


def test_what_a_series_lacks_and_how_long_it_is_are_measured(tmp_path):
    gaps = [[f"{np.sin(row):.3f}", "" if row % 4 == 0 else f"{np.cos(row):.3f}", f"{row * row % 7}"] for row in range(200)]
    (tmp_path / "gaps.csv").write_text("\n".join(["a,b,c", *(",".join(row) for row in gaps)]) + "\n")
    seen = look_at(str(tmp_path / "gaps.csv"), Path(), lambda message: None).statistics
    assert seen.missing == pytest.approx(1 / 12, abs=0.02)
    assert seen.lengths is None
    notes = [json.dumps({"text": "a" * (1 + number % 9)}) for number in range(200)]
    (tmp_path / "notes.jsonl").write_text("\n".join(notes) + "\n")
    shortest, median, longest = look_at(str(tmp_path / "notes.jsonl"), Path(), lambda message: None).statistics.lengths
    assert longest - shortest == 8                        # the end of a text may count as a token
    assert median == shortest + 4


def statistics(**more) -> SampleStatistics:
    fields = {"value": Vector(40), "samples": 600, "looked_at": 600, "kinds": 900, "binary": False, "two_valued": 0.0,
              "spectrum": (0.6, 0.8, 0.9, 1.0), "classes": (), "two_nn": 3.0, "levina_bickel": 3.0, **more}
    from aebuild.lang.values import Range

    return SampleStatistics(bounds=Range(), **fields)


def test_the_best_stands_first_and_what_cannot_serve_last():
    for goal in GOALS:
        for value in (Vector(40), Sequence(48, 2), Grid(1, (28, 28)), Grid(1, (8, 8)), Tokens(20, 5)):
            found = ranked(statistics(value=value, **({"spectrum": ()} if isinstance(value, Tokens) else {})), goal)
            assert sorted(each.family.word for each in found) == sorted(FAMILIES)
            left = [bool(each.rejected) for each in found]
            assert left == sorted(left)
            kept = [each.score for each in found if not each.rejected]
            assert kept == sorted(kept, reverse=True)
            assert all(each.rejected or each.reasons or each.family.trade for each in found)


def test_a_score_is_the_mean_grade_and_what_the_data_add():
    def mean(word):
        return np.average(list(grades_of(word).to_json().values()), weights=list(WEIGHTS["generate"].to_json().values()))

    found = {each.family.word: each for each in ranked(statistics(value=Grid(1, (28, 28)), samples=9_000, local=0.7), "generate")}
    assert found["conv"].score == pytest.approx(mean("conv") + 2)              # neighbours correlate
    assert found["vae"].network.word == "conv"
    assert found["vae"].score == pytest.approx(found["conv"].score + mean("vae") - mean("plain") + 0.5)


def test_a_plane_is_for_few_samples_that_are_not_curved():
    assert "plane" in straight(statistics(two_nn=6.0, levina_bickel=5.0))
    assert straight(statistics(two_nn=2.0, levina_bickel=2.0)) == ""
    assert straight(statistics(two_nn=6.0, levina_bickel=5.0, samples=50_000)) == ""
    assert straight(statistics(two_nn=6.0, levina_bickel=5.0, samples=120)) == ""            # so few say more of their noise
    assert "30 samples of 40 numbers" in straight(statistics(samples=30, two_nn=2.0, levina_bickel=2.0))
    assert ranked(statistics(two_nn=6.0, levina_bickel=5.0), "represent")[0].family.word == "linear"
    assert ranked(statistics(two_nn=2.0, levina_bickel=2.0), "represent")[0].family.word == "residual"
    smooth = {"value": Sequence(40, 1), "local": 0.95}
    assert ranked(statistics(two_nn=6.0, levina_bickel=5.0, **smooth), "represent")[0].family.word == "linear"
    assert ranked(statistics(two_nn=2.0, levina_bickel=2.0, **smooth), "represent")[0].family.word == "conv"


def test_large_samples_that_a_plane_nearly_holds_are_seen_at_once():
    """As spectrograms are: 30 of 10,624 numbers keep 90 % of the variance."""
    spectrogram = {"value": Grid(1, (64, 166)), "local": 0.96, "samples": 2_000, "looked_at": 2_000, "two_nn": 9.0, "levina_bickel": 7.0}
    few = tuple(np.linspace(0.5, 0.9, 30))
    assert ranked(statistics(spectrum=few, **spectrogram), "represent")[0].family.word == "dense"
    assert ranked(statistics(spectrum=tuple(np.linspace(0.5, 0.9, 300)), **spectrogram), "represent")[0].family.word == "conv"
    noise = {**spectrogram, "looked_at": 200}                                    # so few that their number bounds the components
    assert ranked(statistics(spectrum=few, **noise), "represent")[0].family.word == "conv"
    small = {**spectrogram, "value": Grid(1, (28, 28))}
    assert ranked(statistics(spectrum=few[:5], **small), "represent")[0].family.word == "conv"


def test_grades_follow_from_the_figures_that_were_written():
    assert [grade(figure, (1.0, 2.0, 3.0, 4.0)) for figure in (0.5, 1.0, 1.5, 2.5, 3.5, 9.0)] == [5, 5, 4, 3, 2, 1]
    assert {*record()["networks"]["families"], *record()["codes"]["families"]} == {*FAMILIES, "plain"}
    for kind, table in record().items():
        families = table["families"]
        for word, sets in families.items():
            best = {data: min(other[data]["mse"] for other in families.values()) for data in sets}
            assert figures_of(word).error == pytest.approx(np.mean([each["mse"] / best[data] for data, each in sets.items()]))
            assert all(1 <= each <= 5 for each in grades_of(word).to_json().values())
            assert word == "plain" or f"{FAMILIES[word].kind}s" == kind


def test_the_page_shows_the_figures_that_were_written():
    page = (DOCS / "init.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) % \| ([\d.]+) \| ([\d.]+) \| ([1-5] [1-5] [1-5] [1-5] [1-5]) \|$", page,
                      re.MULTILINE)
    assert [row[0] for row in rows] == [word for table in record().values() for word in table["families"]]
    for word, *figures, grades in rows:
        found = figures_of(word)
        shown = [f"{found.error:.2f}", f"{found.cost:.2g}", f"{100 * found.spread:.1f}", f"{found.gap:.2f}", f"{found.likeness:.2f}"]
        assert figures == shown, word
        assert grades == " ".join(str(each) for each in grades_of(word).to_json().values()), word
    assert all(table["command"] in page and table["date"] in page for table in record().values())


def test_the_bakeoff_s_figures_are_those_of_the_results():
    page = (DOCS / "results.md").read_text(encoding="utf-8")
    for name, figure in bakeoff()["specs"].items():
        assert re.search(rf"^\| {name} \| [^\n]*\| {figure:.2f} \|", page, re.MULTILINE), name
    assert {family.bakeoff for family in FAMILIES.values() if family.bakeoff} <= set(bakeoff()["specs"])


def test_every_family_is_shown_by_a_spec_that_is_there():
    assert {family.spec for family in FAMILIES.values()} <= set(shipped())
    assert Grades(*range(1, 6)).to_json() == {"reconstruction": 1, "compute": 2, "stability": 3, "control": 4, "generation": 5}


def test_init_and_advise_write_the_same_spec(run, tmp_path):
    data = made("table", tmp_path)
    code, out, err = run(data, "--goal", "represent", "-o", "mine.yaml")
    assert code == 0
    assert "wrote mine.yaml" in err
    mine = (tmp_path / "mine.yaml").read_text()
    assert mine.partition("\n\n")[2] == init_spec(data, "represent", tmp_path).partition("\n\n")[2]            # below the head
    assert "recommended for represent" in out
    for family in FAMILIES:
        assert re.search(rf"^(\d+|-) +{family} ", out, re.MULTILINE)
    assert run(data, "-o", "mine.yaml")[0] == 2
    assert run(data, "-o", "mine.yaml", "--force")[0] == 0
    assert to_json(advise(data, "anomaly"))["recommended"]["reasons"]["latent"]


def test_a_goal_that_symbols_cannot_serve_is_refused(run, tmp_path):
    code, out, err = run(made("symbols", tmp_path), "--goal", "denoise")
    assert (code, out) == (4, "")
    assert "AE555" in err
    assert "no noise" in err
    assert "represent" in err


def test_goals_have_one_set_of_words(run, tmp_path):
    data = made("table", tmp_path)
    code, out, err = run(data, "--goal", "embed", "--json")
    assert (code, json.loads(out)["goal"]) == (0, "represent")
    assert "the goal embed is called represent" in err
    code, out, err = run(data, "--goal", "generat")
    assert (code, out) == (2, "")
    assert "Did you mean 'generate'?" in err
    code, out, err = run("gone.csv")
    assert (code, out) == (4, "")
    assert run(data, "--force")[0] == 2
