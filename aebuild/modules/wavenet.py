"""WaveNet as a decoder: a series or a waveform from its code, sample by sample."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.autoregression import CausalNetwork, Entry, Walk, at_places
from aebuild.modules.pixelcnn import gated


class DilatedGate(nn.Module):
    """A causal dilated convolution behind a gate, what it adds to its input and what it gives to the sum of all layers."""

    def __init__(self, code: int, width: int, skips: int, kernel: int, dilation: int, *, last: bool) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, 2 * width, kernel, dilation=dilation)
        self.told = nn.Conv1d(code, 2 * width, 1, bias=False)
        self.out = None if last else nn.Conv1d(width, width, 1)            # behind the last one nobody reads the sum
        self.skip = nn.Conv1d(width, skips, 1)

    @property
    def span(self) -> int:
        """How many places back it sees."""
        return self.conv.dilation[0] * (self.conv.kernel_size[0] - 1)

    def forward(self, x: Tensor, told: Tensor) -> tuple[Tensor, Tensor]:
        """[N, width, T] to the same and to [N, skips, T]; `told` is what the code adds, [N, 2·width, T or 1]."""
        return self._through(x, self.conv(F.pad(x, (self.span, 0))) + told)

    def step(self, x: Tensor, told: Tensor, ring: list[Tensor], place: int) -> tuple[Tensor, Tensor]:
        """The same of one place, [N, width, 1]; `ring` holds the last inputs, each at its place modulo the span."""
        back = range(self.span, 0, -self.conv.dilation[0])
        before = [ring[(place - far) % self.span] for far in back]
        taps = torch.cat([*before, x], 2)                                  # (N, width, kernel)
        if self.span:
            ring[place % self.span] = x
        return self._through(x, F.conv1d(taps, self.conv.weight, self.conv.bias) + told)

    def _through(self, x: Tensor, inside: Tensor) -> tuple[Tensor, Tensor]:
        made = gated(inside)
        return (x if self.out is None else x + self.out(made)), self.skip(made)


class WaveNetwork(CausalNetwork):
    """Dilated causal convolutions with gates, residuals and skips (van den Oord et al., 2016; Engel et al., 2017).

    Each layer is told the code: one vector for all places, or features at each. What comes out is the rectified sum of the skips.
    """

    def __init__(self, entry: Entry, inputs: int, code: int, width: int, skips: int, kernel: int, dilations: Sequence[int]) -> None:
        super().__init__()
        self.entry = entry
        self.enter = nn.Conv1d(inputs, width, 1)
        self.layers = nn.ModuleList([DilatedGate(code, width, skips, kernel, dilation, last=number == len(dilations) - 1)
                                     for number, dilation in enumerate(dilations)])

    def forward(self, code: Tensor, entered: Tensor) -> Tensor:
        """A code [N, D] or [N, D, T] and [N, C, T] to [N, skips, T]."""
        code, x, skips = at_places(code, 1), self.enter(F.pad(entered, (1, -1))), []
        for layer in self._layers():
            x, skip = layer(x, layer.told(code))
            skips.append(skip)
        return _summed(skips)

    def walk(self, code: Tensor, size: Sequence[int]) -> Walk:
        """Each sample once, with what each layer remembers of its inputs (Le Paine et al., 2016)."""
        code = at_places(code, 1)
        told = [layer.told(code).expand(-1, -1, size[0]) for layer in self._layers()]
        rings = [[code.new_zeros(code.shape[0], layer.conv.in_channels, 1)] * layer.span for layer in self._layers()]
        value = code.new_zeros(code.shape[0], self.enter.in_channels, 1)
        for place in range(size[0]):
            x, skips = self.enter(value), []
            for layer, known, ring in zip(self._layers(), told, rings, strict=True):
                x, skip = layer.step(x, known[..., place:place + 1], ring, place)
                skips.append(skip)
            value = yield _summed(skips)

    def _layers(self) -> list[DilatedGate]:
        return [layer for layer in self.layers if isinstance(layer, DilatedGate)]


def _summed(skips: list[Tensor]) -> Tensor:
    """The rectified sum, one after the other, so that a float adds up alike in both ways."""
    total = skips[0]
    for skip in skips[1:]:
        total = total + skip
    return total.relu()
