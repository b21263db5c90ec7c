"""The loop: players, phases, schedules, exact resume, divergence and signals."""

from __future__ import annotations

import re
import signal
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from stopping import StopAt
from tiny_training import Adam, StepSchedule, adversaries, phase, player, tiny_model, tiny_plan, tiny_run, tiny_splits
from torch import Tensor, nn

from aebuild.compile.plan import DialPlan
from aebuild.lang.diagnostics import Diagnostic, DivergedError, ResourceError
from aebuild.lang.schedule import Ramp
from aebuild.modules.randomness import random_modules
from aebuild.trainer.batches.loader import batch_bounds, order_of
from aebuild.trainer.checkpoints import writer as writer_module
from aebuild.trainer.checkpoints.checkpoint import read_folder
from aebuild.trainer.checkpoints.rotation import Checkpoints
from aebuild.trainer.device import choose_device, memory_guard
from aebuild.trainer.fit import train
from aebuild.trainer.job import Job, Manner
from aebuild.trainer.nonfinite import finite_parameters
from aebuild.trainer.phase import ActivePhase, reseed_all
from aebuild.trainer.players import ActivePlayer
from aebuild.trainer.progress import throughput as throughput_module
from aebuild.trainer.progress.display import EpochReport, Quiet
from aebuild.trainer.run_dir.atomic_files import CANNOT_WRITE
from aebuild.trainer.run_dir.run import Run
from aebuild.trainer.running_means import RunningMeans
from aebuild.trainer.signals import Interrupted

RAMP = Ramp.model_validate({"from": 0.0, "to": 1.0, "over": "2 epochs"})


def weights(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture
def every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The trainer looks after every batch, so that a test can stop it anywhere."""
    monkeypatch.setattr(throughput_module, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(throughput_module, "LOOK_SHARE", 0.0)


@pytest.mark.parametrize(("samples", "size", "expected"), [
    (10, 4, [(0, 4), (4, 8), (8, 10)]), (9, 4, [(0, 4), (4, 9)]), (8, 4, [(0, 4), (4, 8)]), (3, 16, [(0, 3)]), (1, 4, [(0, 1)]),
    (3, 1, [(0, 1), (1, 2), (2, 3)]), (5, 4, [(0, 5)])])
def test_a_single_last_sample_joins_the_batch_before(samples: int, size: int, expected: list[tuple[int, int]]) -> None:
    assert batch_bounds(samples, size) == expected


def test_order_is_a_pure_function_and_a_permutation() -> None:
    order = order_of(100, 1, "0.main", 3)
    assert torch.equal(order, order_of(100, 1, "0.main", 3))
    assert sorted(order.tolist()) == list(range(100))
    others = [order_of(100, 2, "0.main", 3), order_of(100, 1, "1.main", 3), order_of(100, 1, "0.main", 4)]
    assert not any(torch.equal(order, other) for other in others)


def test_sums_are_sample_weighted_means() -> None:
    sums = RunningMeans()
    sums.add(("a", "b"), [torch.tensor(1.0), torch.tensor(2.0)], 3)
    sums.add(("a",), [torch.tensor(5.0)], 1)
    assert sums.means() == {"a": 2.0, "b": 2.0}
    restored = RunningMeans()
    restored.load(sums.state(), torch.device("cpu"))
    assert restored.means() == sums.means()


def test_the_loop_equals_a_plain_loop(tmp_path: Path) -> None:
    """Same module, data, order and noise, clipping and a ramped weight: the same bits as written by hand."""
    plan = tiny_plan(phase(player(clip=0.5)), weight=RAMP, keep="last")
    splits, mine, plain = tiny_splits(), tiny_model(), tiny_model()
    with tiny_run(tmp_path / "run") as run:
        train(Job(plan, splits, run), model=mine)
    x, optimizer, tick = torch.from_numpy(splits.train.x), torch.optim.Adam(plain.parameters(), 1e-2), 0
    plain.train()
    for epoch in range(3):
        order = order_of(65, 7, "0.main", epoch)
        for number, (start, stop) in enumerate(batch_bounds(65, 16)):
            batch = x[order[start:stop]]
            reseed_all(random_modules(plain), 7, tick)
            code = plain.latent(plain.encoder(batch))
            error = (plain.decoder(code.value) - batch).square().sum(1).sum() / len(batch)
            kl = code.terms["kl"].sum() / len(batch)
            weight = min(1.0, (epoch * 4 + number) / 8)
            optimizer.zero_grad()
            (error + kl * weight).backward()
            nn.utils.clip_grad_norm_(plain.parameters(), 0.5)
            optimizer.step()
            tick += 1
    expected = weights(plain)
    found = weights(mine)
    moved = [name for name in expected if "discriminator" not in name]
    assert all(torch.equal(found[name], expected[name]) for name in moved)


def test_training_learns_and_tells(tmp_path: Path) -> None:
    plan = tiny_plan(phase(epochs=30), weight=0.01)
    with tiny_run(tmp_path / "run") as run:
        result = train(Job(plan, tiny_splits(), run), model=tiny_model())
    lines = run.journal.read()
    assert len(lines) == 60
    first, last = lines[0], lines[-2]
    assert last["terms"]["reconstruction"] < 0.5 * first["terms"]["reconstruction"]
    assert set(last) == {"phase", "epoch", "step", "split", "loss", "terms", "metrics", "lr", "seconds", "samples_per_second",
                         "gradients"}
    assert last["loss"] == pytest.approx(last["terms"]["reconstruction"] + 0.01 * last["terms"]["kl"])
    assert last["lr"] == {"autoencoder": 1e-2}
    assert (last["epoch"], last["step"], lines[-1]["split"]) == (30, 120, "validation")
    scores = [line["score"] for line in lines[1::2]]
    assert result.score == min(scores)
    assert result.epoch == 1 + scores.index(min(scores))
    assert not result.model.training
    assert all(parameter.requires_grad for parameter in result.model.parameters())


def test_best_is_judged_by_the_final_weights(tmp_path: Path) -> None:
    """A ramp from 0 makes early totals small; the score uses the weight that the phase ends with."""
    plan = tiny_plan(phase(epochs=4), weight=Ramp.model_validate({"from": 0.0, "to": 50.0}))
    with tiny_run(tmp_path / "run") as run:
        train(Job(plan, tiny_splits(), run), model=tiny_model())
    for line in run.journal.read()[1::2]:
        assert line["score"] == pytest.approx(line["terms"]["reconstruction"] + 50 * line["terms"]["kl"])


def test_best_weights_are_the_ones_returned_and_stored(tmp_path: Path) -> None:
    with tiny_run(tmp_path / "run") as run:
        result = train(Job(tiny_plan(phase(epochs=5)), tiny_splits(), run), model=tiny_model())
        stored = run.checkpoints.load("best").checkpoint
    assert same(stored.model, weights(result.model))
    assert stored.state["progress"]["best"]["epoch"] == result.epoch


def test_only_the_players_parameters_move(tmp_path: Path) -> None:
    model = tiny_model()
    before = weights(model)
    plan = tiny_plan(phase(player(modules=("decoder.output",), terms=("reconstruction",))), keep="last")
    with tiny_run(tmp_path / "run") as run:
        train(Job(plan, tiny_splits(), run), model=model)
    after = weights(model)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"decoder.output.weight", "decoder.output.bias"}       # no batch statistics, no running mean


def test_players_alternate_on_their_own_parameters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, turns = tiny_model(), []
    plain = ActivePlayer.forward

    def spied(self: ActivePlayer, batch: Any, step: int) -> Any:
        turns.append((self.plan.name, frozenset(path for path, p in self.model.named_parameters() if p.requires_grad)))
        return plain(self, batch, step)

    monkeypatch.setattr(ActivePlayer, "forward", spied)
    before = weights(model)
    with tiny_run(tmp_path / "run") as run:
        train(Job(tiny_plan(phase(*adversaries(), epochs=None, steps=2)), tiny_splits(validation=0), run), model=model)
    assert [name for name, _ in turns] == ["autoencoder", "generator", "discriminator", "discriminator"] * 2
    moved = dict(turns)
    assert moved["discriminator"] == {"latent.discriminator.weight", "latent.discriminator.bias"}
    assert not any("discriminator" in name or "decoder" in name for name in moved["generator"])
    assert not any("discriminator" in name for name in moved["autoencoder"])
    after = weights(model)
    assert all(not torch.equal(before[name], after[name]) for name, _ in model.named_parameters())
    terms = run.journal.read()[0]["terms"]
    assert set(terms) == {"reconstruction", "adversarial", "discriminator"}


def test_dials_and_ramped_rates_follow_the_phase(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = tiny_model(), []
    plain = ActivePhase.run

    def spied(self: ActivePhase, *given: Any) -> int:
        tick = plain(self, *given)
        seen.append((model.latent.temperature, self.rates()["autoencoder"]))
        return tick

    monkeypatch.setattr(ActivePhase, "run", spied)
    ramp = Ramp.model_validate({"from": 1.0, "to": 0.0, "over": "8 steps"})
    plan = tiny_plan(phase(player(optimizer=Adam(lr=ramp, schedule=StepSchedule())), epochs=2),
                     dials=(DialPlan("latent", "temperature", ramp),))
    with tiny_run(tmp_path / "run") as run:
        train(Job(plan, tiny_splits(), run), model=model)
    assert [dial for dial, _ in seen] == pytest.approx([1 - i / 8 for i in range(8)])
    assert [rate for _, rate in seen] == pytest.approx([(1 - i / 8) * (1 if i < 4 else 0.5) for i in range(8)])


def test_callers_random_numbers_are_untouched(tmp_path: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    model = tiny_model()
    torch.manual_seed(3)
    with tiny_run(tmp_path / "run") as run:
        train(Job(tiny_plan(), tiny_splits(), run), model=model)
    assert torch.equal(torch.rand(2), expected)


def full_plan() -> Any:
    """Two phases, adversaries, a schedule of each kind, ramps: all that a resume must carry over."""
    two = adversaries()
    return tiny_plan(phase(player(optimizer=Adam(schedule=StepSchedule()), clip=1.0), name="first", epochs=2),
                     phase(two[0], two[1], player("discriminator", ("latent.discriminator",), ("discriminator",),
                                                  Adam(lr=RAMP, schedule=StepSchedule("step")), steps=2),
                           name="second", epochs=None, steps=7), weight=RAMP)


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("looks", range(1, 16))
def test_resume_is_bit_equal_at_every_step(tmp_path: Path, looks: int) -> None:
    plan, splits = full_plan(), tiny_splits()
    with tiny_run(tmp_path / "whole") as whole:
        expected = train(Job(plan, splits, whole), model=tiny_model())
    with tiny_run(tmp_path / "cut") as run, pytest.raises(Interrupted) as stopped:
        train(Job(plan, splits, run, display=StopAt(looks)), model=tiny_model())
    assert stopped.value.exit_code == 130
    assert stopped.value.diagnostics[0].fix == run.resume_command
    with Run.open(tmp_path / "cut", write=True) as run:
        result = train(Job(plan, splits, run), resume=True, model=tiny_model(seed=99))
    assert same(weights(result.model), weights(expected.model))
    assert (result.score, result.epoch, result.steps) == (expected.score, expected.epoch, expected.steps)
    clock = {"seconds", "samples_per_second"}
    told, wanted = ([{k: v for k, v in line.items() if k not in clock} for line in r.journal.read()] for r in (run, whole))
    assert told == wanted
    last, end = (r.checkpoints.load("step").checkpoint for r in (run, whole))
    assert same(last.model, end.model)
    assert same(last.trainer, end.trainer)


@pytest.mark.parametrize(("value", "finite"), [(float("nan"), False), (float("inf"), False), (float("-inf"), False), (3e38, True), (-3e38, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_one_value_makes_weights_infinite(value: float, finite: bool, dtype: torch.dtype) -> None:
    model = nn.Module()
    model.plain = nn.Parameter(torch.randn(5, 7, dtype=dtype))
    model.empty = nn.Parameter(torch.empty(0, 3, dtype=torch.float32))
    model.wide = nn.Parameter(torch.randn(3, dtype=torch.float64))
    assert finite_parameters(model)
    model.plain.data[2, 3] = value
    assert finite_parameters(model) == finite
    assert finite_parameters(nn.Module())


def impatient_plan(patience: int | None) -> Any:
    """Two phases that learn too fast to get better for long."""
    jumpy = player(optimizer=Adam(lr=0.3))
    return tiny_plan(phase(jumpy, name="first", epochs=12, patience=patience), phase(jumpy, name="second", epochs=12, patience=patience))


def epochs_of(run: Run, name: str) -> list[tuple[int, float]]:
    """(epoch, score) of each epoch of a phase."""
    return [(line["epoch"], line["score"]) for line in run.journal.read() if line["split"] == "validation" and line["phase"] == name]


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_a_phase_ends_when_its_patience_runs_out(tmp_path: Path, patience: int) -> None:
    with tiny_run(tmp_path / "patient") as patient:
        train(Job(impatient_plan(None), tiny_splits(), patient), model=tiny_model())
    with tiny_run(tmp_path / "run") as run:
        result = train(Job(impatient_plan(patience), tiny_splits(), run), model=tiny_model())
    found = epochs_of(run, "first")
    assert found == epochs_of(patient, "first")[:len(found)]          # up to there it is the same training
    assert len(found) < 12
    for name in ("first", "second"):
        scores = [score for _, score in epochs_of(run, name)]
        waited = [at - scores[:at + 1].index(min(scores[:at + 1])) for at in range(len(scores))]
        assert all(epochs < patience for epochs in waited[:-1])
        assert waited[-1] == patience or len(scores) == 12
    ended = re.findall(r"phase (\w+) ends after epoch (\d+) of 12: no better validation score for (\d) epochs?", (run.folder / "log.txt").read_text())
    assert ("first", str(len(found)), str(patience)) in ended
    second = [score for _, score in epochs_of(run, "second")]
    assert (result.score, result.epoch) == (min(second), second.index(min(second)) + 1)


@pytest.mark.slow
@pytest.mark.usefixtures("every_step")
@pytest.mark.parametrize("looks", range(1, 40, 3))
def test_a_resume_is_as_patient(tmp_path: Path, looks: int) -> None:
    plan, splits = impatient_plan(2), tiny_splits()
    with tiny_run(tmp_path / "whole") as whole:
        expected = train(Job(plan, splits, whole), model=tiny_model())
    with tiny_run(tmp_path / "cut") as run, suppress(Interrupted):
        train(Job(plan, splits, run, display=StopAt(looks)), model=tiny_model())
    for seed in (98, 99):                                               # the second time it was finished before
        with Run.open(tmp_path / "cut", write=True) as run:
            result = train(Job(plan, splits, run), resume=True, model=tiny_model(seed=seed))
        assert same(weights(result.model), weights(expected.model))
        assert (result.score, result.epoch, result.steps) == (expected.score, expected.epoch, expected.steps)
        assert [epochs_of(run, name) for name in ("first", "second")] == [epochs_of(whole, name) for name in ("first", "second")]


@pytest.mark.usefixtures("every_step")
def test_a_crash_without_a_save_repeats_from_the_checkpoint(tmp_path: Path) -> None:
    """Lines written after the checkpoint are cut, then written again with the same numbers."""
    plan, splits = full_plan(), tiny_splits()

    class Crash(Quiet):
        def epoch(self, report: EpochReport) -> None:
            if report.status.phase == "second":
                raise KeyError("crash")

    with tiny_run(tmp_path / "whole") as whole:
        expected = train(Job(plan, splits, whole), model=tiny_model())
    with tiny_run(tmp_path / "cut") as run, pytest.raises(KeyError):
        train(Job(plan, splits, run, display=Crash()), model=tiny_model())
    assert len(run.journal.read()) == 6
    with Run.open(tmp_path / "cut", write=True) as run:
        result = train(Job(plan, splits, run), resume=True, model=tiny_model(seed=99))
    assert same(weights(result.model), weights(expected.model))
    assert [line["loss"] for line in run.journal.read()] == [line["loss"] for line in whole.journal.read()]


def test_a_finished_run_resumes_to_itself(tmp_path: Path) -> None:
    with tiny_run(tmp_path / "run") as run:
        first = train(Job(tiny_plan(), tiny_splits(), run), model=tiny_model())
        again = train(Job(tiny_plan(), tiny_splits(), run), resume=True, model=tiny_model(seed=5))
    assert same(weights(first.model), weights(again.model))


def test_a_damaged_newest_checkpoint_is_named_and_the_one_before_used(tmp_path: Path) -> None:
    plan, splits, display = tiny_plan(), tiny_splits(), StopAt(-1)
    with tiny_run(tmp_path / "run") as run:
        expected = train(Job(plan, splits, run), model=tiny_model())
        kept = weights(expected.model)
        path = run.folder / "checkpoints" / "step-12" / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + b"!")
        result = train(Job(plan, splits, run, display=display), resume=True, model=tiny_model(seed=5))
    assert "checkpoints/step-12 is damaged: model.safetensors does not have the SHA-256" in display.notes[0]
    assert same(weights(result.model), kept)


class Explosive(nn.Module):
    """The identity, until its weight has moved far enough."""

    def __init__(self, calls: int, backward: bool = False) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(()))
        self.calls, self.backward = calls, backward

    def forward(self, x: Tensor) -> Tensor:
        """NaN from call number `calls` on; or a gradient that is."""
        if self.training:
            self.count += 1
        if self.count < self.calls:
            return x
        return x + (0 * x.detach()).sqrt() * 0 + (x - x.detach()).abs().sqrt() * 0 if self.backward else x * float("nan")


@pytest.mark.parametrize("backward", [False, True])
def test_nan_names_step_module_and_term(tmp_path: Path, backward: bool) -> None:
    model = tiny_model()
    model.decoder.add_module("0", nn.Sequential(nn.Linear(3, 8), Explosive(7, backward)))
    with tiny_run(tmp_path / "run") as run, pytest.raises(DivergedError) as caught:
        train(Job(tiny_plan(), tiny_splits(), run), model=model)
    message = str(caught.value)
    assert caught.value.exit_code == 7
    assert "in phase main, epoch 2, step 6" in message
    assert ("the gradient of `decoder.0.0.bias`" if backward else "the output of `decoder.0.1`") in message
    assert "in the term `reconstruction`" in message
    assert "clip: 1.0" in str(caught.value.diagnostics[0].fix)
    assert run.checkpoints.load("step").checkpoint.state["progress"]["total"] == 0


def test_an_absurd_rate_is_a_parameter_that_overflows(tmp_path: Path) -> None:
    plan = tiny_plan(phase(player(optimizer=Adam(lr=1e38, kind=torch.optim.SGD), clip=100.0)))
    with tiny_run(tmp_path / "run") as run, pytest.raises(DivergedError, match="step") as caught:
        train(Job(plan, tiny_splits(), run), model=tiny_model())
    assert "lr: 1e+37" in str(caught.value.diagnostics[0].fix)


def test_data_that_are_not_finite_are_the_fault(tmp_path: Path) -> None:
    splits = tiny_splits()
    splits.train.x[5, 2] = np.nan
    with tiny_run(tmp_path / "run") as run, pytest.raises(DivergedError, match="the first value that is not finite is the data"):
        train(Job(tiny_plan(), splits, run), model=tiny_model())


def test_out_of_memory_is_a_resource_error() -> None:
    with pytest.raises(ResourceError, match=r"batches of 16; the biggest output is that of `encoder.0`, vector\(8\)") as caught, \
            memory_guard(tiny_plan(), 16):
        torch.empty(1 << 46)
    assert caught.value.diagnostics[0].fix == "train: {batch_size: 4}"
    with pytest.raises(RuntimeError, match="another"), memory_guard(tiny_plan(), 16):
        raise RuntimeError("another")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_cuda_without_a_gpu_is_refused() -> None:
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ResourceError, match="finds no GPU"):
        choose_device("cuda")


@pytest.mark.usefixtures("every_step")
def test_sigterm_saves_and_exits_143(tmp_path: Path) -> None:
    expected = "stopped by SIGTERM in phase main, epoch 1, step 2"
    with tiny_run(tmp_path / "run") as run, pytest.raises(Interrupted, match=expected) as stopped:
        train(Job(tiny_plan(), tiny_splits(), run, display=StopAt(1, signal.SIGTERM)), model=tiny_model())
    assert stopped.value.exit_code == 143


def test_checkpoints_by_count_are_written_at_those_very_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved = []
    plain = Checkpoints.save

    def spied(self: Checkpoints, name: str, checkpoint: Any) -> None:
        saved.append(name)
        plain(self, name, checkpoint)

    monkeypatch.setattr(Checkpoints, "save", spied)
    with tiny_run(tmp_path / "run") as run:
        result = train(Job(tiny_plan(phase(epochs=3)), tiny_splits(), run, manner=Manner(save_every=5)), model=tiny_model())
    assert [name for name in saved if name.startswith("step")] == ["step-0", "step-5", "step-10", "step-12"]
    assert result.kept in saved
    assert len(saved) == len(set(saved))


class Slow:
    """A disk on which a checkpoint takes until it is let go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate, self.error = threading.Event(), None
        self.written: list[str] = []
        plain = Checkpoints.save

        def save(checkpoints: Checkpoints, name: str, checkpoint: Any) -> None:
            assert name == "step-0" or self.gate.wait(20)
            if self.error is not None and name != "step-0":
                raise self.error
            self.written.append(name)
            plain(checkpoints, name, checkpoint)

        monkeypatch.setattr(Checkpoints, "save", save)


def test_training_goes_on_while_a_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is that of the step at which it was copied, whatever training does meanwhile."""
    disk, seen = Slow(monkeypatch), []
    plain = ActivePhase.run

    def spied(self: ActivePhase, batch: Any, step: int, *rest: Any) -> int:
        seen.append((step, list(disk.written)))
        if step == 7:
            disk.gate.set()
        return plain(self, batch, step, *rest)

    monkeypatch.setattr(ActivePhase, "run", spied)
    plan = tiny_plan(phase(epochs=2), keep="last")
    with tiny_run(tmp_path / "run") as run:
        train(Job(plan, tiny_splits(), run, manner=Manner(save_every=6)), model=tiny_model())
    assert seen[7] == (7, ["step-0"])
    with tiny_run(tmp_path / "short") as short:
        train(Job(tiny_plan(phase(epochs=None, steps=6), keep="last"), tiny_splits(), short), model=tiny_model())
    copied, expected = (read_folder(r.folder / "checkpoints" / "step-6") for r in (run, short))
    assert same(copied.model, expected.model)
    assert all(torch.equal(copied.trainer[name], tensor) for name, tensor in expected.trainer.items())


@pytest.mark.parametrize("every", [None, 2])
def test_what_the_writer_meets_stops_the_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every: int | None) -> None:
    monkeypatch.setattr(writer_module, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(throughput_module, "LOOK_EVERY", 0.0)
    disk = Slow(monkeypatch)
    disk.error = ResourceError(Diagnostic(CANNOT_WRITE, "cannot write step-2: No space left on device"))
    disk.gate.set()
    with tiny_run(tmp_path / "run") as run, pytest.raises(ResourceError, match="No space left"):
        train(Job(tiny_plan(), tiny_splits(), run, manner=Manner(save_every=every)), model=tiny_model())
    assert run.checkpoints.load("step").name == "step-0"
    assert every is None or len(run.journal.read()) < 6
