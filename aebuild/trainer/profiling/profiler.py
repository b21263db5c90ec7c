"""Where the time of a training step goes: some steps under torch's profiler, then training as ever."""

from __future__ import annotations

import os
import time
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import torch
from torch.autograd.profiler import record_function
from torch.profiler import ProfilerActivity

from aebuild.trainer.profiling.timers import OTHER, Timers
from aebuild.trainer.progress.formatting import percents
from aebuild.trainer.run_dir.atomic_files import replace_file, storing

if TYPE_CHECKING:
    from torch import nn

    from aebuild.modules.autoencoder import Autoencoder
    from aebuild.trainer.batches.loader import Loader
    from aebuild.trainer.phase import ActivePhase
    from aebuild.trainer.players import ActivePlayer
    from aebuild.trainer.running_means import RunningMeans

WARM_UP = 5         # steps before, in which allocators, caches and the profiler itself find their sizes
BETWEEN = "between steps"
OPERATORS = 10      # that the table names
STEP = "step"       # the mark of a whole step in the trace


class Profile:
    """Profiles some steps after a warm-up and leaves `trace.json` and `table.txt` in a folder.

    While a step is profiled, hooks stand on its modules and its calls are wrapped; both are gone with the step, and nothing in
    other steps knows of it. On a GPU each section waits for the device when it ends, so that its share is its own.
    """

    def __init__(self, steps: int, folder: Path, device: torch.device, say: Callable[[str], None], timers: Timers) -> None:
        self._wanted, self._folder, self._device, self._say, self._timers = steps, folder, device, say, timers
        self._seen = 0
        self._watching = ExitStack()
        self._sections = Timers(lambda: _now(device))
        self._sections.turn(BETWEEN)
        self._trace: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._trace is not None:
            self._finish()
        elif self._seen < WARM_UP + self._wanted:
            self._say("nothing was profiled: no step was trained")

    def over(self, bounds: Iterable[tuple[int, int]], active: ActivePhase, loader: Loader, sums: RunningMeans) -> Iterator[tuple[int, int]]:
        """The same bounds; the steps that the loop makes of them are profiled when it is their turn."""
        for bound in bounds:
            if self._seen == WARM_UP + self._wanted:
                yield bound
                continue
            if self._trace is None:
                self._begin()
            if self._seen >= WARM_UP:
                self._watch(active, loader, sums)
            yield bound
            self._watching.close()
            self._seen += 1
            if self._seen == WARM_UP + self._wanted:
                self._finish()
            else:
                with _muted():
                    self._trace.step()

    def _begin(self) -> None:
        with self._timers.of("profiling"), storing(self._folder):
            self._folder.mkdir(exist_ok=True)
            activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if self._device.type == "cuda" else [])]
            self._trace = torch.profiler.profile(activities=activities, acc_events=True, schedule=torch.profiler.schedule(
                wait=0, warmup=WARM_UP, active=self._wanted, repeat=1))
            with _muted():
                self._trace.start()

    def _watch(self, active: ActivePhase, loader: Loader, sums: RunningMeans) -> None:
        self._watching = ExitStack()
        self._watching.enter_context(record_function(STEP))
        self._watching.enter_context(self._sections.of(OTHER))
        self._watching.enter_context(watched(self._sections, active, loader, sums))

    def _finish(self) -> None:
        """Writes and tells what was profiled, be it fewer steps than wanted."""
        with self._timers.of("profiling"):
            self._watching.close()
            trace, self._trace = self._trace, None
            with _muted():
                trace.stop()
            done = self._seen - WARM_UP
            if done <= 0:
                self._say(f"nothing was profiled: {self._seen} steps were trained, and the first {WARM_UP} are for warming up")
                return
            sections = {name: seconds for name, seconds in self._sections.spent().items() if name != BETWEEN}
            text = table(Step(done, sections, trace.events(), self._device.type == "cuda"))
            with storing(self._folder):
                trace.export_chrome_trace(str(self._folder / "trace.json"))
            replace_file(self._folder / "table.txt", text.encode())
            self._say(f"{text}\nthe trace is {self._folder / 'trace.json'}, for ui.perfetto.dev or chrome://tracing")


@contextmanager
def _muted() -> Iterator[None]:
    """Keeps the lines that torch's profiler writes to stderr from tearing the display."""
    stderr = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


@contextmanager
def watched(timers: Timers, active: ActivePhase, loader: Loader, sums: RunningMeans) -> Iterator[None]:
    """Charges each part of a step while entered: data, the modules forward, backward, clipping, optimiser, logging.

    A section's time is what is spent in it and in no section inside it: of `update`, what is neither forward nor `apply` is backward.
    """
    with ExitStack() as stack:
        for name, module, part in _modules(active.model, active.players):
            Hooks(timers, name, part).install(module, stack)
        _wrap(stack, timers, loader, "take", "data")
        _wrap(stack, timers, sums, "add", "logging")
        for player in active.players:
            _watch_player(stack, timers, player)
        yield


def _modules(model: Autoencoder, players: Sequence[ActivePlayer]) -> Iterator[tuple[str, nn.Module, str]]:
    """Each half and each of its steps, because greedy training and other players run single steps: path, module, part."""
    for half, module in model.named_children():
        yield half, module, half
        for name, child in module.named_children():
            path = f"{half}.{name}"
            apart = [player.plan.name for player in players if path in player.plan.modules and not player.plan.through]
            yield path, child, apart[0] if apart else half


def _watch_player(stack: ExitStack, timers: Timers, player: ActivePlayer) -> None:
    _wrap(stack, timers, player, "update", "backward")
    _wrap(stack, timers, player, "forward", "losses")
    _wrap(stack, timers, player, "apply", "optimizer" if player.plan.clip is None else "clipping")
    hooks = Hooks(timers, "optimizer", "optimizer")
    stack.callback(player.optimizer.register_step_pre_hook(hooks.enter).remove)
    stack.callback(player.optimizer.register_step_post_hook(hooks.leave).remove)


def _wrap(stack: ExitStack, timers: Timers, owner: Any, name: str, section: str) -> None:
    """Puts a charged call in front of a method of this one object."""
    plain = getattr(owner, name)

    def charged(*given: Any, **named: Any) -> Any:
        with record_function(section), timers.of(section):
            return plain(*given, **named)

    setattr(owner, name, charged)
    stack.callback(delattr, owner, name)


class Hooks:
    """Charges a section between two hooks of torch; calls may be nested."""

    def __init__(self, timers: Timers, name: str, section: str) -> None:
        self._timers, self._name, self._section = timers, name, section
        self._open: list[tuple[record_function, str]] = []

    def install(self, module: nn.Module, stack: ExitStack) -> None:
        """Around the module's forward, whether it succeeds or not."""
        stack.callback(module.register_forward_pre_hook(self.enter).remove)
        stack.callback(module.register_forward_hook(self.leave, always_call=True).remove)

    def enter(self, *_: Any) -> None:
        """The section begins."""
        mark = record_function(self._name)
        mark.__enter__()  # type: ignore[no-untyped-call]
        self._open.append((mark, self._timers.turn(self._section)))

    def leave(self, *_: Any) -> None:
        """The section before it goes on."""
        mark, before = self._open.pop()
        self._timers.turn(before)
        mark.__exit__(None, None, None)


@dataclass(frozen=True)
class Step:
    """What was profiled: how many steps, the seconds of each section over all, torch's events, and whether on a GPU."""

    count: int
    sections: dict[str, float]
    events: Iterable[Any]
    on_gpu: bool


def table(step: Step) -> str:
    """The mean step as text: its sections, then its operators by the time spent in themselves."""
    whole = sum(step.sections.values())
    lines = [f"profile of {step.count} step{'s' * (step.count > 1)}, {_milliseconds(whole / step.count)} ms each", "",
             f"{'part':<34}{'share':>6}{'ms a step':>12}"]
    shares = percents(step.sections)
    lines += [_row(name, shares.get(name, 0), seconds / step.count) for name, seconds in sorted(step.sections.items(), key=lambda p: -p[1])]
    lines += ["", f"{'operator' + ' on the GPU' * step.on_gpu:<34}{'share':>6}{'ms a step':>12}{'calls':>8}"]
    lines += [_row(name, 100 * seconds / whole, seconds / step.count) + f"{calls / step.count:>8,.0f}"
              for name, (seconds, calls) in _operators(step)[:OPERATORS]]
    return "\n".join(lines) + "\n"


def _row(name: str, percent: float, seconds: float) -> str:
    shown = name if len(name) <= 32 else f"{name[:31]}…"
    return f"{shown:<34}{percent:>4.0f} %{_milliseconds(seconds):>12}"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:,.3f}"


def _operators(step: Step) -> list[tuple[str, tuple[float, int]]]:
    """Seconds spent in each operator itself, and its calls, inside the steps; the most expensive first."""
    events = list(step.events)
    steps = sorted((event.time_range.start, event.time_range.end) for event in events if event.name == STEP)
    starts = [start for start, _ in steps]
    found: dict[str, tuple[float, int]] = {}
    for event in events:
        at = bisect_right(starts, event.time_range.start) - 1
        if event.is_user_annotation or event.device_type.name != "CPU" or at < 0 or event.time_range.start > steps[at][1]:
            continue                    # a mark of ours, a kernel (its operator has its time), or validation between two steps
        spent = event.self_device_time_total if step.on_gpu else event.self_cpu_time_total
        seconds, calls = found.get(event.name, (0.0, 0))
        found[event.name] = (seconds + spent / 1e6, calls + 1)
    return sorted(found.items(), key=lambda item: -item[1][0])
