"""What is said after the results: every figure of every shipped model is explained, every command can be used."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.lang.terms import Likelihood, Penalty
from aebuild.results.advice import advice, meanings, next_steps
from aebuild.results.evaluate import Evaluation, Scores

SPECS = sorted((Path(__file__).parents[2] / "specs").rglob("*.yaml"))


def evaluation(plan: Plan) -> Evaluation:
    """Of every term that there can be, and of the metrics of latent and heads."""
    known = [name for name in plan.spec.latent.meanings if name not in plan.spec.latent.terms]
    metrics = dict.fromkeys([*known, *(f"{head}_accuracy" for head in plan.spec.heads)], 0.5)
    scores = Scores({term.name: 1.0 for term in plan.terms}, 0.1, 10.0, metrics)
    return Evaluation(plan.spec.name, "test", 9, 1, 32.0, 1, scores, scores, scores)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.stem)
def test_every_figure_of_a_shipped_model_is_explained(spec: Path) -> None:
    plan = load(str(spec)).require()
    told = dict(meanings(plan, evaluation(plan)))
    assert set(told) == {*(term.name for term in plan.terms), "MSE per element", "PSNR in dB", *evaluation(plan).model.metrics}
    for name, text in told.items():
        assert len(text) > 20, name
        assert ";" in text, name
    assert max(map(len, told.values())) < 120
    for command, _ in next_steps(plan, Path("runs/x"))[:2]:
        words = shlex.split(command)
        assert not load(str(spec), [words[words.index("--set") + 1]]).errors


def test_every_likelihood_and_penalty_has_a_unit() -> None:
    assert all(part.unit for family in (Likelihood, Penalty) for part in family.variants.values())


@pytest.mark.parametrize("train", ["{epochs: 2}", "{phases: [greedy: {epochs: 1}, main: {steps: 5}]}"])
def test_the_commands_can_be_used_and_stdout_holds_results_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str], train: str) -> None:
    def run(*words: str) -> tuple[str, str]:
        assert guarded(lambda: commands.main(list(words), standalone_mode=False)) == 0
        return capsys.readouterr()

    spec, folder = tmp_path / "spec.yaml", tmp_path / "a run"
    spec.write_text(f"name: x\ndata: {{type: digits, limit: 100}}\nencoder: [linear: 8]\nlatent: {{type: continuous, dim: 2}}\ntrain: {train}\n")
    shown, told = run("train", str(spec), "-o", str(folder))
    plan = load(folder / "spec.yaml").require()
    commands_told = [command for command, _ in next_steps(plan, folder)]
    assert all(command in told and command not in shown for command in commands_told)
    assert "lower is better" in told
    assert "lower is better" not in shown
    longer, other, score, page, python = map(shlex.split, commands_told)
    run(*longer[1:], "-q")
    _, told = run(*other[1:], "-o", str(tmp_path / "other"), "-q")
    assert "what next" not in told
    run(*score[1:], "-q", "-o", str(tmp_path / "scores.csv"))
    assert (tmp_path / "scores.csv").exists()
    run(*page[1:], "-q", "-o", str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").exists()
    exec(python[-1], {"print": lambda *given: None})       # a command that we print


def test_advice_is_short(tmp_path: Path) -> None:
    plan = load(str(SPECS[-1])).require()
    assert len("\n".join(advice(plan, evaluation(plan), tmp_path)).splitlines()) < 20
