"""A categorical likelihood of sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Diagnostic
from aebuild.lang.levels import UNKNOWN_LEVELS
from aebuild.lang.node import Refusal
from aebuild.lang.part import knob
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Range, Value, elements

if TYPE_CHECKING:
    from torch import nn


class MuLaw(Likelihood):
    """Cross-entropy over µ-law levels, fine near silence and coarse where it is loud (WaveNet, van den Oord et al., 2016).

    The data lie in a known range, as waveforms do; each value is judged as the level next to it. The reconstruction is the expected value.
    """

    type: Literal["mu_law"] = "mu_law"
    example = ("data: {type: audio, path: calls, limit: 12, rate: 400, length: 20}\n"
               "decoder: [wavenet: {width: 3, depth: 2}]\n"
               "losses: {reconstruction: {type: mu_law, levels: 9, weight: 0.5}}")
    unit = "nats of cross-entropy"
    draws = True
    also = ("mulaw", "mu-law", "ulaw", "companding")
    scalar = "levels"
    levels: int = knob(256, "how many levels the range is cut into", affects="graph", ge=2, le=65536)

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """A logit for each level of each element."""
        if bounds.low is None or bounds.high is None:
            raise Refusal(Diagnostic(UNKNOWN_LEVELS, f"mu_law needs data in a known range, but they are {bounds}", self.place("type"),
                                     "reconstruction: gaussian", "losses.reconstruction"))
        return OutputPlan(self.levels, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from aebuild.modules.mu_law_likelihood import MuLaw as MuLawModule

        assert bounds.low is not None and bounds.high is not None, "the range was asked for"
        return MuLawModule(self.levels, bounds.low, bounds.high, target.feature_axis)
