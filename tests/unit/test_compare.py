"""`aebuild compare`: what differs between runs, and which figures do not compare."""

from __future__ import annotations

import json

import pytest
from command_line import called
from run_copies import a_run, edit

from aebuild.results.comparison import compare


@pytest.fixture
def run(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return lambda *words: called(("compare", *words), monkeypatch, capsys)


def test_a_run_and_its_copy_differ_in_nothing(run, tmp_path):
    a_run(tmp_path / "one")
    a_run(tmp_path / "two")
    code, out, err = run("one", "two")
    assert (code, err) == (0, "")
    assert "the specs do not differ" in out
    assert "≠" not in out


def test_what_was_set_is_what_differs(run, tmp_path):
    folders = [a_run(tmp_path / "one"), a_run(tmp_path / "two", "latent.dim=3"), a_run(tmp_path / "three", "encoder=[linear: 8, linear: 8]")]
    found = compare(folders)
    told = {each.path: each.values for each in found.spec}
    assert told["latent.dim"] == ("4", "3", "4")
    assert told["encoder"][0] != told["encoder"][2]
    assert set(told) == {"latent.dim", "encoder"}
    assert not found.warnings
    out = run(*folders)[1]
    evaluation = json.loads((folders[0] / "evaluation.json").read_text())
    assert f"{evaluation['pca']['mse']:.4f}" in out
    assert json.loads(run(*folders, "--json")[1])["spec"][0]["values"]


def test_a_path_whose_parent_differs_elsewhere_shows_no_value_of_another_run(tmp_path):
    folders = [a_run(tmp_path / "one"), a_run(tmp_path / "two", "latent.dim=3"), a_run(tmp_path / "three", "latent={type: gaussian, dim: 4}")]
    told = [(each.path, each.values) for each in compare(folders).spec]
    assert [path for path, _ in told] == ["latent", "latent.dim"]
    assert dict(told)["latent"][1] is None
    assert dict(told)["latent.dim"] == ("4", "3", None)


def test_other_likelihoods_do_not_compare_but_squared_errors_do(run, tmp_path):
    found = compare([a_run(tmp_path / "one"), a_run(tmp_path / "two", "losses.reconstruction=mse")])
    assert "reconstruction" in found.unlike
    assert "MSE per element" not in found.unlike
    code, out, err = run("one", "two")
    assert code == 0
    assert "AE551" in err
    assert "reconstruction ≠" in out


def test_other_data_do_not_compare_at_all(tmp_path):
    found = compare([a_run(tmp_path / "one"), a_run(tmp_path / "two", "data.split.seed=7")])
    assert {"reconstruction", "MSE per element", "metrics"} <= found.unlike


def test_another_weight_only_spoils_the_score(tmp_path):
    found = compare([a_run(tmp_path / "one"), a_run(tmp_path / "two", "losses.reconstruction={type: bernoulli, weight: 2}")])
    assert found.unlike == {"kept score"}


def test_a_run_without_an_evaluation_compares_as_far_as_it_goes(run, tmp_path):
    a_run(tmp_path / "one")
    (a_run(tmp_path / "two") / "evaluation.json").unlink()
    code, out, _ = run("one", "two")
    assert code == 0
    assert "died" in out


def test_two_runs_of_one_name_are_told_apart(run, tmp_path):
    a_run(tmp_path / "a" / "run")
    a_run(tmp_path / "b" / "run")
    out = run("a/run", "b/run")[1]
    assert "a/run" in out
    assert "b/run" in out


def test_what_is_no_run_or_damaged_is_refused(run, tmp_path):
    a_run(tmp_path / "one")
    edit(a_run(tmp_path / "two") / "plan.json", parameters="many")
    for words, code in ((("one",), 2), (("one", "two"), 5), (("one", "gone"), 5), ((), 2)):
        assert run(*words)[0] == code
