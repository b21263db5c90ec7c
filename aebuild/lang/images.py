"""Penalties that compare a reconstruction with its target."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Contribution, ModelTypes, Penalty
from aebuild.lang.values import Grid, Sequence

if TYPE_CHECKING:
    from torch import nn

    from aebuild.modules.losses import Loss


class ReconstructionPenalty(Penalty):
    """A term that compares the reconstruction with the target, one number a sample; its node knows what they are."""

    whole = True
    adaptive: bool = knob(
        False, "scale the term so that its gradient at the decoder's output is as large as the reconstruction's, before `weight`",
        affects="gradient")

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The term's module, scaled where it is adaptive."""
        from aebuild.modules.balance import Balanced

        term = self.build_loss(node)
        return Balanced(term) if self.adaptive else term

    def build_loss(self, node: Node) -> Loss:
        """The term's own module."""
        raise TypeError(f"{type(self).__name__} has no module")

    def elements(self, types: ModelTypes) -> int:
        """One number for the sample."""
        return 1

    def plan_loss(self, name: str, types: ModelTypes, site: Site) -> Contribution:
        """The node has the range of the data, where that is known, and whether they are a series."""
        plan, bounds = super().plan_loss(name, types, site), types.bounds
        args: dict[str, object] = {"series": types.target.series_length is not None}
        if bounds.low is not None and bounds.high is not None:
            args["extent"] = float(bounds.high - bounds.low)
        return replace(plan, node=replace(plan.node, args=args))


class ImagePenalty(ReconstructionPenalty):
    """One of images whose range is known."""

    def check(self, types: ModelTypes) -> str | None:
        """Images in a known range."""
        if not isinstance(types.target, Grid) or types.target.axes != 2:
            return f"it compares images, but the data are {types.target}"
        return None if types.bounds.low is not None and types.bounds.high is not None else \
            f"it needs data in a known range, as `scale: unit` leaves them, but they are {types.bounds}"

    @staticmethod
    def too_small(types: ModelTypes, least: int) -> str | None:
        """Why images of these places are too small, if so."""
        side = min(types.target.places)
        return None if side >= least else f"it needs images of at least {least} places a side, but these have {side}: a smaller `window`"


class WavePenalty(ReconstructionPenalty):
    """One of waveforms: a sequence of numbers, or a grid of one axis."""

    def check(self, types: ModelTypes) -> str | None:
        """Waveforms."""
        if isinstance(types.target, Sequence) or (isinstance(types.target, Grid) and types.target.axes == 1):
            return None
        return f"it compares waveforms and other series, but the data are {types.target}"

    @staticmethod
    def too_short(types: ModelTypes, longest: int) -> str | None:
        """Why series are too short for a window, if so."""
        length = types.target.places[0]
        return None if length >= longest else f"a window of {longest} does not fit into series of {length} steps"
