"""Masked autoencoding (He et al., 2022): patches are hidden, and only these are judged."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Corruption
from aebuild.lang.node import Site
from aebuild.lang.part import knob
from aebuild.lang.terms import Likelihood, OutputPlan
from aebuild.lang.values import Grid, Range, Value, elements

if TYPE_CHECKING:
    from torch import nn

UNDIVIDED = Rule("AE901", "patches that do not divide the image", """\
The image is cut into whole patches.

```yaml
corrupt: [square_mask: {patch: 3}]
```
```yaml
corrupt: [square_mask: {patch: 2}]
```
""")


class SquareMask(Corruption):
    """Sets square patches to 0 and tells the loss which (He et al., 2022)."""

    type: Literal["square_mask"] = "square_mask"
    writes_context = ("masked",)
    patch: int = knob(2, "places of a patch along each axis", affects="data", ge=1)
    ratio: float = knob(0.75, "share of patches that are hidden", affects="data", gt=0, lt=1)
    example: ClassVar[str] = """\
data: digits
corrupt: [square_mask: {patch: 2, ratio: 0.5}]
encoder: {layer: conv, width: 8}
latent: {type: continuous, dim: 8}
losses: {reconstruction: masked_mse}
"""

    def plan_corruption(self, value: Value, site: Site) -> Value:
        """The same type; the patches must divide it."""
        if any(size % self.patch for size in value.places):
            site.refuse(self, UNDIVIDED, f"patches of {self.patch} do not divide {value}", "patch", fix="patch: 1")
        return value

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        import torch
        from torch import Tensor

        from aebuild.modules.randomness import Random
        from aebuild.modules.stage import Contextual

        class Module(Contextual, Random):
            def __init__(self, patch: int, ratio: float) -> None:
                super().__init__()
                self.patch, self.ratio = patch, ratio

            def forward(self, x: Tensor, context: dict[str, object]) -> Tensor:
                coarse = (len(x), 1, *(size // self.patch for size in x.shape[2:]))
                masked = self.drawn(torch.rand, coarse, x.device) < self.ratio
                for axis in range(2, x.ndim):
                    masked = masked.repeat_interleave(self.patch, axis)
                context["masked"] = masked
                return x.masked_fill(masked, 0)

        return Module(self.patch, self.ratio)


class MaskedMse(Likelihood):
    """Squared error of what was hidden from the encoder; of everything where nothing was."""

    type: Literal["masked_mse"] = "masked_mse"
    unit = "squared error of hidden patches"
    reads_context = ("masked",)

    def plan_output(self, target: Value, bounds: Range) -> OutputPlan:
        """One output for each element of the target."""
        assert isinstance(target, Grid)
        return OutputPlan(1, elements(target))

    def build_likelihood(self, target: Value, bounds: Range) -> nn.Module:
        """The likelihood's module."""
        from torch import Tensor

        from aebuild.modules.likelihoods import SquaredError
        from aebuild.modules.outputs import Outputs

        class Module(SquaredError):
            def loss(self, outputs: Outputs) -> Tensor:
                assert outputs.params is not None
                error = (outputs.params - outputs.target).square()
                masked = outputs.context.get("masked")
                return (error if masked is None else error * masked).flatten(1).sum(1)

        return Module()
