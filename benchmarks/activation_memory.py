"""What the plan says that a training step keeps of a batch for the gradient, beside what autograd keeps.

python benchmarks/activation_memory.py [SPEC ...] [--samples 16] [--kinds]

By default the shipped specs that between them hold every part, on random data of their types, on the CPU. Measured is the peak of the
distinct storages that are saved for backward, without weights, buffers and the batch itself, in the turn of the player that keeps most.
With `--kinds` also by the kind of the step in whose forward pass a storage was first saved: what lies between two steps may stand at
either.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from aebuild.compile.build import build
from aebuild.compile.front import load
from aebuild.compile.memory import FLOAT, kept_of, memory_of
from aebuild.compile.plan import Plan
from aebuild.lang.values import elements
from aebuild.results.part_laws.trial import batch_of, samples
from aebuild.results.shipped import shipped
from aebuild.trainer.phase import ActivePhase

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "laws"))
from covering import covering


class Saved:
    """Bytes of the distinct storages that are saved for backward and still live, their peak, and by the module that saved them first."""

    def __init__(self, known: set[int]) -> None:
        self.known, self.times, self.where = known, defaultdict[int, int](int), ["losses"]
        self.now = self.peak = 0
        self.by_module: dict[str, int] = defaultdict(int)

    def keep(self, tensor: Tensor) -> Held:
        """What stands for the tensor while it is saved."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.known:
            self.times[storage.data_ptr()] += 1
            if self.times[storage.data_ptr()] == 1:
                self.now += storage.nbytes()
                self.by_module[self.where[-1]] += storage.nbytes()
                self.peak = max(self.peak, self.now)
        return Held(tensor, self)

    def forget(self, tensor: Tensor) -> None:
        """Called where it is saved no longer."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self.known:
            self.times[storage.data_ptr()] -= 1
            self.now -= 0 if self.times[storage.data_ptr()] else storage.nbytes()


class Held:
    """A saved tensor."""

    def __init__(self, tensor: Tensor, saved: Saved) -> None:
        self.tensor, self.saved = tensor, saved

    def __del__(self) -> None:
        """It is saved no longer."""
        self.saved.forget(self.tensor)


@contextmanager
def watched(model: nn.Module, batch: tuple[Tensor | None, ...]) -> Iterator[Saved]:
    """What is saved for backward while the block runs."""
    own = [*model.parameters(), *model.buffers(), *(each for each in batch if each is not None)]
    saved = Saved({tensor.untyped_storage().data_ptr() for tensor in own})
    hooks = []
    for path, module in model.named_modules():
        hooks.append(module.register_forward_pre_hook(lambda *_, path=path: saved.where.append(path)))
        hooks.append(module.register_forward_hook(lambda *_: saved.where.pop() and None, always_call=True))
    try:
        with torch.autograd.graph.saved_tensors_hooks(saved.keep, lambda held: held.tensor):
            yield saved
    finally:
        for hook in hooks:
            hook.remove()


def measured(plan: Plan, info: object, count: int) -> Saved:
    """The turn that keeps most."""
    torch.manual_seed(0)
    model = build(plan)
    batch, names = samples(info, plan, count), frozenset(name for name, _ in model.named_parameters())  # type: ignore[arg-type]
    most = Saved(set())
    for phase in plan.phases:
        if phase.data != "samples" or phase.pair is not None:
            continue
        active = ActivePhase(plan, phase, model, names, count)
        active.enter(0)
        for player in active.players:
            model.zero_grad(set_to_none=True)
            player.take_turn()
            with watched(model, (batch.x, batch.target, batch.labels, batch.conditions)) as saved:
                done = player.forward(batch_of(phase, model, batch), 0)
                done.loss.backward()  # type: ignore[no-untyped-call]
                del done
            most = max(most, saved, key=lambda each: each.peak)
    return most


def kinds(plan: Plan, saved: Saved, count: int) -> dict[str, list[float]]:
    """Estimated and measured bytes of a sample by the kind of step."""
    found: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    halves = [plan.shorter if name == "encoder" and plan.shorter else half for name, half in plan.halves()]
    steps = {step.path: step for half in halves for step in half.children or (half,)}
    for step in steps.values():
        found[step.kind][0] += FLOAT * kept_of(step)
    for path, size in saved.by_module.items():
        owner = next((step.kind for start, step in steps.items() if f"{path}.".startswith(f"{start}.")), f"({path.split('.')[0]})")
        found[owner][1] += size / count
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("specs", nargs="*")
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--kinds", action="store_true")
    args = parser.parse_args()
    print("| spec | estimated, KiB a sample | measured, KiB a sample | estimate / measured |\n| --- | --: | --: | --: |")
    whole: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for name in args.specs or covering():
        loaded = load(shipped().get(name, name))
        plan = loaded.require()
        saved = measured(plan, loaded.info, args.samples)
        told = memory_of(plan).activations / max(phase.batch_size for phase in plan.phases) - FLOAT * elements(plan.target)
        print(f"| {name} | {told / 1024:,.1f} | {saved.peak / args.samples / 1024:,.1f} | {told * args.samples / (saved.peak or 1):.2f} |", flush=True)
        for kind, (estimate, real) in kinds(plan, saved, args.samples).items():
            whole[kind][0] += estimate
            whole[kind][1] += real
    if args.kinds:
        print("\n| kind | estimated, KiB | measured, KiB | ratio |\n| --- | --: | --: | --: |")
        for kind, (estimate, real) in sorted(whole.items(), key=lambda each: -each[1][1]):
            print(f"| {kind} | {estimate / 1024:,.1f} | {real / 1024:,.1f} | {estimate / real if real else float('inf'):.2f} |")


if __name__ == "__main__":
    main()
