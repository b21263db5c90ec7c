"""Gated PixelCNN as a decoder: an image from its code, pixel by pixel."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.autoregression import CausalNetwork, Entry, Walk, at_places
from aebuild.modules.pixelcnn import GatedLayer, gated


class PixelCnnNetwork(CausalNetwork):
    """Two stacks of gated convolutions that are told the code in each layer (van den Oord et al., 2016; Gulrajani et al., 2017).

    They see all pixels above and to the left, without a blind spot. The code is one vector for all places, or features at each.
    With several `steps`, each of as many `inputs`, each channel is told those before it in its pixel, by one more gated layer.
    """

    def __init__(self, entry: Entry, inputs: int, code: int, width: int, depth: int, kernel: int, steps: int) -> None:
        super().__init__()
        self.entry = entry
        self.layers = nn.ModuleList([GatedLayer(width if number else inputs, width, kernel, first=not number) for number in range(depth)])
        self.told = nn.ModuleList([nn.Conv2d(code, 4 * width, 1, bias=False) for _ in range(depth)])
        self.steps, self.inputs = steps, inputs // steps
        if steps > 1:
            self.beside = nn.Conv2d(width, 2 * width, 1)
            self.earlier = nn.ModuleList([nn.Conv2d(step * self.inputs, 2 * width, 1, bias=False) for step in range(1, steps)])
            self.out = nn.Conv2d(width, width, 1)

    def forward(self, code: Tensor, entered: Tensor) -> Tensor:
        """A code [N, D] or [N, D, H, W] and [N, C, H, W] to [N, width, H, W], with several steps [steps·N, width, H, W]."""
        code = at_places(code, 2)
        v = h = entered
        for layer, told in zip(self.layers, self.told, strict=True):
            v, h = layer(v, h, told(code))
        return h if self.steps == 1 else torch.cat([self._at_step(h, entered, step) for step in range(self.steps)])

    def _at_step(self, hidden: Tensor, entered: Tensor, step: int) -> Tensor:
        """[N, width, H, W] for one channel, from all that was before its pixel and the channels before it, of [N, C, H, W]."""
        if self.steps == 1:
            return hidden
        made: Tensor = self.beside(hidden)
        if step:
            made = made + self.earlier[step - 1](entered[:, :step * self.inputs])
        return hidden + self.out(gated(made))  # type: ignore[no-any-return]

    def walk(self, code: Tensor, size: Sequence[int]) -> Walk:
        """Row by row the vertical stack, pixel by pixel the horizontal one (as Ramachandran et al., 2017)."""
        rows, columns = size
        code = at_places(code, 2)
        told = [linear(code).expand(-1, -1, rows, columns) for linear in self.told]
        image = [self._blank(layer, code, rows + layer.reach, columns + 2 * layer.reach) for layer in self._gated()]
        reach = self._gated()[0].reach
        for row in range(rows):
            across = self._down(image, told, row, columns)
            line = [self._blank(layer, code, 1, columns + layer.reach) for layer in self._gated()]
            for column in range(columns):
                hidden = self._along(line, across, column)
                value = yield self._at_step(hidden, hidden, 0)
                for step in range(1, self.steps):
                    value = yield self._at_step(hidden, value, step)
                line[0][:, :, 0, column + reach] = value[:, :, 0, 0]
                image[0][:, :, row + reach, column + reach] = value[:, :, 0, 0]

    def _gated(self) -> list[GatedLayer]:
        return [layer for layer in self.layers if isinstance(layer, GatedLayer)]

    @staticmethod
    def _blank(layer: GatedLayer, like: Tensor, rows: int, columns: int) -> Tensor:
        """The layer's inputs with a border of zeros, nothing in it yet."""
        return like.new_zeros(like.shape[0], layer.vertical.in_channels, rows, columns)

    def _down(self, image: list[Tensor], told: list[Tensor], row: int, columns: int) -> list[Tensor]:
        """What a row is told by those above it and by the code, for each layer [N, 2·width, 1, W]; `image` holds the vertical inputs."""
        found = []
        for number, layer in enumerate(self._gated()):
            reach, more = layer.reach, 0 if layer.first else 1
            above = layer.vertical(image[number][:, :, row:row + reach + more])
            for_above, for_left = told[number][:, :, row:row + 1].chunk(2, 1)
            found.append(layer.across(above) + for_left)
            if number + 1 < len(image):
                border = image[number + 1].shape[3] - columns
                made = gated(above + for_above)
                image[number + 1][:, :, row + reach] = F.pad(made[:, :, 0], (border // 2, border // 2))
        return found

    def _along(self, line: list[Tensor], across: list[Tensor], column: int) -> Tensor:
        """The features of a pixel, [N, width, 1, 1]; `line` holds the inputs of the horizontal stack in this row."""
        h = line[0]
        for number, layer in enumerate(self._gated()):
            if number:
                line[number][:, :, 0, column + layer.reach] = h[:, :, 0, 0]
            seen = line[number][..., column:column + layer.reach + (0 if layer.first else 1)]
            left = layer.horizontal(seen) + across[number][..., column:column + 1]
            made = layer.out(gated(left))
            h = made if layer.first else h + made
        return h
