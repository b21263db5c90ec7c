"""A smaller input: super-resolution."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Corruption
from aebuild.lang.node import Site
from aebuild.lang.part import knob
from aebuild.lang.per_axis import Size, per_axis
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from torch import nn

NO_FACTOR = Rule("AE852", "data that cannot be made smaller so", """\
Downsampling replaces blocks of places by one, so its factor must divide the size along each axis, and leave something. Bicubic
interpolation is for images. What has no grid, such as a table, has nothing between its places.

```yaml
data: digits                               # 8×8
corrupt: [downsample: {factor: 3}]
encoder: {layer: conv, width: 8}
latent: {type: continuous, dim: 4, per: position}
```
```yaml
data: digits
corrupt: [downsample: {factor: 2}]
encoder: {layer: conv, width: 8}
latent: {type: continuous, dim: 4, per: position}
```
""")


class Downsample(Corruption):
    """The input made smaller, always; the target stays large (super-resolution: Dong et al., 2014)."""

    type: Literal["downsample"] = "downsample"
    example = ("data: {type: photos, patch: 12, count: 60}\n"
               "corrupt: [downsample: {factor: 2}]\n"
               "encoder: [conv: 4]\n"
               "latent: {type: continuous, dim: 2, per: position}\n"
               "decoder: [conv: 4]")
    also = ("super_resolution", "superresolution", "resize", "shrink", "scale")
    foreign = {"scale": "factor", "mode": "by", "interpolation": "by", "method": "by"}
    factor: Size = knob(2, "how many times fewer places along each axis, or one number for each", examples=[2], affects="graph")
    by: Literal["area", "bicubic"] = knob(
        "area", "area: means of blocks; bicubic: cubic interpolation of images that keeps frequencies from folding, as photographs are "
        "made smaller", affects="data")
    when: Literal["always"] = knob("always", "always, since the encoder is made for the smaller input", affects="data")

    def plan_corruption(self, value: Value, site: Site) -> Value:
        """grid(C; S) to grid(C; S / factor)."""
        if not isinstance(value, Grid):
            site.refuse(self, NO_FACTOR, f"{value} has no grid of places that could be fewer", "type")
        factor = per_axis(self, "factor", value.axes, site)
        if any(have % by or have < by for have, by in zip(value.places, factor, strict=True)):
            fits = [by for by in range(2, min(value.places) + 1) if all(have % by == 0 for have in value.places)]
            site.refuse(self, NO_FACTOR, f"the factor {'×'.join(map(str, factor))} does not divide {value}", "factor",
                        fix=f"factor: {fits[0]}" if fits else "remove factor")
        if self.by == "bicubic" and value.axes != 2:
            site.refuse(self, NO_FACTOR, f"bicubic interpolation is for images, and the data are {value}", "by", fix="by: area")
        return value.with_places(tuple(have // by for have, by in zip(value.places, factor, strict=True)))

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        from aebuild.modules.forming import Downsample as DownsampleModule

        return DownsampleModule(self.factor, self.by)
