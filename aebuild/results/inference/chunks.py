"""Long samples in chunks: which models can go on from one to the next, and what their layers keep of the chunks before."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.data.any_size import times
from aebuild.lang.autoregression import Autoregressive
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.lang.node import Node
from aebuild.lang.recurrence import Recurrence
from aebuild.lang.values import Grid, Sequence, Value
from aebuild.results.inference.other_size import at_size, code_values, drawn_samples, input_of, outputs, strides_of

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.results.trained_run import TrainedRun

MOST = 4096            # places of a chunk, rounded up to whole periods
ROUNDING = 1e-5        # of the largest output
ATTENDS = ("attention", "transformer", "cross_attention", "unroll")
TRIED = 3              # chunks by which a model is tried
UNCHAINED = Rule("AE860", "a model that cannot go on from chunk to chunk", """\
`--fit stream` takes a long series or waveform in chunks: each layer goes on where it was at the end of the chunk before, and the result is
that of the whole in one go. So no place may depend on one behind it: recurrent layers go forward, convolutions that overlap are
`causal`, and there is a code for each place (`per: position`), for one code of the whole is known at its end only. What attends, flattens
or averages sees all places. Such models take windows, or tiles that are blended. `encode` asks it of the encoder alone. It gives the means
of a variational code: draws would be others for other chunks.

```console
$ aebuild reconstruct runs/bidirectional long.csv --fit stream      # reads from both ends: refused
```
```console
$ aebuild reconstruct runs/forward long.csv --fit stream
```
""")


class Carried:
    """While entered, each pass of a run's model goes on where the pass before it ended; `begin` starts anew.

    Recurrent layers keep their state, convolutions what they look back at. Chunks are whole periods of the model's strides.
    """

    def __init__(self, run: TrainedRun) -> None:
        self.run = run
        self.kept: dict[str, Any] = {}
        self.hooks: list[Any] = []

    def begin(self) -> None:
        """The next pass is the first of its sample: nothing came before."""
        self.kept.clear()

    def __enter__(self) -> Carried:
        for node in walked(self.run.plan):
            before, behind = self._hooks(node)
            module = self.run.model.get_submodule(node.path) if before or behind else None
            if module is not None and before is not None:
                self.hooks.append(module.register_forward_pre_hook(before))
            if module is not None and behind is not None:
                self.hooks.append(module.register_forward_hook(behind))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for hook in self.hooks:
            hook.remove()
        self.hooks.clear()

    def _hooks(self, node: Node) -> tuple[Callable[..., Any] | None, Callable[..., Any] | None]:
        """What is done in front of a node's module and behind it."""
        if node.args.get("role") == "layer":
            return self._from_state(node.path), self._keep_state(node.path)
        if node.kind == "pad":
            ((front, behind),) = node.args["padding"]
            return None, self._padded(node.path, front, behind)
        if node.kind == "conv_transpose":
            ((span, _),), (stride,) = node.window or (), node.args["stride"]
            seen = (int(span) - 1) // stride
            return self._seen_before(node.path, seen), _without_past(seen * stride)
        return None, None

    def _from_state(self, path: str) -> Callable[..., Any]:
        def start(module: nn.Module, given: tuple[Any, ...]) -> tuple[Any, ...]:
            return (given[0], self.kept[path]) if path in self.kept else given

        return start

    def _keep_state(self, path: str) -> Callable[..., None]:
        def keep(module: nn.Module, given: tuple[Any, ...], made: tuple[Tensor, Any]) -> None:
            self.kept[path] = made[1]

        return keep

    def _padded(self, path: str, front: int, behind: int) -> Callable[..., Tensor]:
        """What came before in place of zeros in front."""
        def pad(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
            return F.pad(self._with_past(path, given[0], max(0, front)), (min(0, front), behind))

        return pad

    def _seen_before(self, path: str, seen: int) -> Callable[..., tuple[Tensor]]:
        def extended(module: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor]:
            return (self._with_past(path, given[0], seen),)

        return extended

    def _with_past(self, path: str, x: Tensor, count: int) -> Tensor:
        """[N, C, T] behind the `count` places before it, zeros at first; the last ones are kept."""
        past = self.kept.get(path)
        joined = torch.cat([x.new_zeros(*x.shape[:2], count) if past is None else past, x], 2)
        self.kept[path] = joined[:, :, joined.shape[2] - count:]
        return joined


def _without_past(count: int) -> Callable[..., Tensor]:
    """Of a transposed convolution the places of the chunk itself."""
    def cut(module: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> Tensor:
        return made[:, :, count:]

    return cut


def walked(plan: Plan) -> Iterator[Node]:
    """The nodes of both halves."""
    yield from plan.encoder.walk()
    yield from plan.decoder.walk()


def chunk_size(run: TrainedRun, longest: int) -> int:
    """Places of a chunk for samples of at most so many: whole periods."""
    period = strides_of(run)[0]
    return -(-min(MOST, max(1, longest)) // period) * period


def in_chunks(run: TrainedRun, size: int, *, codes: bool = False) -> TrainedRun:
    """The run that takes chunks of so many places; UsageError with the reason where the model cannot go on from one to the next.

    For `codes` alone only the encoder must, unless the posterior asks the decoder.
    """
    half = codes and not run.model.latent.follows
    reason = obstacle(run.plan, codes=half)
    sized = None if reason else at_size(run, (size,), codes=half)
    if reason is None and sized is None:
        reason = f"it has layers that take {times(run.plan.input.places)} places alone"
    if codes and sized is not None and size % sized.plan.latent.code.places[0]:
        reason = f"its code {sized.plan.latent.code} is not so many places of {times((size,))} each"
    if reason is None and not agrees(run, codes=half):
        reason = "what comes of chunks is not what comes of the whole"
    if reason is not None:
        raise UsageError(Diagnostic(UNCHAINED, f"this model cannot take a stream in chunks: {reason}", fix=Hint(_instead(run))))
    assert sized is not None
    return sized


def _instead(run: TrainedRun) -> str:
    return "--fit tile" if isinstance(run.plan.input, Grid) else "leave --fit out: it takes windows"


def obstacle(plan: Plan, *, codes: bool = False) -> str | None:
    """Why places depend on ones behind them, as far as the plan tells."""
    value, code = plan.input, plan.latent.code
    if not isinstance(value, Sequence | Grid) or len(value.places) != 1:
        return f"it takes {value}, which has no time to go along"
    if any(part.when == "always" for part in plan.spec.corrupt):
        return "its samples are corrupted as a whole"
    if not code.places:
        return f"its code is {code}, one for the whole sample"
    nodes = plan.encoder.walk() if codes else walked(plan)
    return next((f"{node.path} ({node.kind}) {why}" for node in nodes if (why := _looks_on(node))), None)


def _looks_on(node: Node) -> str | None:
    """What a node sees of later places."""
    part = node.part
    if node.input.places and not node.output.places:
        return "makes one vector of all places"
    if isinstance(part, Recurrence):
        return "reads from both ends" if part.bidirectional else "reads from the last place to the first" if part.reverse else None
    if isinstance(part, Autoregressive):
        return "draws the data place by place, each once"
    if node.kind in ATTENDS:
        return "sees all places"
    overlaps = any(span > max(step, 1 / step) for span, step in node.window or ())
    return "looks at later places too, for want of `causal: true`" if overlaps and not getattr(part, "causal", False) else None


@torch.no_grad()
def agrees(run: TrainedRun, *, codes: bool = False) -> bool:
    """Whether a few chunks of random samples give what the whole gives; of the size that the model was trained on, in whole periods."""
    value, period = input_of(run), strides_of(run)[0]
    size = -(-value.places[0] // period) * period
    piece, whole = (at_size(run, (count * size,), codes=codes) for count in (1, TRIED))
    if piece is None or whole is None:
        return False
    x = drawn_samples(run, (2, *input_of(whole).shape), 0)
    made, kind = (code_values, whole.plan.latent.code) if codes else (outputs, whole.plan.target)
    expected = made(whole, x)
    with Carried(piece):
        found = [made(piece, part) for part in torch.split(x, size, along(value))]
    apart = (torch.cat(found, along(kind)) - expected).abs().max()
    return bool(apart <= ROUNDING * expected.abs().max())


def along(value: Value) -> int:
    """The axis of the tensor [N, ...] that the places stand on."""
    return 2 if isinstance(value, Grid) else 1
