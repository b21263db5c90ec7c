"""The families of autoencoders that are weighed: what each is, where it is from, and which shipped spec shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from aebuild.results.advising.family_grades import Figures, Grades, bakeoff, figures_of, grades_of

Kind = Literal["network", "code"]


@dataclass(frozen=True)
class Family:
    """A way to build the network, with a plain code, or a kind of code, on whichever network fits the data.

    `spec` is the shipped spec that shows it, `bakeoff` the one of specs/bakeoff whose published protocol was repeated.
    """

    word: str
    kind: Kind
    title: str
    source: str
    trade: str
    spec: str
    bakeoff: str | None = None

    @property
    def figures(self) -> Figures:
        """How it did when all families were trained alike."""
        return figures_of(self.word)

    @property
    def grades(self) -> Grades:
        """The same as grades from 1 to 5."""
        return grades_of(self.word)

    @property
    def evidence(self) -> str:
        """Its figures in a sentence."""
        found = self.figures
        told = f"error {found.error:.2f} × the best, seeds {100 * found.spread:.1f} % apart, {found.cost:.2g} million operations " \
               f"of a step and sample, codes {found.gap:.2f} from the prior, precision and recall of draws {found.likeness:.2f}"
        published = bakeoff()
        return told if self.bakeoff is None else f"{told}; {published['figure']} {published['specs'][self.bakeoff]:.2f} in the bake-off"


FAMILIES: dict[str, Family] = {family.word: family for family in (
    Family("linear", "network", "linear, the plane of principal components", "Baldi and Hornik, 1989",
           "nothing is cheaper or steadier; keeps what a plane can hold and no more", "anomaly/optdigits"),
    Family("residual", "network", "dense layers beside a straight path", "He et al., 2015",
           "begins as good as a plane and adds what is curved; sees all numbers at once, so it grows with their number", "shallow"),
    Family("dense", "network", "dense layers", "Hinton and Salakhutdinov, 2006",
           "simple and quick; has to learn what is straight, too", "deep", "deep"),
    Family("conv", "network", "convolutions", "Masci et al., 2011",
           "few weights for much data in places; many operations", "conv"),
    Family("recurrent", "network", "a recurrent network", "Srivastava et al., 2015",
           "takes any length; reads one step after the other, which is slow and hard to train over long series", "lstm_ae"),
    Family("transformer", "network", "blocks of self-attention", "Vaswani et al., 2017",
           "sees all steps at once; the most operations, and wants many samples", "transformer_ae"),
    Family("denoising", "code", "noise on what the encoder sees", "Vincent et al., 2008",
           "removes noise, and learns less by heart; reconstructs clean samples a little worse", "denoising", "denoising"),
    Family("sparse", "code", "a code of few active numbers", "Ng, 2011",
           "numbers of the code can be looked at one by one; wants a wide code and one more weight to choose", "sparse", "sparse"),
    Family("vae", "code", "a variational code", "Kingma and Welling, 2014",
           "codes look like draws of a Gaussian, so draws can be decoded; reconstructions pay for it", "vae", "vae"),
    Family("beta_vae", "code", "a variational code with a heavier KL term", "Higgins et al., 2017",
           "numbers of the code are more independent still; reconstructions pay more", "beta_vae", "beta_vae_strict"),
    Family("aae", "code", "a code that a discriminator pushes to a prior", "Makhzani et al., 2015",
           "any prior that can be drawn from; two players that must be held in balance", "aae"),
    Family("vqvae", "code", "choices from a codebook", "van den Oord et al., 2017",
           "a code of a few bytes; entries may fall out of use", "vqvae", "vq"))}
