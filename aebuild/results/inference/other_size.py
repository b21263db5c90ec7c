"""A trained model at other sizes: how far its outputs look, by what its grids are divided, and the same weights on larger samples."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import torch
from torch import Tensor

from aebuild.compile.build import build
from aebuild.compile.planner import plan
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.lang.values import Grid, Sequence
from aebuild.modules.randomness import derive, random_modules
from aebuild.results.trained_run import TrainedRun
from aebuild.trainer.phase import reseed_all

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan
    from aebuild.compile.spec import Spec
    from aebuild.data.any_size import Places
    from aebuild.lang.samples import DataInfo

R = TypeVar("R", bound=TrainedRun)
UNCORRUPTED = Rule("AE437", "samples that are corrupted already, of a model that corrupts none", """\
A model with `corrupt: [downsample: {factor: 2}]` is trained on large images and makes them small itself. To enlarge small ones,
`--corrupted` says that DATA are as the encoder takes them. A model that corrupts its samples only while it is trained, or never, has
nothing to leave out.

```console
$ aebuild reconstruct runs/vae photos/ --corrupted                           # refused
```
```console
$ aebuild reconstruct runs/super_resolution small/ --corrupted --fit tile
```
""")
SIZES = {"size", "shape", "places", "length"}           # arguments of modules that only say how large a sample is
TRIED = 4                                             # samples by which the reach is measured
FELT = 1e-6                                            # of the largest output: what changes by less is not reached


def input_of(run: TrainedRun) -> Grid | Sequence:
    """The type of the samples that the model is given, which must be a grid or a series."""
    assert isinstance(run.plan.input, Grid | Sequence)
    return run.plan.input


def target_of(run: TrainedRun) -> Grid | Sequence:
    """The type of reconstructions, a grid or a series too."""
    assert isinstance(run.plan.target, Grid | Sequence)
    return run.plan.target


def scale_of(run: TrainedRun) -> Places:
    """How many places of a reconstruction stand for one of the input, along each axis."""
    return tuple(out // have for out, have in zip(target_of(run).places, input_of(run).places, strict=True))


def period_of(run: TrainedRun) -> Places:
    """By how many places a sample must move for its code to move by one; 1 where the model has one size anyway."""
    value, period = input_of(run), strides_of(run)
    moves = not _told_images(run) and all(2 * step <= have for step, have in zip(period, value.places, strict=True))
    return period if moves else (1,) * len(value.places)


def strides_of(run: TrainedRun) -> Places:
    """The strides of the encoder, multiplied along each axis."""
    value = input_of(run)
    axes = len(value.places)
    strides = [have / left for have, left in zip(value.places, run.plan.encoder.input.places, strict=True)]
    for node in run.plan.encoder.walk():
        if ".shortcut" not in node.path and node.window and len(node.window) == axes:
            strides = [step * max(1.0, each) for step, (_, each) in zip(strides, node.window, strict=True)]
    return tuple(int(step) for step in strides)


def at_size(run: R, places: Places, *, codes: bool = False) -> R | None:
    """The same weights in a model of larger samples; None where a layer, its padding or a condition is of one size.

    For `codes` alone the decoder does not matter, and is of no use.
    """
    if _told_images(run):
        return None
    own, scale = input_of(run), scale_of(run)
    target = target_of(run).with_places(tuple(have * by for have, by in zip(places, scale, strict=True)))
    return _again(run, run.plan.spec, replace(run.info, value=own.with_places(places), target=target), codes=codes)


def _told_images(run: TrainedRun) -> bool:
    """Whether what the model is told of a sample has a size of its own."""
    return any(len(each.shape) > 1 for each in run.info.conditions)


def without_corruptions(run: R) -> R:
    """The model for samples as its encoder takes them: already smaller, grey or noisy; UsageError if nothing corrupts them always."""
    if not any(part.when == "always" for part in run.plan.spec.corrupt):
        raise UsageError(Diagnostic(UNCORRUPTED, "this model takes samples as its training data are: nothing is done to them always",
                                    fix=Hint("leave --corrupted out")))
    made = _again(run, run.plan.spec.but(corrupt=[]), replace(run.info, value=run.plan.encoder.input, target=run.plan.target))
    if made is None or (len(run.scaling.offset) > 1 and made.plan.input.features != run.plan.input.features):
        raise UsageError(Diagnostic(UNCORRUPTED, "this model cannot do without its corruptions, or its data are scaled channel by channel",
                                    fix=Hint("leave --corrupted out")))
    return made


def _again(run: R, spec: Spec, info: DataInfo, *, codes: bool = False) -> R | None:
    """The same weights in the model of another spec or other data; None where its layers are not the same."""
    made = plan(spec.but(losses=spec.losses.but(terms={})), info, least=0).plan        # which have a say in training alone
    if made is None or _fixed(made, codes) != _fixed(run.plan, codes):
        return None
    model = build(made)
    wanted = model.state_dict()             # of priors and losses, which have no say in a reconstruction, some may be of one size
    held = {name: tensor for name, tensor in run.model.state_dict().items() if name in wanted and wanted[name].shape == tensor.shape}
    model.load_state_dict(held, strict=False, assign=True)
    model.to(next(run.model.parameters()).device).eval().requires_grad_(False)
    return replace(run, plan=made, model=model, info=info)


def _fixed(made: Plan, codes: bool) -> list[tuple[object, ...]]:
    """What the nodes that a reconstruction, or a code, goes through are at any size."""
    halves = (made.encoder, made.latent.node, *(() if codes else (made.decoder,)))
    return [(node.path, node.kind, node.weights, node.buffers, {name: held for name, held in node.args.items() if name not in SIZES})
            for half in halves for node in half.walk() if "prior" not in node.path.split(".")]


@torch.no_grad()
def reach_of(run: TrainedRun) -> tuple[Places, Places] | None:
    """How many places of a reconstruction an input beyond an edge can change: at the near edges and at the far ones.

    Measured: one half of random samples is drawn anew, and what changes in the other half is counted. None where all of it does.
    """
    value = input_of(run)
    samples, others = (drawn_samples(run, (TRIED, *value.shape), seed) for seed in (0, 1))
    whole, reached = outputs(run, samples), []
    for axis, (have, step, scale) in enumerate(zip(value.places, period_of(run), scale_of(run), strict=True)):
        dim, middle = axis - len(value.places), have // 2 // step * step
        border = middle * scale
        first, last = torch.split(samples, [middle, have - middle], dim)
        other_first, other_last = torch.split(others, [middle, have - middle], dim)
        after = _felt(whole, outputs(run, torch.cat([other_first, last], dim)), dim)[border:]
        before = _felt(whole, outputs(run, torch.cat([first, other_last], dim)), dim)[:border].flip(0)
        if after[-1] or before[-1]:
            return None
        reached.append(tuple(0 if not each.any() else int(torch.nonzero(each).max()) + 1 for each in (after, before)))
    return tuple(near for near, _ in reached), tuple(far for _, far in reached)


def drawn_samples(run: TrainedRun, shape: tuple[int, ...], seed: int) -> Tensor:
    """Random samples within the range of the data."""
    drawn, bounds = torch.Generator().manual_seed(seed), run.info.range
    if bounds.low is None or bounds.high is None:
        return torch.randn(shape, generator=drawn)
    return torch.rand(shape, generator=drawn) * (bounds.high - bounds.low) + bounds.low


def outputs(run: TrainedRun, x: Tensor) -> Tensor:
    """The likelihood's parameters of samples, in which no saturation hides a change."""
    value, context = _encoded(run, x)
    return run.model.parameters_of(value, context).cpu()


def code_values(run: TrainedRun, x: Tensor) -> Tensor:
    """The codes of samples, of a variational one the means."""
    return _encoded(run, x)[0].cpu()


def _encoded(run: TrainedRun, x: Tensor) -> tuple[Tensor, dict[str, Any]]:
    """The codes of samples and what modules left for the decoder; what the model is told of samples is random, the same each time."""
    model, context = run.model, dict[str, Any]()
    reseed_all(random_modules(model), derive(run.plan.spec.train.seed, "reach"), 0)
    x = x.to(next(model.parameters()).device)
    if run.plan.conditions:
        context["conditions"] = torch.randn((x.shape[0], run.plan.conditions), generator=torch.Generator().manual_seed(0)).to(x.device)
    code = model.code_of(model.features(model.corrupt(x, context), context), x, context)
    return code.value if code.posterior is None else code.posterior.mean, context


def _felt(one: Tensor, other: Tensor, dim: int) -> Tensor:
    """Whether anything changed at each place along an axis, [places]."""
    apart = (one - other).abs().movedim(dim, 0).flatten(1).amax(1)
    return apart > FELT * one.abs().max()
