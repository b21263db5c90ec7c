"""What is exported, as modules from raw data to raw data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from aebuild.modules.lengths import silenced

if TYPE_CHECKING:
    from aebuild.lang.splits import Scaling
    from aebuild.results.trained_run import TrainedRun


class Scaled(nn.Module):
    """Raw values as the model's, and back; the same arithmetic as `Scaling`, in double precision."""

    offset: Tensor
    factor: Tensor
    fill: Tensor

    def __init__(self, scaling: Scaling, ndim: int) -> None:
        super().__init__()
        self.tokens, self.low, self.high, self.fills = scaling.kind == "tokens", scaling.low, scaling.high, bool(scaling.fill)
        for name in ("offset", "factor", "fill"):
            values = torch.tensor(getattr(scaling, name), dtype=torch.float64)
            wide = values if scaling.last or len(values) == 1 else values.view(-1, *(1,) * (ndim - 2))
            self.register_buffer(name, wide)

    def forward(self, raw: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[N, ...] to the model's values; behind the end of a series, whatever stands there, to 0."""
        return silenced(raw if self.tokens else self._scaled(raw), lengths)

    def _scaled(self, raw: Tensor) -> Tensor:
        wide = raw.double()
        if self.fills:
            wide = torch.where(wide.isnan(), self.fill, wide)
        scaled = (wide - self.offset) * self.factor
        return (scaled if self.low is None else scaled.clamp(self.low, self.high)).float()

    def undo(self, scaled: Tensor) -> Tensor:
        """The model's values [N, ...] to raw ones."""
        return scaled if self.tokens else (scaled.double() / self.factor + self.offset).float()


class Encoder(nn.Module):
    """Raw data to codes: of a variational code the mean, of a discrete one the indices."""

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        self.scaling, self.model = Scaled(run.scaling, 1 + len(run.plan.input.shape)), run.model

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[N, ...], and of series of unequal length how many places of each are real, [N], to [N, ...]."""
        code = self.model.encode(self.scaling(x, lengths), lengths)
        value: Tensor = code.value if code.indices is None else code.indices
        return value


class Decoder(nn.Module):
    """Codes, or the indices of discrete ones, to raw data."""

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        self.scaling, self.model = Scaled(run.target_scaling or run.scaling, 1 + len(run.plan.target.shape)), run.model
        self.discrete = hasattr(run.model.latent, "lookup")

    def forward(self, codes: Tensor) -> Tensor:
        """[N, ...] to [N, ...]."""
        return self.scaling.undo(self.model.decode(self.model.latent.lookup(codes) if self.discrete else codes))


class Whole(nn.Module):
    """Raw data to their reconstructions."""

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        self.model = run.model
        self.scaling = Scaled(run.scaling, 1 + len(run.plan.input.shape))
        self.back = Scaled(run.target_scaling or run.scaling, 1 + len(run.plan.target.shape))

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[N, ...], and lengths as the encoder takes them, to [N, ...]; behind the end of a series stands what 0 means in raw values."""
        return self.back.undo(silenced(self.model.reconstruct(self.scaling(x, lengths), lengths), lengths))


PARTS: dict[str, Any] = {"encoder": Encoder, "decoder": Decoder, "model": Whole}
