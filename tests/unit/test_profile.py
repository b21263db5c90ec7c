"""--profile: the same bits, true shares, a trace and a table, and nothing left behind."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_training import adversaries, phase, player, tiny_model, tiny_plan, tiny_run, tiny_splits
from torch import nn

from aebuild.cli.guard import guarded
from aebuild.cli.verbs import commands
from aebuild.lang.diagnostics import DivergedError
from aebuild.trainer.fit import train
from aebuild.trainer.job import Job, Manner
from aebuild.trainer.loop import Trainer
from aebuild.trainer.profiling.profiler import WARM_UP
from aebuild.trainer.progress.display import Quiet
from aebuild.trainer.run_dir.run import Run

SPECS = Path(__file__).parents[2] / "specs"


class Notes(Quiet):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def two_phases() -> Any:
    return tiny_plan(phase(player(clip=0.5), name="first", epochs=2), phase(*adversaries(), name="second", epochs=2))


def trained(folder: Path, plan: Any, profile: int, display: Quiet | None = None) -> tuple[nn.Module, Run]:
    with tiny_run(folder) as run:
        return train(Job(plan, tiny_splits(), run, manner=Manner(profile=profile), display=display or Quiet()), model=tiny_model()).model, run


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 6, 100])
def test_profiled_or_not_the_weights_are_the_same_bits(tmp_path: Path, steps: int) -> None:
    """Across the end of an epoch, into a second phase with other players, and beyond the end of the training."""
    display = Notes()
    plain, _ = trained(tmp_path / "plain", two_phases(), 0)
    profiled, run = trained(tmp_path / "profiled", two_phases(), steps, display)
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), profiled.state_dict().values(), strict=True))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in profiled.modules())
    table = (run.folder / "profile" / "table.txt").read_text()
    assert display.notes[0].startswith(table)
    count = min(steps, 16 - WARM_UP)
    assert f"profile of {count} step" in table
    trace = json.loads((run.folder / "profile" / "trace.json").read_text())
    marks = Counter(event["name"] for event in trace["traceEvents"] if event.get("cat") == "user_annotation")
    assert marks["step"] == marks["data"] == count
    assert marks["encoder"] >= count
    assert ("latent.discriminator" in marks) == (steps > 3)


def test_shares_add_up_and_name_every_part(tmp_path: Path) -> None:
    _, run = trained(tmp_path / "run", two_phases(), 10)
    parts, operators = (run.folder / "profile" / "table.txt").read_text().split("\noperator")
    rows = re.findall(r"^(\w[\w ]*?) +(\d+) % +([\d.,]+)$", parts, re.MULTILINE)
    assert {"data", "encoder", "latent", "decoder", "likelihood", "discriminator", "losses", "backward", "clipping", "optimizer", "logging",
            "other"} == {name for name, _, _ in rows}
    assert sum(int(share) for _, share, _ in rows) == 100
    whole = float(re.search(r"steps, ([\d.]+) ms each", parts).group(1))  # type: ignore[union-attr]
    assert sum(float(spent) for _, _, spent in rows) == pytest.approx(whole, abs=0.01)
    assert len(operators.strip().splitlines()) == 11
    assert "aten::" in operators


def test_a_training_too_short_to_profile_says_so(tmp_path: Path) -> None:
    display = Notes()
    trained(tmp_path / "run", tiny_plan(phase(epochs=1)), 5, display)
    assert display.notes == ["nothing was profiled: 4 steps were trained, and the first 5 are for warming up"]


def test_a_training_that_fails_leaves_no_hooks_and_its_error(tmp_path: Path) -> None:
    class Exploding(nn.Linear):
        calls = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.calls += self.training
            return super().forward(x) * (float("nan") if self.calls > 9 else 1.0)

    model = tiny_model()
    model.decoder.add_module("0", Exploding(3, 8))
    with tiny_run(tmp_path / "run") as run, pytest.raises(DivergedError, match=r"decoder\.0"):
        train(Job(tiny_plan(), tiny_splits(), run, manner=Manner(profile=50)), model=model)
    assert not any(module._forward_pre_hooks for module in model.modules())


def test_steps_that_are_not_profiled_know_nothing_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, bool]] = []
    plain = Trainer._look

    def spied(self: Trainer, active: Any) -> None:
        marked = "update" in vars(active.players[0]) or bool(self.model.encoder._forward_hooks) or "take" in vars(self.loader)
        seen.append((self.progress.total, marked))
        plain(self, active)

    monkeypatch.setattr("aebuild.trainer.progress.throughput.LOOK_EVERY", 0.0)
    monkeypatch.setattr("aebuild.trainer.progress.throughput.LOOK_SHARE", 0.0)
    monkeypatch.setattr(Trainer, "_look", spied)
    trained(tmp_path / "run", two_phases(), 4)
    assert [step for step, marked in seen if marked] == [WARM_UP + i for i in range(1, 5)]
    assert len(seen) == 16


@pytest.mark.parametrize("words", [["--profile", "SPEC"], ["SPEC", "--profile"], ["--profile", "3", "SPEC"]])
def test_the_number_of_steps_may_be_left_out(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    monkeypatch.setattr("aebuild.cli.train._outcome", lambda asked, *_: given.append(int(asked.profile)))
    monkeypatch.setattr("aebuild.cli.train._tell", lambda *_: None)
    words = [str(SPECS / "vqvae.yaml") if word == "SPEC" else word for word in words]
    assert guarded(lambda: commands.main(["train", *words], standalone_mode=False)) == 0
    assert given == [3 if "3" in words else 20]


@pytest.mark.parametrize("words", [["a.yaml", "--profile", "b.yaml"], ["a.yaml", "--profile", "0"], ["--profile", "b", "--resume", "c"]])
def test_what_is_no_number_of_steps_is_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert guarded(lambda: commands.main(["train", *words], standalone_mode=False)) == 2
    assert capsys.readouterr().err
