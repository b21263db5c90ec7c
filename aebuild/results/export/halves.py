"""What is exported, as modules from raw data to raw data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from aebuild.lang.conditioning import KEY
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

    def undo_spread(self, scaled: Tensor) -> Tensor:
        """How far values spread around another, [N, ...], in raw units."""
        return (scaled.double() / self.factor).float()


Beside = Literal["lengths", "conditions"]


def beside(run: TrainedRun, part: str) -> tuple[Beside, ...]:
    """What goes into a part (model, encoder, decoder) behind its samples or codes: lengths of series, and conditions if it reads them."""
    halves = {"encoder": (run.plan.encoder,), "decoder": (run.plan.decoder,)}.get(part, (run.plan.encoder, run.plan.decoder))
    told = any(KEY in node.reads for half in halves for node in half.walk())
    return (*(("lengths",) if run.info.ragged and part != "decoder" else ()), *(("conditions",) if told else ()))


class Encoder(nn.Module):
    """Raw data to codes: of a variational code the mean, of a discrete one the indices."""

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        self.scaling, self.model = Scaled(run.scaling, 1 + len(run.plan.input.shape)), run.model
        self.beside = beside(run, "encoder")

    def forward(self, x: Tensor, first: Tensor | None = None, second: Tensor | None = None) -> Tensor:
        """[N, ...], and what it has `beside` them, to [N, ...]: how many places of each series are real, [N], and conditions, [N, F]."""
        known: dict[str, Any] = dict(zip(self.beside, (first, second), strict=False))
        code = self.model.encode(self.scaling(x, known.get("lengths")), **known)
        value: Tensor = code.value if code.indices is None else code.indices
        return value


class Decoder(nn.Module):
    """Codes, or the indices of discrete ones, to raw data."""

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        self.scaling, self.model = Scaled(run.target_scaling or run.scaling, 1 + len(run.plan.target.shape)), run.model
        self.discrete = hasattr(run.model.latent, "lookup")

    def forward(self, codes: Tensor, conditions: Tensor | None = None) -> Tensor:
        """[N, ...], and conditions [N, F] of a decoder that is told them, to [N, ...]."""
        return self.scaling.undo(self.model.decode(self.model.latent.lookup(codes) if self.discrete else codes, conditions=conditions))


def has_gaps(run: TrainedRun) -> bool:
    """True if the decoder reads its own target, and is told which of its values are missing."""
    node = run.plan.autoregression
    return node is not None and "mask" in node.reads


class ForcedDecoder(nn.Module):
    """Codes and true data to how each element is distributed, given the code and the elements before it (teacher forcing).

    What comes out is a tensor of log-probabilities, or where the values lie and how far they spread, in raw units. Of data with holes a
    NaN in the target is a value that is missing.
    """

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        self.scaling, self.model = Scaled(run.target_scaling or run.scaling, 1 + len(run.plan.target.shape)), run.model
        self.discrete = hasattr(run.model.latent, "lookup")
        self.gaps = has_gaps(run)

    def forward(self, code: Tensor, target: Tensor, conditions: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """[N, ...], data [N, ...] of which those of a place and behind it do not matter there, and conditions [N, F] if it is told them."""
        known: dict[str, Any] = {"target": self.scaling(target)} | ({} if conditions is None else {"conditions": conditions})
        if self.gaps:
            known["mask"] = ~target.isnan()
        params = self.model.parameters_of(self.model.latent.lookup(code) if self.discrete else code, known)
        found = tuple(self.model.likelihood.distribution(params).values())
        return found[0] if len(found) == 1 else (self.scaling.undo(found[0]), self.scaling.undo_spread(found[1]))


class Whole(nn.Module):
    """Raw data to their reconstructions."""

    def __init__(self, run: TrainedRun) -> None:
        super().__init__()
        self.model = run.model
        self.scaling = Scaled(run.scaling, 1 + len(run.plan.input.shape))
        self.back = Scaled(run.target_scaling or run.scaling, 1 + len(run.plan.target.shape))
        self.beside = beside(run, "model")

    def forward(self, x: Tensor, first: Tensor | None = None, second: Tensor | None = None) -> Tensor:
        """[N, ...], and what it has `beside` them, to [N, ...]; behind the end of a series stands what 0 means in raw values."""
        known: dict[str, Any] = dict(zip(self.beside, (first, second), strict=False))
        lengths = known.get("lengths")
        return self.back.undo(silenced(self.model.reconstruct(self.scaling(x, lengths), **known), lengths))


def decoder_of(run: TrainedRun) -> nn.Module:
    """The half that takes codes: one that draws the data place by place as it judges true ones."""
    return ForcedDecoder(run) if run.plan.autoregression is not None else Decoder(run)


PARTS: dict[str, Any] = {"encoder": Encoder, "decoder": decoder_of, "model": Whole}
