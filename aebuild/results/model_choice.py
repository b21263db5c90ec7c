"""A first model for data, and in words why each part of it was chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log2
from typing import Any, Literal

from aebuild.lang.values import Grid, Tokens
from aebuild.results.sample_statistics import TWO, SampleStatistics

Goal = Literal["embed", "anomaly", "generate", "compress", "denoise"]
SHARES: dict[Goal, float] = {"embed": 0.9, "anomaly": 0.8, "generate": 0.9, "compress": 0.8, "denoise": 0.9}
PER_NUMBER = 50         # training samples for each number of the code, at least: with fewer it is learned by heart
FEW = 2_000             # samples: fewer want noise and decay, so that they are not learned by heart
SMALL = 16              # side of an image: from here on it gets convolutions
STEPS = {"residual": 3_000, "conv": 2_500, "gru": 4_000}      # of the optimiser: minutes on a CPU
CODES = 256             # entries of a codebook: a byte each


@dataclass
class Choice:
    """Parts of a spec, by key, and the reason for each, by its path."""

    spec: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, value: Any, reason: str = "") -> None:
        """Writes a value at a path such as `latent.dim`, with its reason."""
        *parents, last = path.split(".")
        place = self.spec
        for name in parents:
            place = place.setdefault(name, {})
        place[last] = value
        if reason:
            self.reasons[path] = reason


def choose(seen: SampleStatistics, goal: Goal) -> Choice:
    """Everything below `data`."""
    choice = Choice()
    match seen.value:
        case Tokens():
            _tokens(choice, seen, goal)
        case Grid(size=size) if len(size) > 1 and min(size) >= SMALL:
            _convolutional(choice, seen, goal, size)
        case _:
            _residual(choice, seen, goal)
    _train(choice, seen)
    return choice


def dimension(seen: SampleStatistics, goal: Goal) -> tuple[int, str]:
    """The code's numbers, and why: what PCA needs for most of the variance, within what the samples can teach."""
    share = SHARES[goal]
    wanted, most = seen.components(share), max(1, min(128, seen.size // 2))
    taught = max(2, seen.samples // PER_NUMBER)
    dim = max(1, min(max(2, wanted), most, taught))
    why = f"{wanted} principal components keep {100 * share:.0f} % of the variance"
    if dim == wanted:
        return dim, f"{why}: a code that is no straight projection keeps more in as many numbers"
    if dim == taught < wanted:
        return dim, f"{why}, but {seen.samples:,} samples teach no more than {dim} (one number for each {PER_NUMBER} of them)"
    return dim, f"{why}; {'a code has at most half the numbers of a sample' if dim == most < max(2, wanted) else 'two can be drawn'}"


def _residual(choice: Choice, seen: SampleStatistics, goal: Goal) -> None:
    """Linear layers with a straight path beside them."""
    dim, why = dimension(seen, goal)
    noise = _noise(choice, seen, goal)
    width = max(32, min(512, 2 ** round(log2(4 * seen.size))))
    inner = max(2 * dim, min(width // 2, 128))
    steps = [{"linear": {"width": width, "activation": "silu"}}, {"linear": {"width": inner, "activation": "none"}}]
    flat = [] if not seen.value.places else ["flatten"]
    choice.put("encoder", [*flat, {"residual": steps}],
               "beside the curved path runs a straight one, which alone would be PCA: what is learned comes on top of it"
               + (f"; {seen.size:,} numbers are few enough to be seen at once" if flat else ""))
    _latent(choice, seen, goal, dim, why)
    choice.put("decoder", [{"residual": steps}])
    _likelihood(choice, seen)
    choice.put("train.optimizer", {"type": "adamw", "lr": _falling(2e-3), "weight_decay": 0.3 if noise else 0.01},
               "the rate falls to nothing, which settles the weights" + ("; the decay keeps the curved path small where nothing is curved"
                                                                          if noise else ""))


def _convolutional(choice: Choice, seen: SampleStatistics, goal: Goal, size: tuple[int, ...]) -> None:
    dim, why = dimension(seen, goal)
    if goal == "denoise":
        _noise(choice, seen, goal)
    depth = max(1, min(4, int(log2(min(size) / 4))))
    first = 16 if seen.samples < FEW else 32
    widths = [first * 2 ** min(number, 2) for number in range(depth)]
    choice.put("encoder", {"layer": "conv", "width": widths, "kernel": 4, "stride": 2},
               f"images: each layer halves the size, {'×'.join(map(str, size))} down to {'×'.join(str(-(-n // 2 ** depth)) for n in size)}")
    _latent(choice, seen, goal, dim, why)
    _likelihood(choice, seen)
    choice.put("train.optimizer", {"type": "adam", "lr": _falling(2e-3)}, "the rate falls to nothing, which settles the weights")


def _tokens(choice: Choice, seen: SampleStatistics, goal: Goal) -> None:
    length = seen.value.places[0]
    dim = max(1, min(64, length // 2))
    choice.put("encoder", {"layer": "gru", "width": 128}, "symbols are embedded and read one after the other")
    choice.put("latent", {"type": "continuous", "dim": dim}, f"{dim} numbers for {length} symbols")
    choice.put("decoder", {"layer": "gru", "width": 128})
    choice.put("losses.reconstruction", "categorical", "symbols have no order: the decoder gives each its probability")
    choice.put("train.optimizer", {"type": "adam", "lr": _falling(3e-3)}, "the rate falls to nothing, which settles the weights")


def _noise(choice: Choice, seen: SampleStatistics, goal: Goal) -> bool:
    """Noise on what the encoder sees; True where the samples are few."""
    few = seen.samples < FEW
    graded = seen.bounds.low is not None
    if goal == "denoise":
        std = 0.2 if graded else 0.5
        choice.put("corrupt", [{"gaussian": {"std": std}}], "the encoder sees the samples with this noise, and what is judged is how close "
                   "it comes to them without: set it to the noise that your data have, in units of their scale")
    elif few:
        std = 0.1 if graded else 0.3
        choice.put("corrupt", [{"gaussian": {"std": std}}], f"{seen.samples:,} samples are few: with noise on what the encoder sees, no "
                   "two passes are alike, and none can be learned by heart")
    return few


def _latent(choice: Choice, seen: SampleStatistics, goal: Goal, dim: int, why: str) -> None:
    if goal == "compress":
        groups = max(1, min(32, dim))
        codes = max(2, min(CODES, _power_of_two(seen.samples / 4)))
        choice.put("latent", {"type": "codebook", "codes": codes, "groups": groups, "dim": 8 * groups, "per": "sample", "update": "ema"},
                   f"a code of {groups * log2(codes):.0f} bits: {groups} choices among {codes} entries. {why}")
        return
    if goal == "generate" and seen.samples >= FEW and isinstance(seen.value, Grid):
        choice.put("latent", {"type": "gaussian", "dim": dim}, f"codes look like draws of a Gaussian, so that draws can be decoded. {why}")
        choice.put("losses.kl", {"weight": {"from": 0, "to": 1, "over": "20%"}}, "first learn to reconstruct, then to look like the prior")
        return
    kept = " `sample` draws from a Gaussian that is fitted to the codes after the training: a variational code would reconstruct worse " \
           "from so few samples." if goal == "generate" else ""
    choice.put("latent", {"type": "continuous", "dim": dim}, f"{why}.{kept}")


def _likelihood(choice: Choice, seen: SampleStatistics) -> None:
    if seen.bounds.fields:
        choice.put("losses.reconstruction", "mixed", "some columns are categories or flags: numbers are judged by their squared error, "
                   "words by the probability that the decoder gives them")
    elif seen.binary:
        choice.put("losses.reconstruction", "bernoulli", "every value is 0 or 1, so the decoder gives the probability of a 1")
    elif seen.bounds.within(0, 1) and seen.two_valued >= TWO:
        choice.put("losses.reconstruction", "bernoulli", f"{100 * seen.two_valued:.0f} % of the values lie at the ends of [0, 1]: they are "
                   "taken for the probability of white")
    else:
        told = f"{seen.kinds:,} different values seen, so they are graded" if seen.kinds > 2 else "two values"
        choice.put("losses.reconstruction", "mse", f"{told}: the squared error, which PCA minimises too, so that both compare")


def _train(choice: Choice, seen: SampleStatistics) -> None:
    batch = 128 if seen.samples >= FEW else max(2, min(64, _power_of_two(seen.samples / 4)))
    steps = STEPS["residual" if isinstance(choice.spec["encoder"], list) else choice.spec["encoder"]["layer"]]
    passes = steps * batch / max(1, seen.samples)
    choice.spec["train"] = {"steps": steps, "batch_size": batch, **choice.spec.get("train", {})}
    choice.reasons["train.steps"] = f"each of {seen.samples:,} training samples is seen about {max(1, round(passes)):,} times; the " \
                                    "weights that validate best are kept"


def _power_of_two(most: float) -> int:
    """The largest one that is no more than this, at least 1."""
    return 1 << int(log2(max(1.0, most)))


def _falling(rate: float) -> dict[str, Any]:
    return {"from": rate, "to": 1e-5, "over": "100%", "shape": "cosine"}
