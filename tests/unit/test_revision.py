"""A changed spec on resume: what is refused, listed and taken, and that more epochs are as good as asked for at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.compile.front import load
from aebuild.compile.spec_diff import differences
from aebuild.lang.diagnostics import SpecError
from aebuild.results.experiment import Outcome, resume, train
from aebuild.results.revision import Request
from aebuild.trainer.progress.display import Quiet
from aebuild.trainer.run_dir.run import Run

SPEC = """
name: little
data: {type: digits, limit: 150}
encoder: {layer: linear, width: [12, 8]}
latent: {type: gaussian, dim: 3}
losses: {reconstruction: bernoulli}
train: {batch_size: 32, epochs: 2, device: cpu}
"""


def loaded(*settings: str, text: str = SPEC) -> Any:
    return load("little.yaml", settings, text=text)


def weights(outcome: Outcome) -> dict[str, Tensor]:
    return outcome.result.model.state_dict()


def same(a: Outcome, b: Outcome) -> bool:
    return all(torch.equal(tensor, weights(b)[name]) for name, tensor in weights(a).items())


def kinds(*settings: str) -> dict[str, str]:
    return {change.path: change.kind for change in differences(loaded().require(), loaded(*settings).require())}


@pytest.mark.parametrize(("setting", "path", "kind"), [
    ("latent.dim=4", "latent.dim", "structure"), ("encoder.width.0=16", "encoder.0.width", "structure"),
    ("encoder.width.1=9", "encoder.1.width", "structure"), ("encoder.width=[12]", "encoder", "structure"),
    ("train.optimizer=sgd", "train.optimizer", "structure"), ("train.optimizer.amsgrad=true", "train.optimizer.amsgrad", "structure"),
    ("train.phases=[greedy]", "train.phases.0", "structure"), ("decoder=[{linear: 12}, {linear: 8}]", "decoder", "structure"),
    ("losses.reconstruction=gaussian", "losses.reconstruction", "maths"),
    ("losses.kl.weight=0.5", "losses.kl", "maths"), ("train.epochs=5", "train.epochs", "maths"), ("train.seed=1", "train.seed", "maths"),
    ("train.optimizer.lr=0.01", "train.optimizer.lr", "maths"), ("train.clip=1.0", "train.clip", "maths"),
    ("data.limit=100", "data.limit", "maths"), ("corrupt=[{gaussian: 0.1}]", "corrupt", "maths"),
    ("name=other", "name", "harmless"), ("description=text", "description", "harmless"), ("train.keep=last", "train.keep", "harmless"),
    ("train.device=auto", "train.device", "harmless"), ("evaluate.pictures=3", "evaluate.pictures", "harmless"),
    ("allow={AE213: because}", "allow.AE213", "harmless")])
def test_every_change_has_its_class(setting: str, path: str, kind: str) -> None:
    found = kinds(setting)
    assert list(found) == [path], found
    assert found[path] == kind


def test_equal_specs_do_not_differ() -> None:
    assert kinds() == {}
    assert kinds("train.batch_size=32") == {}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("revision") / "run"
    train(loaded(), folder=folder)
    return folder


def test_a_refusal_names_the_paths_and_changes_nothing(finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file() and path.name != "lock"}

    def run(*words: str) -> int:
        return guarded(lambda: commands.main(["train", "--resume", str(finished), *words], standalone_mode=False))

    assert run("--set", "latent.dim=4", "--allow") == 3
    shown = " ".join(capsys.readouterr().err.split())
    assert "AE511" in shown
    assert "latent.dim: 3 -> 4" in shown
    assert run("--set", "train.epochs=3", "--set", "name=other") == 3
    shown = " ".join(capsys.readouterr().err.split())
    assert "AE512" in shown
    assert "train.epochs: 2 -> 3" in shown
    assert "name" not in shown.split("fix")[0].split("differently: ")[1]
    assert before == {path: path.read_bytes() for path in finished.rglob("*") if path.is_file() and path.name != "lock"}


def test_more_epochs_for_a_finished_run_equal_as_many_at_once(tmp_path: Path) -> None:
    """Also on disk: the old spec is kept, the new one is the run's, and the metrics go on."""
    train(loaded(), folder=tmp_path / "run")
    more = resume(tmp_path / "run", change=Request(load(tmp_path / "run" / "spec.yaml", ["train.epochs=5"]), allow=True))
    whole = train(loaded("train.epochs=5"), folder=tmp_path / "whole")
    assert same(more, whole)
    assert (more.result.score, more.result.epoch, more.result.kept) == (whole.result.score, whole.result.epoch, whole.result.kept)
    run = Run.open(tmp_path / "run")
    assert "epochs: 2" in (run.folder / "spec-1.yaml").read_text()
    assert "epochs: 5" in run.spec
    assert "train.epochs: 2 -> 5 (before: spec-1.yaml)" in (run.folder / "log.txt").read_text()
    assert [line["epoch"] for line in run.journal.read()[::2]] == [1, 2, 3, 4, 5]
    assert same(resume(tmp_path / "run"), whole)


@pytest.mark.slow
@pytest.mark.parametrize("schedule", ["cosine", "one_cycle", "{type: step, step_size: 1}", "{type: exponential, gamma: 0.9}"])
def test_a_schedule_goes_on_at_its_place_in_the_new_length(tmp_path: Path, schedule: str) -> None:
    setting = f"train.optimizer.schedule={schedule}"
    train(loaded(setting), folder=tmp_path / "run")
    outcome = resume(tmp_path / "run", change=Request(load(tmp_path / "run" / "spec.yaml", ["train.epochs=4"]), allow=True))
    train(loaded(setting, "train.epochs=4"), folder=tmp_path / "whole")
    assert outcome.result.steps == 20
    rates, wanted = ([line["lr"]["autoencoder"] for line in Run.open(tmp_path / name).journal.read()[::2]] for name in ("run", "whole"))
    assert rates[2:] == pytest.approx(wanted[2:], rel=1e-9)


def test_harmless_changes_are_taken_without_asking(tmp_path: Path) -> None:
    first = train(loaded(), folder=tmp_path / "run")
    notes: list[str] = []

    class Notes(Quiet):
        def note(self, text: str) -> None:
            notes.append(text)

    again = resume(tmp_path / "run", Notes(), change=Request(load(tmp_path / "run" / "spec.yaml", ["description=new", "name=other"])))
    assert same(first, again)
    assert any("without consequence" in note and "name: little -> other" in note for note in notes)
    assert "name: other" in Run.open(tmp_path / "run").spec


def test_other_batches_go_on_at_the_beginning_of_the_epoch(tmp_path: Path) -> None:
    train(loaded(), folder=tmp_path / "run")
    change = Request(load(tmp_path / "run" / "spec.yaml", ["train.batch_size=20", "train.epochs=3"]), allow=True)
    outcome = resume(tmp_path / "run", change=change)
    assert outcome.result.steps == 10 + 8
    assert "going on at the beginning of epoch 3" in (tmp_path / "run" / "log.txt").read_text()


def test_a_spec_that_was_edited_by_hand_is_still_refused(finished: Path) -> None:
    with pytest.raises(SpecError, match=r"latent: "):
        resume(finished, change=Request(loaded(text=SPEC.replace("gaussian, dim", "continuous, dim"))))
