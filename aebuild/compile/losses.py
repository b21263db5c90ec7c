"""Which part a key under `losses` means."""

from __future__ import annotations

from aebuild.compile.annotations import Shape
from aebuild.lang.families import Latent
from aebuild.lang.terms import Likelihood, Penalty, Term


def shape_of_term(key: str) -> Shape:
    """The likelihood for `reconstruction`, a penalty, a latent's own term, or a plain weighted term."""
    if key == "reconstruction":
        return Shape("family", Likelihood)
    penalties = Shape("family", Penalty, key=key)
    if penalties.variants:
        return penalties
    for latent in Latent.variants.values():
        if issubclass(latent, Latent) and key in latent.terms:
            return Shape("record", latent.terms[key])
    return Shape("record", Term)


def known_terms() -> set[str]:
    """Every key that some part gives a meaning under `losses`."""
    names = {"reconstruction"}
    names |= {cls.key for cls in Penalty.variants.values() if issubclass(cls, Penalty)}
    return names.union(*(cls.terms for cls in Latent.variants.values() if issubclass(cls, Latent)))
