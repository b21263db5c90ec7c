"""A first model for data, and in words why each part of it was chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import ceil, log2, sqrt
from typing import Any

from aebuild.lang.values import Tokens
from aebuild.results.advising.candidates import FEW, NEIGHBOURLY, Candidate, Goal, ranked, straight
from aebuild.results.advising.sample_statistics import TWO, SampleStatistics

SHARES: dict[Goal, float] = {"represent": 0.9, "anomaly": 0.8, "generate": 0.9, "compress": 0.8, "denoise": 0.9}
PER_NUMBER = 50         # training samples for each number of the code, at least: with fewer it is learned by heart
STEPS = {"linear": 2_000, "residual": 3_000, "dense": 3_000, "conv": 2_500, "recurrent": 4_000, "transformer": 4_000}
CODES = 256             # entries of a codebook: a byte each
BY_HEART = 3            # square of a recurrent layer's width for each number of the data: wider ones learn them by heart (AE262)
ROOM = 1.5              # numbers of a code to draw for each of the data's intrinsic dimension


@dataclass
class Choice:
    """Parts of a spec, by key, and the reason for each, by its path."""

    spec: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    candidates: list[Candidate] = field(default_factory=list)

    @property
    def chosen(self) -> Candidate:
        """The family that the spec is of."""
        return self.candidates[0]

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
    """Everything below `data`, by the family that ranks first."""
    choice = Choice(candidates=ranked(seen, goal))
    network = choice.chosen.network.word
    NETWORKS[network](choice, seen, goal)
    _latent(choice, seen, goal)
    _likelihood(choice, seen)
    _train(choice, seen, network)
    return choice


def dimension(seen: SampleStatistics, goal: Goal) -> tuple[int, str]:
    """The code's numbers, and why: what PCA needs for most of the variance, within what the samples can teach."""
    share = SHARES[goal]
    if isinstance(seen.value, Tokens):
        length = seen.value.places[0]
        dim = max(1, min(64, length // 2))
        return dim, f"{dim} numbers for {length} symbols"
    wanted, most = seen.components(share), max(1, min(128, seen.size // 2))
    taught = max(2, seen.samples // PER_NUMBER)
    if goal == "generate" and seen.intrinsic is not None and (room := max(2, ceil(ROOM * seen.intrinsic))) < min(wanted, most, taught):
        return room, f"the data have about {seen.intrinsic:.0f} numbers locally (TwoNN, Levina and Bickel), and {ROOM:g} times as many " \
                     "leave room: in more dimensions than that draws seldom fall where codes are"
    dim = max(1, min(max(2, wanted), most, taught))
    why = f"{wanted} principal components keep {100 * share:.0f} % of the variance"
    if dim == wanted:
        return dim, f"{why}, so a code that is as good as a plane needs no more numbers"
    if dim == taught < wanted:
        return dim, f"{why}, but {seen.samples:,} samples teach no more than {dim} (one number for each {PER_NUMBER} of them)"
    return dim, f"{why}; {'a code has at most half the numbers of a sample' if dim == most < max(2, wanted) else 'two can be drawn'}"


def _linear(choice: Choice, seen: SampleStatistics, goal: Goal) -> None:
    """No layers at all: the code is a projection."""
    if goal == "denoise":
        _noise(choice, seen, goal)
    choice.put("encoder", [], f"no layers, so that the code is a plane: {straight(seen) or 'nothing else ranked higher'}")
    choice.put("train.optimizer", {"type": "adam", "lr": _falling(2e-2)}, "a plane bears large steps, and the rate falls to nothing, where "
               "it ends at that of principal components")


def _residual(choice: Choice, seen: SampleStatistics, goal: Goal) -> None:
    """Linear layers with a straight path beside them."""
    noise = _noise(choice, seen, goal)
    width = max(32, min(512, 2 ** round(log2(4 * seen.size))))
    inner = max(2 * dimension(seen, goal)[0], min(width // 2, 128))
    steps = [{"linear": {"width": width, "activation": "silu"}}, {"linear": {"width": inner, "activation": "none"}}]
    flat = [] if not seen.value.places else ["flatten"]
    choice.put("encoder", [*flat, {"residual": steps}],
               "beside the curved path runs a straight one, which alone would be PCA: what is learned comes on top of it"
               + (f"; {seen.size:,} numbers are few enough to be seen at once" if flat else ""))
    choice.put("decoder", [{"residual": steps}])
    choice.put("train.optimizer", {"type": "adamw", "lr": _falling(2e-3), "weight_decay": 0.3 if noise else 0.01},
               "the rate falls to nothing, which settles the weights" + ("; the decay keeps the curved path small where nothing is curved"
                                                                          if noise else ""))


def _dense(choice: Choice, seen: SampleStatistics, goal: Goal) -> None:
    """Two narrowing layers, normalised over the batch."""
    _noise(choice, seen, goal)
    first = max(32, min(512, seen.size // 2))
    choice.put("encoder", {"layer": "linear", "width": [first, max(16, first // 3)], "norm": "batch"},
               "two layers that narrow by a third each, normalised over the batch, which lets them learn fast")
    choice.put("train.optimizer", {"type": "adam", "lr": _falling(2e-3)}, "the rate falls to nothing, which settles the weights")


def _convolutional(choice: Choice, seen: SampleStatistics, goal: Goal) -> None:
    """Strided convolutions over an image or a series, and the mirror of them."""
    if goal == "denoise":
        _noise(choice, seen, goal)
    size = seen.value.places
    image = len(size) > 1
    depth = max(1, min(4, int(log2(min(size) / 4)))) if image else max(1, min(6, round(log2(size[0] / 32))))
    first = 32 if image and seen.samples >= FEW else 16
    widths = [first * 2 ** min(number, 2 if image else 1) for number in range(depth)]
    neighbours = f", as neighbours correlate by {seen.local:.2f}" if seen.local is not None and seen.local >= NEIGHBOURLY else ""
    told = f"each layer halves the {'size' if image else 'steps'}, {'×'.join(map(str, size))} down to " \
           f"{'×'.join(str(-(-n // 2 ** depth)) for n in size)}"
    choice.put("encoder", {"layer": "conv", "width": widths, "kernel": 4 if image else 3, "stride": 2, "activation": "silu"},
               f"what is learned at one place serves at all{neighbours}; {told}")
    choice.put("train.optimizer", {"type": "adam", "lr": _falling(2e-3 if image else 3e-3)}, "the rate falls to nothing, which settles "
               "the weights")


def _steps(choice: Choice, seen: SampleStatistics, goal: Goal) -> None:
    """Layers that read a series or symbols one after the other, or all of them by attention."""
    if goal == "denoise":
        _noise(choice, seen, goal)
    word = choice.chosen.network.word
    most = _power_of_two(sqrt(BY_HEART * seen.samples * seen.size))
    layer = {"layer": "gru", "width": max(8, min(128, most))} if word == "recurrent" else \
        {"layer": "transformer", "depth": 2, "width": max(8, min(64, most))}
    what = "symbols are embedded" if isinstance(seen.value, Tokens) else "steps are taken"
    choice.put("encoder", layer, f"{what} and read one after the other" if word == "recurrent" else f"{what}, and each looks at all others")
    choice.put("decoder", layer)
    choice.put("train.optimizer", {"type": "adam", "lr": _falling(3e-3 if word == "recurrent" else 2e-3)},
               "the rate falls to nothing, which settles the weights")


NETWORKS: dict[str, Callable[[Choice, SampleStatistics, Goal], None]] = {
    "linear": _linear, "residual": _residual, "dense": _dense, "conv": _convolutional, "recurrent": _steps, "transformer": _steps}


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


def _latent(choice: Choice, seen: SampleStatistics, goal: Goal) -> None:
    """The code of the family that was chosen, and the losses that belong to it."""
    word = choice.chosen.family.word
    dim, why = dimension(seen, goal)
    if word == "vqvae":
        groups = max(1, min(32, dim))
        codes = max(2, min(CODES, _power_of_two(seen.samples / 4)))
        choice.put("latent", {"type": "codebook", "codes": codes, "groups": groups, "dim": 8 * groups, "per": "sample", "update": "ema"},
                   f"a code of {groups * log2(codes):.0f} bits: {groups} choices among {codes} entries. {why}")
    elif word in ("vae", "beta_vae"):
        weight = 1 if word == "vae" else 4
        choice.put("latent", {"type": "gaussian", "dim": dim}, f"codes look like draws of a Gaussian, so that draws can be decoded. {why}")
        choice.put("losses.kl", {"weight": {"from": 0, "to": weight, "over": "20%"}}, "first learn to reconstruct, then to look like the "
                   "prior")
    elif word == "aae":
        choice.put("latent", {"type": "adversarial", "dim": dim, "prior": {"type": "gaussian", "std": 1.0},
                              "discriminator": {"layer": "linear", "width": [256, 256]}},
                   f"a discriminator tells codes from draws of a Gaussian, and the encoder learns to deceive it. {why}")
        slower = {"optimizer": {"type": "adam", "lr": 5e-4}}
        choice.put("train.players", {"generator": slower, "discriminator": slower}, "the rates at which both were held in balance")
    elif word == "sparse":
        choice.put("latent", {"type": "continuous", "dim": dim, "activation": "sigmoid"}, f"numbers between 0 and 1. {why}")
        choice.put("losses.sparsity", {"type": "kl", "target": 0.1}, "each number is active in a tenth of the samples")
    else:
        kept = " `sample` draws from a Gaussian that is fitted to the codes after the training." if goal == "generate" else ""
        choice.put("latent", {"type": "continuous", "dim": dim}, f"{why}.{kept}")


def _likelihood(choice: Choice, seen: SampleStatistics) -> None:
    if isinstance(seen.value, Tokens):
        choice.put("losses.reconstruction", "categorical", "symbols have no order: the decoder gives each its probability")
    elif seen.bounds.fields:
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


def _train(choice: Choice, seen: SampleStatistics, network: str) -> None:
    batch = 128 if seen.samples >= FEW else max(2, min(64, _power_of_two(seen.samples / 4)))
    passes = STEPS[network] * batch / max(1, seen.samples)
    choice.spec["train"] = {"steps": STEPS[network], "batch_size": batch, **choice.spec.get("train", {})}
    choice.reasons["train.steps"] = f"each of {seen.samples:,} training samples is seen about {max(1, round(passes)):,} times; the " \
                                    "weights that validate best are kept"


def _power_of_two(most: float) -> int:
    """The largest one that is no more than this, at least 1."""
    return 1 << int(log2(max(1.0, most)))


def _falling(rate: float) -> dict[str, Any]:
    return {"from": rate, "to": 1e-5, "over": "100%", "shape": "cosine"}
