"""Measures of disentanglement against closed forms and second implementations, and the task that asks for them."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from shutil import copytree
from tempfile import mkdtemp
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.metrics import mutual_info_score
from trained_runs import run_folder

import aebuild
from aebuild.data.drawn_shapes import drawn_factors
from aebuild.lang.diagnostics import SpecError, UsageError
from aebuild.lang.samples import Factor
from aebuild.lang.splits import Split
from aebuild.lang.tasks import Answer, Table, Unanswered
from aebuild.lang.values import Vector
from aebuild.metrics import disentanglement as measures
from aebuild.parts.tasks.disentanglement import Disentanglement
from aebuild.results.open_run import open_run

FACTORS = drawn_factors(2000, 1)
ORDERED = [False, True, True, True, True]
STANDARD = (FACTORS - FACTORS.mean(0)) / FACTORS.std(0)
RANDOM = np.random.RandomState(0)
TURN = np.linalg.qr(RANDOM.standard_normal((5, 5)))[0]


def every(codes: np.ndarray) -> dict[str, float]:
    shares = measures.mutual_information(measures.binned(codes, 20), FACTORS) / measures.entropies(FACTORS)
    matters = measures.importance(codes, FACTORS)
    return {"mig": measures.information_gap(shares), "sap": measures.separated_predictability(codes, FACTORS, ORDERED),
            "d": measures.disentangled(matters.of), "c": measures.complete(matters.of),
            "factor_vae": measures.steadiest_dimension(codes, FACTORS, 300)}


def test_a_perfect_code_has_one_by_all_measures_also_beside_noise() -> None:
    for codes in (STANDARD[:, ::-1], np.concatenate([STANDARD, RANDOM.standard_normal((2000, 3))], 1)):
        assert min(every(codes).values()) > 0.97


def test_random_and_constant_codes_have_nothing() -> None:
    found = every(RANDOM.standard_normal((2000, 5)))
    assert found.pop("factor_vae") < 0.3                       # a fifth by chance
    assert max(found.values()) < 0.02
    assert every(np.ones((2000, 4))) == dict.fromkeys(found, 0.0) | {"factor_vae": 0.0}


def test_a_constant_dimension_beside_others_takes_no_gap_and_two_classes_are_told_apart() -> None:
    codes = np.concatenate([STANDARD, np.ones((2000, 1))], 1)
    assert measures.separated_predictability(codes, FACTORS, ORDERED) == pytest.approx(
        measures.separated_predictability(STANDARD, FACTORS, ORDERED))
    two = RANDOM.randint(0, 2, (2000, 1))
    assert measures.separated_predictability(np.concatenate([two * 3.0, RANDOM.standard_normal((2000, 1))], 1), two, [False]) > 0.9


def test_a_turned_code_tells_all_and_is_not_disentangled() -> None:
    found = every(STANDARD @ TURN)
    assert max(found["mig"], found["sap"], found["d"], found["c"]) < 0.2
    assert found["factor_vae"] < 0.85


def test_a_factor_told_twice_has_no_gap() -> None:
    found = every(np.concatenate([STANDARD, STANDARD], 1))
    assert max(found["mig"], found["sap"]) < 1e-9
    assert found["d"] > 0.99                                   # each dimension still serves one factor


def test_mutual_information_is_scikit_learn_s() -> None:
    codes = measures.binned(STANDARD @ TURN, 13)
    wanted = [[mutual_info_score(code, factor) for factor in FACTORS.T] for code in codes.T]
    np.testing.assert_allclose(measures.mutual_information(codes, FACTORS), wanted, atol=1e-12)
    shares = np.bincount(FACTORS[:, 1]) / len(FACTORS)
    assert measures.entropies(FACTORS)[1] == pytest.approx(-(shares * np.log(shares)).sum())


def test_bins_are_those_of_a_histogram() -> None:
    codes = RANDOM.standard_normal((300, 2))
    found = measures.binned(codes, 7)
    for place in range(2):
        assert np.array_equal(np.bincount(found[:, place], minlength=7), np.histogram(codes[:, place], 7)[0])
    assert measures.binned(np.ones((4, 1)), 5).tolist() == [[0]] * 4


def test_gaps_and_purity_in_closed_form() -> None:
    assert measures.information_gap(np.asarray([[0.9, 0.1], [0.3, 0.8], [0.5, 0.2]])) == pytest.approx((0.4 + 0.6) / 2)
    assert measures.information_gap(np.asarray([[0.7]])) == pytest.approx(0.7)
    of = np.asarray([[0.75, 0.25], [0.25, 0.75]])
    assert measures.disentangled(of) == pytest.approx(1 + 0.75 * np.log2(0.75) + 0.25 * np.log2(0.25))
    assert measures.disentangled(np.asarray([[0.5, 0.5], [0.5, 0.5]])) == pytest.approx(0)
    assert measures.disentangled(np.asarray([[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]])) == pytest.approx(1)
    assert measures.complete(np.asarray([[0.5, 0.0], [0.5, 0.0], [0.0, 1.0]])) == pytest.approx((1 - np.log(2) / np.log(3) + 1) / 2)


def test_what_a_line_explains_of_a_turned_code_is_the_cosine_squared() -> None:
    codes, ordered = STANDARD @ TURN, [True] * 5
    wanted = np.sort(TURN**2, axis=1)                         # of independent factors with equal variances
    assert measures.separated_predictability(codes, FACTORS, ordered) == pytest.approx((wanted[:, -1] - wanted[:, -2]).mean(), abs=0.05)


def votes_by_hand(codes: np.ndarray, factors: np.ndarray, votes: int) -> float:
    """The score of FactorVAE as its article tells it, in plain loops."""
    random, usual = np.random.RandomState(5), codes.std(0)
    def vote() -> tuple[int, int]:
        factor = random.randint(factors.shape[1])
        value = random.choice(np.unique(factors[:, factor]))
        chosen = random.choice(np.flatnonzero(factors[:, factor] == value), measures.BATCH)
        return int(np.argmin([np.var(codes[chosen, place] / usual[place]) for place in range(codes.shape[1])])), factor
    learned: dict[int, list[int]] = {}
    for dimension, factor in (vote() for _ in range(votes)):
        learned.setdefault(dimension, []).append(factor)
    named = {dimension: max(set(told), key=told.count) for dimension, told in learned.items()}
    return float(np.mean([named.get(dimension, 0) == factor for dimension, factor in (vote() for _ in range(votes))]))


def test_votes_are_those_of_a_second_implementation() -> None:
    codes = STANDARD + 0.5 * STANDARD @ TURN
    assert measures.steadiest_dimension(codes, FACTORS, 600) == pytest.approx(votes_by_hand(codes, FACTORS, 600), abs=0.06)


@cache
def shapes_run() -> Path:
    spec = {"name": "shapes", "data": {"type": "shapes", "samples": 300, "pixels": 8, "split": {"test": 100}}, "encoder": {"layer": "linear",
            "width": [16]}, "latent": {"type": "continuous", "dim": 4}, "losses": {"reconstruction": "bernoulli"},
            "train": {"epochs": 2, "batch_size": 32}, "evaluate": {"tasks": ["disentanglement"]}}
    return aebuild.train(spec, folder=Path(mkdtemp()) / "run").run


def test_the_task_measures_the_codes_of_the_judged_split() -> None:
    run = open_run(shapes_run())
    found = run.ask("disentanglement: {bins: 8, votes: 50}")["disentanglement"].answer
    assert set(found.figures) == set(Disentanglement.meanings)
    data = run.own_split("test")
    codes, factors = run.encode(data).values.astype(np.float64), data.split.factors
    shares = measures.mutual_information(measures.binned(codes, 8), factors) / measures.entropies(factors)
    assert found.figures["mig"] == pytest.approx(measures.information_gap(shares))
    assert found.figures["dci_informativeness"] == pytest.approx(measures.importance(codes, factors).right.mean())
    table = found.exhibits[0]
    assert isinstance(table, Table)
    assert [row[0] for row in table.rows] == ["shape", "scale", "orientation", "x", "y"]
    assert [row[1] for row in table.rows] == shares.argmax(0).tolist()


def test_where_there_is_nothing_to_measure_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="not known what these samples were made from"):
        open_run(copytree(run_folder("image"), tmp_path / "digits")).ask("disentanglement")
    spec = {"name": "few", "data": {"type": "shapes", "samples": 60, "pixels": 8}, "encoder": [], "latent": {"type": "continuous", "dim": 2},
            "losses": {"reconstruction": "mse"}, "train": {"steps": 1}}
    with pytest.raises(UsageError, match="6 samples are too few"):
        open_run(aebuild.train(spec, folder=tmp_path / "few").run).ask("disentanglement")
    codebook = {**spec, "encoder": {"layer": "conv", "width": 4, "stride": 2}, "latent": {"type": "codebook", "codes": 4, "dim": 2},
                "data": {**spec["data"], "samples": 400}}
    with pytest.raises(UsageError, match="indices into a codebook"):
        open_run(aebuild.train(codebook, folder=tmp_path / "codebook").run).ask("disentanglement")


def asked(codes: np.ndarray, factors: np.ndarray | None) -> Answer:
    """The task's answer to a model that gives these codes."""
    split = Split(np.zeros((len(codes), 2), np.float32))
    split.factors = factors
    names = tuple(Factor(name, 3) for name in "ab")
    latent = SimpleNamespace(codes=Vector(codes.shape[1]), values=codes.shape[1])
    trained = SimpleNamespace(judged=split, splits=SimpleNamespace(info=SimpleNamespace(factors=names)), plan=SimpleNamespace(latent=latent),
                              codes=lambda split: codes)
    return Disentanglement(votes=20).evaluate(trained)  # type: ignore[arg-type]


def test_a_factor_with_one_value_is_left_out_and_codes_that_are_no_numbers_are_refused() -> None:
    factors = np.stack([np.arange(90) % 3, np.zeros(90, int)], 1)
    codes = np.stack([factors[:, 0], np.ones(90)], 1).astype(float)
    found = asked(codes, factors)
    assert found.figures["mig"] == pytest.approx(1)
    assert [note.split(",")[0] for note in found.notes] == ["b takes one value only among the samples that are judged",
                                                            "1 of the 2 dimensions of the code are the same for all samples"]
    with pytest.raises(Unanswered, match="no factor takes more than one value"):
        asked(codes, np.zeros_like(factors))
    with pytest.raises(Unanswered, match="not known"):
        asked(codes, None)
    codes[3] = np.nan
    with pytest.raises(Unanswered, match="no numbers"):
        asked(codes, factors)
    with pytest.raises(Unanswered, match="300 numbers"):
        asked(np.zeros((90, 300)), factors)
