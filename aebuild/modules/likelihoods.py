"""Likelihoods and errors: parameters from the decoder and a target to one number a sample.

The decoder gives `count` parameters for each channel of the target; parameter j of channel c stands at index c·count + j of the
channels' axis, 1 for vectors [N, C] and grids [N, C, *S], -1 for sequences [N, T, C].
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.bounds import bounded_log_variance
from aebuild.modules.lengths import real_places
from aebuild.modules.losses import Loss
from aebuild.modules.outputs import Outputs
from aebuild.modules.patches import PatchScale

LOG_2_PI = math.log(2 * math.pi)
HALF_LEVEL = 1 / 512          # a certain 0 or 1 would be infinitely surprised


def per_sample(loss: Tensor) -> Tensor:
    """[N, ...] summed to [N]."""
    return loss.flatten(1).sum(1)


def counted(target: Tensor, lengths: Tensor | None, mask: Tensor | None) -> Tensor | None:
    """Which elements of the target [N, ...] count, as something that spreads over it; None where all do."""
    if lengths is None:
        return mask
    real = real_places(lengths, target)
    return real if mask is None else real & mask


class Likelihood(Loss):
    """A negative log-likelihood or an error, and the expected data.

    If it is `masked`, the loss is of what was hidden from the encoder alone. With `patches` the decoder gives, and the loss compares, each
    patch less the target's mean over its deviation.
    """

    masked = False

    def __init__(self) -> None:
        super().__init__()
        self.patches: PatchScale | None = None         # a module, which an attribute of the class would hide

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N], summed over a sample."""
        raise TypeError(f"{type(self).__name__} has no forward")

    def mean(self, params: Tensor) -> Tensor:
        """The expected data, [N, ...] like the target."""
        raise TypeError(f"{type(self).__name__} has no mean")

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Data drawn element by element, by numbers in [0, 1) like the target: the quantile at each."""
        raise TypeError(f"{type(self).__name__} draws no data")

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """How each element is distributed: `log_probabilities` [N, ..., K] of the values of `support`, or two tensors like the target.

        Of these the first says where the values lie, the second how far they spread.
        """
        raise TypeError(f"{type(self).__name__} is no distribution of single elements")

    def support(self) -> Tensor | None:
        """The values that an element may be, [K]; None where it may be any number."""
        return None

    def linked(self, params: Tensor, context: Mapping[str, Any]) -> Tensor:
        """The decoder's output as the parameters of which all else speaks, by what is known of the sample beside its code."""
        if self.patches is None:
            return params
        return self.patches.restored(params, context["target"] if "target" in context else context["input"])

    def learn(self, target: Tensor) -> None:
        """Takes from training data [n, ...], before the first step, what no gradient finds; ValueError where they have no likelihood."""

    def params_of(self, mean: Tensor) -> Tensor | None:
        """The parameters that expect just this, by which a reconstruction that no decoder made is judged; None if a mean is too little."""
        return None

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """The same of each element, [N, ...] like the target: what `forward` sums."""
        raise TypeError(f"{type(self).__name__} judges whole samples, not their elements one by one, so none of unequal length and none "
                        "of which some are missing")

    def within(self, params: Tensor, target: Tensor, lengths: Tensor | None, mask: Tensor | None = None) -> Tensor:
        """[N], summed over the first `lengths` [N] places of each sample and where `mask` [N, ...] is true; over all without these."""
        counts = counted(target, lengths, mask)
        if counts is None:
            return self(params, target)  # type: ignore[no-any-return]
        return per_sample(self.each(params, target).masked_fill(~counts, 0.0))

    def loss(self, outputs: Outputs) -> Tensor:
        """The term `reconstruction`, [N]."""
        assert outputs.params is not None, "nothing was decoded in this pass"
        params, target = outputs.params, outputs.target
        if self.patches is not None:
            params, target = self.patches(params, target), self.patches(target, target)
        return self.within(params, target, outputs.lengths, self.judged(outputs))

    def judged(self, outputs: Outputs) -> Tensor | None:
        """Which elements of the target count, as something that spreads over it; None where all do."""
        if not self.masked:
            return outputs.mask
        return outputs.hidden if outputs.mask is None else outputs.hidden & outputs.mask

    def counts(self, outputs: Outputs) -> Tensor | None:
        """The same of series whose padding does not count."""
        return counted(outputs.target, outputs.lengths, self.judged(outputs))

    @property
    def whole(self) -> bool:
        """True if the loss is of all elements as they are, so that a reconstruction of another kind can be judged beside it."""
        return not self.masked and self.patches is None


class Point(Likelihood):
    """A likelihood whose parameter is the reconstruction itself."""

    def mean(self, params: Tensor) -> Tensor:
        """The reconstruction."""
        return params

    def params_of(self, mean: Tensor) -> Tensor:
        """The reconstruction."""
        return mean


class Bernoulli(Likelihood):
    """Cross-entropy in nats of a target in [0, 1]; the parameter is a logit."""

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return F.binary_cross_entropy_with_logits(params, target, reduction="none")

    def mean(self, params: Tensor) -> Tensor:
        """The probability of a one."""
        return params.sigmoid()

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Zeros and ones."""
        return (chance < params.sigmoid()).to(params.dtype)

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Of a zero and of a one."""
        return {"log_probabilities": torch.stack([F.logsigmoid(-params), F.logsigmoid(params)], -1)}

    def support(self) -> Tensor:
        """Zero and one."""
        return torch.arange(2.0)

    def params_of(self, mean: Tensor) -> Tensor:
        """Logits, of probabilities held half a level of a byte from 0 and 1."""
        return mean.clamp(HALF_LEVEL, 1 - HALF_LEVEL).logit()


class SquaredError(Point):
    """Squared error; the parameter is the reconstruction."""

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return F.mse_loss(params, target, reduction="none")


class AbsoluteError(Point):
    """Absolute error; the parameter is the reconstruction."""

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return per_sample(self.each(params, target))

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return F.l1_loss(params, target, reduction="none")


class FixedGaussian(Point):
    """Negative log-density in nats of N(mean, variance) with a variance that is given."""

    def __init__(self, variance: float) -> None:
        super().__init__()
        self.variance = variance

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        distance = per_sample(F.mse_loss(params, target, reduction="none"))
        constant = 0.5 * target.shape[1:].numel() * (LOG_2_PI + math.log(self.variance))
        return distance.mul(0.5 / self.variance).add(constant)

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return F.mse_loss(params, target, reduction="none").mul(0.5 / self.variance).add(0.5 * (LOG_2_PI + math.log(self.variance)))

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Like the target."""
        return params + math.sqrt(self.variance) * normal_quantile(chance)

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Mean and deviation."""
        return {"mean": params, "deviation": torch.full_like(params, math.sqrt(self.variance))}


class LearnedGaussian(Point):
    """Negative log-density in nats of N(mean, variance) with learned variances (Rybkin et al., 2021).

    `log_variance` has the `shape` of a sample, or () for one variance for all; it starts at 0 and is held in [-20, 20].
    """

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.log_variance = nn.Parameter(torch.zeros(tuple(shape)))

    def reset_parameters(self) -> None:
        """Unit variance."""
        nn.init.zeros_(self.log_variance)

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        return _gaussian(params, bounded_log_variance(self.log_variance), target)

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        return _each_gaussian(params, bounded_log_variance(self.log_variance), target) + 0.5 * LOG_2_PI

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Like the target; of one variance for all elements."""
        return params + (0.5 * bounded_log_variance(self.log_variance)).exp() * normal_quantile(chance)

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Mean and deviation."""
        return {"mean": params, "deviation": (0.5 * bounded_log_variance(self.log_variance)).exp().expand_as(params)}


class PredictedGaussian(Likelihood):
    """Negative log-density in nats of N(mean, variance), both predicted: the parameters are mean and log-variance.

    The log-variance is held in [-20, 20].
    """

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, params: Tensor, target: Tensor) -> Tensor:
        """[N]."""
        mean, log_variance = self._parts(params)
        return _gaussian(mean, log_variance, target)

    def each(self, params: Tensor, target: Tensor) -> Tensor:
        """Like the target."""
        mean, log_variance = self._parts(params)
        return _each_gaussian(mean, log_variance, target) + 0.5 * LOG_2_PI

    def _parts(self, params: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = apart(params, 2, self.axis).unbind(second(self.axis))
        return mean, bounded_log_variance(log_variance)

    def mean(self, params: Tensor) -> Tensor:
        """The predicted mean."""
        return apart(params, 2, self.axis).select(second(self.axis), 0)

    def draw(self, params: Tensor, chance: Tensor) -> Tensor:
        """Like the target."""
        mean, log_variance = self._parts(params)
        return mean + (0.5 * log_variance).exp() * normal_quantile(chance)

    def distribution(self, params: Tensor) -> dict[str, Tensor]:
        """Mean and deviation."""
        mean, log_variance = self._parts(params)
        return {"mean": mean, "deviation": (0.5 * log_variance).exp()}


def normal_quantile(chance: Tensor) -> Tensor:
    """The quantile of N(0, 1) at numbers in [0, 1), which are held 2⁻²⁴ from 0."""
    found: Tensor = torch.special.ndtri(chance.clamp(2.0 ** -24, 1 - 2.0 ** -24))
    return found


def apart(params: Tensor, count: int, axis: int) -> Tensor:
    """Splits C·count channels into C and, right after, count."""
    return torch.unflatten(params, axis, (-1, count))


def second(axis: int) -> int:
    """Where `count` stands after `apart`."""
    return axis + 1 if axis > 0 else axis


def _gaussian(mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    constant = 0.5 * LOG_2_PI * target.shape[1:].numel()
    return per_sample(_each_gaussian(mean, log_variance, target)) + constant


def _each_gaussian(mean: Tensor, log_variance: Tensor, target: Tensor) -> Tensor:
    """Without the constant."""
    scaled = F.mse_loss(mean, target, reduction="none") * (-log_variance).exp()
    return 0.5 * (scaled + log_variance)
