"""The families ranked for data and a goal: by their measured grades, by what the data are like, and which cannot serve at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import log2
from typing import Any, Literal

from aebuild.lang.values import Grid, Sequence, Tokens, Vector
from aebuild.results.advising.families import FAMILIES, Family
from aebuild.results.advising.family_grades import Grades, grades_of
from aebuild.results.advising.sample_statistics import SampleStatistics

Goal = Literal["represent", "anomaly", "generate", "compress", "denoise"]
# what a goal asks for: weights of the grades
WEIGHTS: dict[Goal, Grades] = {
    "represent": Grades(reconstruction=4, compute=1, stability=2, control=0, generation=0),
    "anomaly": Grades(reconstruction=2, compute=1, stability=3, control=0, generation=0),
    "generate": Grades(reconstruction=1, compute=1, stability=1, control=2, generation=4),
    "compress": Grades(reconstruction=3, compute=1, stability=2, control=1, generation=0),
    "denoise": Grades(reconstruction=4, compute=1, stability=2, control=0, generation=0)}
FEW = 2_000             # samples: fewer want noise and decay, so that they are not learned by heart
TRUSTED = 500           # samples from which on the intrinsic dimension is one of the data: neighbours of fewer lie apart by their noise
SMALL = 16              # side of an image, or steps of a series: from here on it gets convolutions
NEIGHBOURLY = 0.5       # correlation of neighbours from which on places tell of each other
MANY = 4_000            # numbers of a sample from which on layers at each place are many operations
TOGETHER = 100          # numbers of a sample for each principal component of 90 % of the variance, where they move together
LARGE = 20_000          # numbers of a sample: too many for layers that see all at once
NO_DRAWS = "the goal draws no samples, and the prior costs reconstruction"
STRONG, SLIGHT = 2.0, 0.5      # how much a fitting or unfitting property of the data counts, in grades
Finding = tuple[float, str]    # what is added to the mean grade, and why


@dataclass(frozen=True)
class Candidate:
    """A family as it was weighed: its mean grade for the goal with what the data add, and why; or why it cannot serve.

    `network` is the family of the network that a kind of code stands on. Its score is then the network's, and what the kind of code has
    beyond a plain one.
    """

    family: Family
    network: Family
    score: float
    reasons: tuple[str, ...]
    rejected: str = ""

    def to_json(self, rank: int) -> dict[str, Any]:
        """As `aebuild advise --json` has it."""
        figures = self.family.figures
        return {"rank": None if self.rejected else rank, "family": self.family.word, "title": self.family.title,
                "network": self.network.word, "score": None if self.rejected else round(self.score, 2),
                "grades": self.family.grades.to_json(), "evidence": {**figures.to_json(), "told": self.family.evidence},
                "trade_off": self.family.trade, "reasons": list(self.reasons), "rejected": self.rejected or None,
                "source": self.family.source, "shipped": self.family.spec}


def ranked(seen: SampleStatistics, goal: Goal) -> list[Candidate]:
    """All families, the best first, then those that cannot serve."""
    networks = [_weighed(family, seen, goal) for family in FAMILIES.values() if family.kind == "network"]
    network = max((each for each in networks if not _unfit_network(each.family, seen)), key=lambda each: each.score)
    codes = [_coded(family, network, seen, goal) for family in FAMILIES.values() if family.kind == "code"]
    return sorted([*networks, *codes], key=lambda each: (bool(each.rejected), -each.score))


def _weighed(family: Family, seen: SampleStatistics, goal: Goal) -> Candidate:
    """A network with a plain code."""
    findings = list(_network_findings(family, seen))
    score = mean_grade(family.grades, WEIGHTS[goal]) + sum(added for added, _ in findings)
    return Candidate(family, family, score, tuple(reason for _, reason in findings),
                     _unfit_network(family, seen) or _unfit_for(family, seen, goal))


def _coded(family: Family, network: Candidate, seen: SampleStatistics, goal: Goal) -> Candidate:
    """A kind of code on a network."""
    findings, asked = list(_code_findings(family, seen, goal)), WEIGHTS[goal]
    beyond = mean_grade(family.grades, asked) - mean_grade(grades_of("plain"), asked)
    return Candidate(family, network.family, network.score + beyond + sum(added for added, _ in findings),
                     tuple(reason for _, reason in findings), _unfit_for(family, seen, goal))


def mean_grade(grades: Grades, weights: Grades) -> float:
    """The mean of the grades by what the goal asks for."""
    held, asked = grades.to_json(), weights.to_json()
    return sum(held[name] * weight for name, weight in asked.items()) / sum(asked.values())


def straight(seen: SampleStatistics) -> str:
    """Why nothing but a plane can be learned from these data; empty where more can.

    A surface of fewer numbers than the data have locally cannot follow them, however it is curved: so where PCA already keeps 90 % of the
    variance with clearly fewer, a curve has little to gain, and few samples do not teach it.
    """
    dimension, wanted = seen.intrinsic, seen.components(0.9)
    if not seen.spectrum or seen.samples >= FEW:
        return ""
    if seen.samples < seen.size and seen.samples < FEW / 10:
        return f"{seen.samples:,} samples of {seen.size:,} numbers each teach a plane at most"
    if seen.samples >= TRUSTED and dimension is not None and wanted <= dimension - 1:
        return f"a plane of {wanted} numbers keeps 90 % of the variance, and the data have about {dimension:.0f} numbers locally: within " \
               f"so few there is nothing curved to gain, and {seen.samples:,} samples are few"
    return ""


def nearly_straight(seen: SampleStatistics) -> str:
    """Why a plane holds nearly all of large samples, as it does of spectrograms; empty where it does not."""
    wanted = seen.components(0.9)
    if not seen.spectrum or not MANY <= seen.size <= LARGE or wanted * TOGETHER > seen.size or 10 * wanted > seen.looked_at:
        return ""
    return f"a plane of {wanted} numbers keeps 90 % of the variance of {seen.size:,}, which layers that see all at once find soonest"


def _unfit_network(family: Family, seen: SampleStatistics) -> str:
    """Why a network cannot read such samples."""
    match family.word, seen.value:
        case "linear" | "dense" | "residual", Tokens():
            return "symbols are names, and no quantities that could be weighed all at once"
        case "conv", Vector() | Tokens():
            return "the columns have no order in which they are neighbours" if isinstance(seen.value, Vector) else \
                "a recurrent network reads symbols in their order"
        case "conv", Sequence() if seen.lengths is not None:
            return "the series differ in length, and convolutions would mix what pads them with what is real"
        case "conv", value if min(value.places) < SMALL:
            return f"{'×'.join(map(str, value.places))} is too small to be halved"
        case "recurrent" | "transformer", Vector() | Grid():
            return "the samples are no series of steps"
    return ""


def _unfit_for(family: Family, seen: SampleStatistics, goal: Goal) -> str:
    """Why a family cannot serve a goal."""
    if goal == "compress" and family.word != "vqvae":
        return "its code is made of whole float32 numbers, 32 bits each; choices from a codebook are 8 bits each at most"
    if goal == "denoise" and isinstance(seen.value, Tokens):
        return "symbols are names, so there is no noise that could be added to them and taken away"
    if goal == "denoise" and family.word != "denoising":
        return "it never sees noise in training, so nothing teaches it to take noise away"
    return ""


def _network_findings(family: Family, seen: SampleStatistics) -> Iterator[Finding]:
    """What the data are like, for a network."""
    plane, flat = straight(seen), nearly_straight(seen)
    match family.word:
        case "linear" if plane:
            yield STRONG, plane
        case "linear":
            yield -STRONG, f"{seen.samples:,} samples can teach more than a plane"
        case "residual" | "dense" | "conv" if plane:
            yield -STRONG, "a plane holds so few samples, and what is curved would be learned by heart"
        case "residual" | "dense" if seen.size > LARGE:
            yield -STRONG, f"{seen.size:,} numbers a sample want as many weights for each unit"
        case "residual" if not isinstance(seen.value, Tokens):
            yield SLIGHT, "its straight path alone would be PCA: what is learned comes on top of it"
        case "dense" if flat:
            yield STRONG, flat
        case "conv" if not flat and seen.local is not None and seen.local >= NEIGHBOURLY:
            yield STRONG, f"neighbouring values correlate by {seen.local:.2f}, so that what is learned at one place serves at all"
        case "recurrent" | "transformer":
            yield from _series_findings(family, seen)


def _series_findings(family: Family, seen: SampleStatistics) -> Iterator[Finding]:
    steps = seen.value.places[0] if seen.value.places else 0
    if isinstance(seen.value, Tokens):
        yield (STRONG, "reads symbols in their order") if family.word == "recurrent" else (SLIGHT, "sees all symbols at once")
    elif isinstance(seen.value, Sequence) and family.word == "transformer":
        yield -SLIGHT, f"each of {steps:,} steps looks at all others, which is much to compute"
    elif isinstance(seen.value, Sequence):
        yield (-STRONG, f"{steps:,} steps one after the other take long, and are hard to learn over") if seen.lengths is None else \
            (-SLIGHT, f"reads up to {steps:,} steps one after the other")
    if family.word == "transformer" and seen.samples < FEW:
        yield -STRONG, f"{seen.samples:,} samples are few for it"


def _code_findings(family: Family, seen: SampleStatistics, goal: Goal) -> Iterator[Finding]:
    """What the data and the goal are like, for a kind of code."""
    drawn = family.word in ("vae", "beta_vae", "aae")
    if drawn and seen.samples < FEW:
        yield -STRONG, f"{seen.samples:,} samples are few: a code that is pulled to a prior reconstructs worse from them"
    if family.word == "aae":
        yield -SLIGHT, "its players were held in balance on one network; on another that has to be found anew"
    if drawn and goal == "generate" and isinstance(seen.value, Grid):
        yield SLIGHT, "draws of its prior can be decoded without fitting anything afterwards"
    if drawn and goal == "generate" and not isinstance(seen.value, Grid):
        yield -STRONG, "the Gaussian that is fitted to a plain code after the training serves tables and series as well"
    if goal in ("represent", "anomaly") and family.word != "denoising":
        yield -STRONG, {"vqvae": "choices from a codebook are coarser than numbers",
                        "sparse": "a wide code is no smaller description"}.get(family.word, NO_DRAWS)
    if goal in ("represent", "anomaly", "generate") and family.word == "denoising":
        yield -STRONG, "the goal is no cleaning" if seen.samples >= FEW else "some noise is in the spec anyway, for the samples are few"
    if goal == "generate" and family.word == "vqvae":
        yield -STRONG, "indices that are drawn one by one do not fit each other without a learned prior"
    if goal == "compress" and family.word == "vqvae":
        yield SLIGHT, f"{log2(256):.0f} bits a choice"
