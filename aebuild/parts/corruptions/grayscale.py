"""An input without colours: colourisation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Corruption
from aebuild.lang.node import Site
from aebuild.lang.part import knob
from aebuild.lang.values import Grid, Value

if TYPE_CHECKING:
    from torch import nn

NO_COLOURS = Rule("AE853", "data without colours to be left out", """\
`grayscale` gives the encoder one channel in place of red, green and blue, which stay the target. It is for images of three channels.

```yaml
data: digits
corrupt: [grayscale]
```
```yaml
data: photos
corrupt: [grayscale]
```
""")


class Grayscale(Corruption):
    """The input's brightness alone, always; the target keeps its colours (Zhang et al., 2016).

    0.299·red + 0.587·green + 0.114·blue (ITU-R BT.601).
    """

    type: Literal["grayscale"] = "grayscale"
    example = ("data: {type: photos, patch: 8, count: 60}\n"
               "corrupt: [grayscale]\n"
               "encoder: [conv: 4]\n"
               "latent: {type: continuous, dim: 2, per: position}")
    also = ("grey", "gray", "greyscale", "colorization", "colourisation", "colorize")
    when: Literal["always"] = knob("always", "always, since the encoder is made for one channel", affects="data")

    def plan_corruption(self, value: Value, site: Site) -> Value:
        """grid(3; S) to grid(1; S)."""
        if not isinstance(value, Grid) or value.channels != 3:
            site.refuse(self, NO_COLOURS, f"{value} has no red, green and blue", "type")
        return value.with_features(1)

    def build_corruption(self) -> nn.Module:
        """The corruption's module."""
        from aebuild.modules.forming import Grayscale as GrayscaleModule

        return GrayscaleModule()
