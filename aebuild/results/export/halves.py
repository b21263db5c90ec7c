"""What is exported, as modules from raw data to raw data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

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

    def forward(self, raw: Tensor) -> Tensor:
        """[N, ...] to the model's values."""
        if self.tokens:
            return raw
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

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to [N, ...]."""
        code = self.model.encode(self.scaling(x))
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

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to [N, ...]."""
        return self.back.undo(self.model.reconstruct(self.scaling(x)))


PARTS: dict[str, Any] = {"encoder": Encoder, "decoder": Decoder, "model": Whole}


def expected(run: TrainedRun, raw: np.ndarray[Any, Any]) -> dict[str, Tensor]:
    """What the run itself makes of raw samples [n, ...]: by part its input and output, through numpy's scaling and no recording."""
    scaled = torch.from_numpy(run.scaling.apply(raw))
    context: dict[str, Any] = {}
    with torch.no_grad():
        code = run.model.latent(run.model.features(run.model.corrupt(scaled, context), context), context)
        value = code.value if code.posterior is None else code.posterior.mean
        back = run.model.likelihood.mean(run.model.parameters_of(value, context)).numpy()
    codes = value if code.indices is None else code.indices
    given = torch.from_numpy(raw if run.scaling.kind == "tokens" else raw.astype(np.float32))
    made = torch.from_numpy((run.target_scaling or run.scaling).undo(back))
    return {"raw": given, "codes": codes, "back": made}
