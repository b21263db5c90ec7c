"""Execution plans: the same numbers computed in other ways, measured, stored, and left behind when they fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from models import fine, imagined

from aebuild.cli import launcher
from aebuild.compile.build import build
from aebuild.compile.front import Loaded
from aebuild.compile.memory import memory_of
from aebuild.lang.diagnostics import CheckpointError, ResourceError
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.collectives import present
from aebuild.modules.convolution import ConvTranspose2d
from aebuild.modules.dropout import Dropout
from aebuild.modules.outputs import Batch
from aebuild.modules.randomness import random_modules
from aebuild.modules.stage import Stage
from aebuild.trainer.batches.loader import SplitLoader
from aebuild.trainer.fit import TrainResult, train
from aebuild.trainer.job import Job, Manner
from aebuild.trainer.phase import reseed_all
from aebuild.trainer.progress.display import Quiet
from aebuild.trainer.run_dir.run import Run
from aebuild.trainer.speed import autotune as autotune_module
from aebuild.trainer.speed.autotune import Autotuner, Bench
from aebuild.trainer.speed.choice import FILE, Choice, Trial, stored
from aebuild.trainer.speed.execution import Execution, candidates, exact

CPU = torch.device("cpu")
IMAGES = """
data: digits
encoder: [conv: {width: 8, stride: 2, norm: batch}, dropout: 0.3, residual: [conv: {width: 8, norm: batch}]]
latent: {type: gaussian, dim: 4}
decoder: [conv: {width: 8, norm: batch}, conv: {width: 8}]
train: {epochs: 2, batch_size: 16}
"""
SERIES = """
data: {type: arrays, path: none.npy, shape: [12, 3]}
encoder: [transformer: {width: 16, heads: 2, dropout: 0.2}, transformer: {width: 16, heads: 2, dropout: 0.2}]
latent: {type: continuous, dim: 4}
decoder: [lstm: {width: 8}]
train: {epochs: 2, batch_size: 16}
"""


class Heard(Quiet):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def trained(text: str, folder: Path, execution: Execution | None = None, *, resume: bool = False,
            display: Quiet | None = None) -> TrainResult:
    loaded = fine(text)
    assert loaded.plan is not None and loaded.info is not None
    splits = imagined(loaded.info, loaded.plan)
    with Run.open(folder, write=True) if resume else Run.create("x", spec="", plan={}, data={}, folder=folder) as run:
        return train(Job(loaded.plan, splits, run, manner=Manner(execution), display=display or Quiet()), resume=resume)


def one_step(model: Autoencoder, loaded: Loaded) -> tuple[float, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Loss, gradients and buffers of one batch."""
    assert loaded.plan is not None and loaded.info is not None
    x = torch.from_numpy(imagined(loaded.info, loaded.plan).train.x)
    reseed_all(random_modules(model.train()), 0, 0)
    terms, _ = model.terms(Batch(x, x))
    loss = sum((term.mean() for term in terms.values()), torch.zeros(()))
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach()), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}, dict(model.named_buffers())


@pytest.mark.parametrize("text", [IMAGES, SERIES])
def test_recomputing_changes_no_bit(text: str) -> None:
    """Noise is drawn again as it was, and running statistics learn once."""
    loaded = fine(text)
    assert loaded.plan is not None
    plain, again = build(loaded.plan), build(loaded.plan)
    Execution(recompute=("encoder", "decoder")).prepare(again)
    for _ in range(2):
        a, b = one_step(plain, loaded), one_step(again, loaded)
        assert a[0] == b[0]
        for one, other in zip(a[1:], b[1:], strict=True):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[name], other[name]) for name in one)


def test_recomputing_keeps_less(tmp_path: Path) -> None:
    """Fewer bytes are saved for backward, as the plan says; the spec's word reaches the modules."""
    deep = IMAGES.replace("decoder: [", "decoder: [repeat: {times: 6, steps: [residual: [conv: {width: 8}, conv: {width: 8}]]}, ")
    loaded, asked = fine(deep), fine(deep.replace("batch_size: 16", "batch_size: 16, recompute: [decoder]"))
    assert loaded.plan is not None and asked.plan is not None
    assert memory_of(asked.plan).activations < memory_of(loaded.plan).activations
    saved = []
    for plan in (loaded.plan, asked.plan):
        model, sizes = build(plan), {}
        exact(CPU, plan.spec.train.recompute).prepare(model)

        def keep(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model.terms(Batch(torch.rand(16, 1, 8, 8), torch.rand(16, 1, 8, 8)))
        saved.append(sum(sizes.values()))
    assert saved[1] < 0.7 * saved[0]


def test_an_execution_survives_json() -> None:
    assert str(Execution(threads=1, workers=2)) == "2 workers of 1 thread"
    execution = Execution(threads=3, matmul="medium", memory="channels_last", recompute=("encoder",), accumulate=4)
    assert Execution.from_json(json.loads(json.dumps(execution.to_json()))) == execution
    for wrong in ({"threads": "3"}, {"thread": 3}, {"accumulate": True}, {"threads": -1}, {"workers": 0}, {"memory": "rows"}, {"recompute": [3]}):
        with pytest.raises(ValueError, match="1 validation error for Execution"):
            Execution.from_json(wrong)
    assert str(execution) == "3 threads, matmul medium, channels_last, encoder recomputed, batches in 4 parts"
    assert str(Execution()) == "plain float32"


def test_what_torch_keeps_for_the_process_is_put_back() -> None:
    before = torch.get_num_threads(), torch.get_float32_matmul_precision()
    with Execution(threads=before[0] + 1, matmul="medium").applied():
        assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == (before[0] + 1, "medium")
    assert (torch.get_num_threads(), torch.get_float32_matmul_precision()) == before


def test_bfloat16_stays_inside_the_halves() -> None:
    loaded = fine(IMAGES)
    assert loaded.plan is not None
    plain, half = build(loaded.plan), build(loaded.plan)
    Execution(precision="bfloat16").prepare(half)
    a, b = one_step(plain, loaded), one_step(half, loaded)
    assert a[0] != b[0]
    assert a[0] == pytest.approx(b[0], rel=1e-2)
    assert {gradient.dtype for gradient in b[1].values()} == {torch.float32}
    assert half.encoder(torch.rand(2, 1, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize("execution", [Execution(threads=1, memory="channels_last"), Execution(threads=1, recompute=("decoder",)),
                                       Execution(threads=1, workers=3, recompute=("encoder",))])
def test_a_resumed_training_is_computed_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, execution: Execution) -> None:
    """Momentum that was stored in rows must not meet weights that lie in channels."""
    whole = trained(IMAGES, tmp_path / "whole", execution)
    trained(IMAGES.replace("epochs: 2", "epochs: 1"), tmp_path / "cut", execution)
    state = (tmp_path / "cut" / FILE).read_bytes()
    again = trained(IMAGES, tmp_path / "whole", resume=True)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True))
    assert stored(tmp_path / "whole").execution == execution
    assert json.loads(state)["execution"] == json.loads((tmp_path / "whole" / FILE).read_bytes())["execution"]


def test_exact_is_plain(tmp_path: Path) -> None:
    trained(IMAGES.replace("batch_size: 16", "batch_size: 16, speed: exact"), tmp_path / "run")
    assert stored(tmp_path / "run").execution == Execution(threads=torch.get_num_threads())


def test_short_trainings_are_not_measured(tmp_path: Path) -> None:
    heard = Heard()
    trained(IMAGES, tmp_path / "run", display=heard)
    told = json.loads((tmp_path / "run" / FILE).read_bytes())
    assert (told["reason"], told["trials"]) == ("the training is too short to measure", [])
    assert heard.notes == []


def test_measuring_that_fails_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(tuner: Autotuner) -> Choice:
        raise ValueError("no such thing")

    monkeypatch.setattr(Autotuner, "choose", broken)
    heard = Heard()
    trained(IMAGES, tmp_path / "run", display=heard)
    assert "measuring failed: ValueError: no such thing" in heard.notes[-1]
    assert stored(tmp_path / "run").execution == exact(CPU)


def test_a_plan_taken_from_another_run_gives_the_same_bits(tmp_path: Path) -> None:
    first = trained(IMAGES, tmp_path / "first", Execution(threads=1, memory="channels_last"))
    again = trained(IMAGES, tmp_path / "again", stored(tmp_path / "first").execution)
    assert all(torch.equal(a, b) for a, b in zip(first.model.state_dict().values(), again.model.state_dict().values(), strict=True))
    assert stored(tmp_path / "again").execution == stored(tmp_path / "first").execution


def test_a_speed_that_changes_is_chosen_anew(tmp_path: Path) -> None:
    trained(IMAGES, tmp_path / "run", Execution(threads=1, memory="channels_last"))
    trained(IMAGES.replace("batch_size: 16", "batch_size: 16, speed: exact"), tmp_path / "run", resume=True)
    assert stored(tmp_path / "run").execution == Execution(threads=torch.get_num_threads())


def test_no_plan_to_take(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file") as caught:
        stored(tmp_path)
    assert caught.value.exit_code == 5
    for text in ("{}", "[1]", "{", '{"execution": {"threads": "x"}}', '{"execution": 3}'):
        (tmp_path / FILE).write_text(text)
        with pytest.raises(CheckpointError, match="not what aebuild writes"):
            stored(tmp_path)


WAYS: dict[str, tuple[dict[str, Any], float]] = {        # what changes, and how long a step then takes
    "slower": ({"threads": 1}, 1.3), "wrong": ({"matmul": "high"}, 0.1), "broken": ({"compiler": "inductor"}, 0.1),
    "faster": ({"memory": "channels_last"}, 0.8), "no gain": ({"attention": "fused"}, 0.79)}


@pytest.mark.slow
def test_the_fastest_way_that_agrees_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five ways with known times: a slower one, a wrong one, one that fails, a faster one, and one within the noise."""
    loaded = fine(IMAGES.replace("epochs: 2", "epochs: 100"))
    assert loaded.plan is not None and loaded.info is not None
    plain_gradients = Bench.gradients
    base = exact(CPU)

    def seconds(bench: Bench, steps: int) -> float:
        taken = 1.0
        for change, factor in WAYS.values():
            if all(getattr(bench.execution, name) == value != getattr(base, name) for name, value in change.items()):
                taken = taken * factor if change != WAYS["no gain"][0] else taken * 0.79 / 0.8
        return taken

    def gradients(bench: Bench) -> Any:
        if bench.execution.compiler != "none":
            raise RuntimeError("no compiler here\nand more")
        losses, found = plain_gradients(bench)
        return (losses, [-tensor for tensor in found]) if bench.execution.matmul == "high" else (losses, found)

    monkeypatch.setattr(autotune_module, "candidates", lambda *_: iter([(name, change) for name, (change, _) in WAYS.items()]))
    monkeypatch.setattr(Bench, "seconds", seconds)
    monkeypatch.setattr(Bench, "gradients", gradients)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(torch, "set_num_threads", lambda count: None)
    base = exact(CPU)
    model = build(loaded.plan)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    chosen = Autotuner(loaded.plan, model, SplitLoader(imagined(loaded.info, loaded.plan).train, CPU),
                   frozenset(name for name, _ in model.named_parameters()), lambda: False).choose()
    assert chosen.execution == base.but(memory="channels_last")
    assert chosen.speedup == pytest.approx(1.25)
    verdicts = {trial.name: trial.verdict for trial in chosen.trials}
    assert verdicts["slower"] == verdicts["no gain"] == "not faster"
    assert verdicts["wrong"].startswith("refused: loss or gradient differ by more than")
    assert verdicts["broken"] == "failed: RuntimeError: no compiler here"
    assert "taken: faster" in str(chosen)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items()), "the model itself is left alone"


def test_nothing_is_tried_when_the_time_is_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = fine(IMAGES.replace("epochs: 2", "epochs: 100"))
    assert loaded.plan is not None and loaded.info is not None
    monkeypatch.setattr(Bench, "seconds", lambda bench, steps: 1.0)
    model = build(loaded.plan)
    chosen = Autotuner(loaded.plan, model, SplitLoader(imagined(loaded.info, loaded.plan).train, CPU),
                   frozenset(name for name, _ in model.named_parameters()), lambda: True).choose()
    assert chosen.execution == exact(CPU)
    assert {trial.verdict for trial in chosen.trials} == {"not tried: the time for measuring is used up"}


def test_a_compiler_that_fails_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch._dynamo.exc import TorchDynamoException

    def broken(*_: object, **__: object) -> None:
        raise TorchDynamoException("no such instruction")

    monkeypatch.setattr(Stage, "compile", lambda stage, **_: setattr(stage, "_compiled_call_impl", broken))
    heard = Heard()
    result = trained(IMAGES, tmp_path / "run", Execution(threads=1, compiler="inductor"), display=heard)
    plain = trained(IMAGES, tmp_path / "plain", Execution(threads=1))
    assert "the compiler failed (TorchDynamoException: no such instruction)" in heard.notes[-1]
    assert stored(tmp_path / "run").execution == Execution(threads=1)
    assert all(torch.equal(a, b) for a, b in zip(result.model.state_dict().values(), plain.model.state_dict().values(), strict=True))


def small_memory(model_rows: int, monkeypatch: pytest.MonkeyPatch, *, until: str = "") -> None:
    """Batches of more rows than that cannot be trained with; or none can, until this half is recomputed."""
    plain = Autoencoder.run_losses

    def run_losses(model: Autoencoder, batch: Batch, *more: Any) -> Any:
        if torch.is_grad_enabled() and len(batch.x) > model_rows and not (until and model.get_submodule(until).recompute):
            raise torch.OutOfMemoryError("out of memory")
        return plain(model, batch, *more)

    monkeypatch.setattr(Autoencoder, "run_losses", run_losses)


@pytest.mark.slow
def test_a_batch_too_big_for_memory_is_computed_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise, corruption and dropout included: the same batch, gradient and metrics as at once, within rounding."""
    text = IMAGES.replace(", norm: batch", "") + "corrupt: [gaussian: {std: 0.3}]\n"
    whole = trained(text, tmp_path / "whole", Execution(threads=1))
    heard = Heard()
    small_memory(4, monkeypatch)
    parts = trained(text, tmp_path / "parts", Execution(threads=1), display=heard)
    assert heard.notes[-1] == "memory is too small for the batch: going on from the last checkpoint with 1 thread, batches in 4 parts"
    assert stored(tmp_path / "parts").execution.accumulate == 4
    for name, tensor in whole.model.state_dict().items():
        torch.testing.assert_close(parts.model.state_dict()[name], tensor, rtol=1e-3, atol=1e-4)
    first, second = (Run.open(tmp_path / name).journal.read() for name in ("whole", "parts"))
    for one, other in zip(first, second, strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-3)
        assert other["terms"] == pytest.approx(one["terms"], rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("text", [IMAGES, IMAGES.replace(", norm: batch", "").replace(
    "{type: gaussian, dim: 4}", "{type: codebook, codes: 8, dim: 4, update: ema}")])
def test_where_samples_meet_a_half_is_recomputed_instead(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = trained(text, tmp_path / "whole", Execution(threads=1))
    heard = Heard()
    small_memory(4, monkeypatch, until="decoder")
    again = trained(text, tmp_path / "again", Execution(threads=1), display=heard)
    assert "its samples meet in this model" in heard.notes[-1]
    assert stored(tmp_path / "again").execution == Execution(threads=1, recompute=("encoder", "decoder"))
    assert all(torch.equal(a, b) for a, b in zip(whole.model.state_dict().values(), again.model.state_dict().values(), strict=True))


CODEBOOK = IMAGES.replace("{type: gaussian, dim: 4}", "{type: codebook, codes: 8, dim: 4, update: ema}")


@pytest.mark.parametrize("text", [IMAGES.replace(", norm: batch", ""), SERIES])
def test_parts_side_by_side_are_parts_one_after_the_other(text: str, tmp_path: Path) -> None:
    """The same bits: where samples do not meet, workers only change when a part is computed."""
    beside = trained(text, tmp_path / "beside", Execution(threads=1, workers=3))
    after = trained(text, tmp_path / "after", Execution(threads=1, accumulate=3))
    assert all(torch.equal(a, b) for a, b in zip(beside.model.state_dict().values(), after.model.state_dict().values(), strict=True))
    rows = [[row["loss"] for row in Run.open(tmp_path / name).journal.read()] for name in ("beside", "after")]
    assert rows[0] == pytest.approx(rows[1], rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("text", [IMAGES, CODEBOOK])
def test_workers_give_the_same_bits_again(text: str, tmp_path: Path) -> None:
    """However the threads are scheduled, with batch statistics and codebooks that all of them share."""
    one, two = (trained(text, tmp_path / name, Execution(threads=1, workers=2)).model.state_dict().values() for name in ("one", "two"))
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("failing", [0, 2])
def test_a_worker_that_fails_ends_the_step(failing: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others, who wait for what it says of its samples, do not wait for ever; its error is the one that is raised."""
    plain = Autoencoder.run_losses

    def run_losses(model: Autoencoder, batch: Batch, *more: Any) -> Any:
        if torch.is_grad_enabled() and (part := present()) is not None and part.rank == failing:
            raise ValueError("this one failed")
        return plain(model, batch, *more)

    monkeypatch.setattr(Autoencoder, "run_losses", run_losses)
    with pytest.raises(ValueError, match="this one failed"):
        trained(CODEBOOK, tmp_path / "run", Execution(threads=1, workers=3))


@pytest.mark.slow
def test_workers_too_big_for_memory_are_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Autoencoder.run_losses

    def run_losses(model: Autoencoder, batch: Batch, *more: Any) -> Any:
        if present() is not None:
            raise torch.OutOfMemoryError("out of memory")
        return plain(model, batch, *more)

    monkeypatch.setattr(Autoencoder, "run_losses", run_losses)
    heard = Heard()
    trained(IMAGES, tmp_path / "run", Execution(threads=1, workers=2), display=heard)
    assert heard.notes[-1] == "memory is too small for workers: going on from the last checkpoint with 2 threads"
    assert stored(tmp_path / "run").execution == Execution(threads=2)


@pytest.mark.slow
def test_workers_do_not_share_torchs_own_random_numbers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = Stage.forward

    def forward(stage: Stage, *given: Any) -> Any:
        return torch.nn.functional.dropout(plain(stage, *given), 0.1, stage.training)

    monkeypatch.setattr(Stage, "forward", forward)
    heard = Heard()
    trained(IMAGES, tmp_path / "run", Execution(threads=1, workers=2), display=heard)
    assert heard.notes[-1] == ("workers cannot share the batch (a layer draws from torch's own random numbers, and its class lacks "
                               "`cpu_replicas = False`): going on from the last checkpoint with 2 threads")


def test_a_layer_may_do_without_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so in its class: nothing is tried first, and the weights are those of one worker."""
    monkeypatch.setattr(Stage, "cpu_replicas", False, raising=False)
    plan = fine(IMAGES).plan
    assert plan is not None
    assert not [name for name, _ in candidates(Execution(threads=6), build(plan), CPU, 0.0, 100) if "worker" in name]
    heard = Heard()
    done = trained(IMAGES, tmp_path / "run", Execution(threads=1, workers=2), display=heard)
    assert heard.notes[-1] == "a layer of this model does without workers: training with 2 threads instead"
    alone = trained(IMAGES, tmp_path / "other", Execution(threads=2)).model.state_dict()
    assert all(torch.equal(tensor, alone[name]) for name, tensor in done.model.state_dict().items())


def test_workers_are_measured_where_there_are_cores() -> None:
    loaded = fine(IMAGES)
    assert loaded.plan is not None
    model = build(loaded.plan)

    def found(threads: int, most: int) -> dict[str, dict[str, Any]]:
        tried = candidates(Execution(threads=threads), model, CPU, 0.0, most)
        return {name: change for name, change in tried if "worker" in name}

    assert found(6, 100) == {"2 workers": {"workers": 2, "threads": 3}, "3 workers": {"workers": 3, "threads": 2},
                             "6 workers": {"workers": 6, "threads": 1}}
    assert list(found(6, 2)) == ["2 workers"]
    assert found(1, 100) == found(6, 1) == {}


@settings(max_examples=40, deadline=None)
@given(st.tuples(st.integers(1, 3), st.integers(1, 2), st.integers(0, 2), st.integers(1, 2), st.integers(1, 2), st.booleans()))
def test_the_adjoint_of_a_convolution(way: tuple[int, int, int, int, int, bool]) -> None:
    """Of a transposed convolution, with and without: the same output and gradients, as torch computes them."""
    stride, dilation, padding, groups, more, bias = way            # output padding up to the stride, or beyond it
    options = {"kernel_size": 4, "stride": stride, "dilation": dilation, "padding": padding, "groups": groups, "bias": bias,
               "output_padding": min(more, max(stride, dilation) - 1)}
    torch.manual_seed(0)
    own, plain = ConvTranspose2d(4, 6, **options).double(), torch.nn.ConvTranspose2d(4, 6, **options).double()
    plain.load_state_dict(own.state_dict())
    own.adjoint = True
    found = []
    for module in (own, plain):
        x = torch.arange(2 * 4 * 5 * 6).double().reshape(2, 4, 5, 6).sin().requires_grad_()
        y = module(x)
        (y * torch.arange(y.numel()).double().cos().view_as(y)).sum().backward()
        found.append([y.detach(), x.grad, *(p.grad for p in module.parameters())])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_channels_last_takes_the_adjoint() -> None:
    loaded = fine(IMAGES)
    assert loaded.plan is not None
    model = build(loaded.plan)
    transposed = [module for module in model.modules() if isinstance(module, ConvTranspose2d)]
    assert transposed
    for memory in ("channels_last", "contiguous"):
        Execution(memory=memory).prepare(model)  # type: ignore[arg-type]
        assert all(module.adjoint == (memory == "channels_last") for module in transposed)


def test_a_single_channel_has_a_format_too() -> None:
    """The first convolution's weights are [8, 1, k, k]; torch takes the format of what it returns from their strides."""
    loaded = fine(IMAGES)
    assert loaded.plan is not None
    model, x = build(loaded.plan), torch.rand(2, 1, 8, 8)
    first = next(module for module in model.modules() if isinstance(module, torch.nn.Conv2d))
    values = first(x)
    for execution, layout in ((Execution(memory="channels_last"), torch.channels_last), (Execution(), torch.contiguous_format)):
        execution.prepare(model)
        assert first(x).is_contiguous(memory_format=layout)
        torch.testing.assert_close(first(x), values)


def test_dropout_does_not_depend_on_the_format() -> None:
    drop, x = Dropout(0.4), torch.rand(3, 4, 5, 6)
    drop.reseed(1)
    plain = drop(x)
    drop.reseed(1)
    assert torch.equal(drop(x.contiguous(memory_format=torch.channels_last)), plain)
    assert 0 < float((plain == 0).float().mean()) < 1


@pytest.mark.slow
def test_what_fits_in_no_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_memory(0, monkeypatch)
    for number, text in enumerate((IMAGES, IMAGES.replace(", norm: batch", ""))):
        with pytest.raises(ResourceError, match="out of memory with batches of 16"):
            trained(text, tmp_path / str(number), Execution(threads=1))


def test_a_choice_says_what_it_is() -> None:
    assert str(Choice(Execution(threads=2), "as given", "")) == "speed: 2 threads (as given)"
    assert str(Choice(Execution(threads=1), "1 way measured", "", 1.5, 12.34)) == "speed: 1 thread, 1.50 times exact, 12.3 ms a batch (1 way measured)"


def test_a_trial_says_what_became_of_it() -> None:
    assert str(Trial("inductor", "failed: RuntimeError: no")) == "inductor: failed: RuntimeError: no"
    assert str(Trial("1 thread", "taken", 1.286, 0.0, 5.7e-8)) == "1 thread: taken, 1.29 times as fast; loss off by 0.0e+00, gradient by 5.7e-08"


def test_glibc_takes_the_settings() -> None:
    assert launcher.keep_memory()


def test_the_environment_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[bool] = []
    monkeypatch.setattr(launcher, "keep_memory", lambda: called.append(True))
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    launcher.prepare_process()
    import os

    assert os.environ["OMP_WAIT_POLICY"] == "active"
    assert "GOMP_SPINCOUNT" not in os.environ
    assert called == []
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_")
    launcher.prepare_process()
    assert called == [True]
