"""Which part a key under `losses` means."""

from __future__ import annotations

from collections.abc import Iterator

from aebuild.compile.annotations import Shape
from aebuild.lang.part import Part
from aebuild.lang.terms import Bound, Likelihood, Penalty, Provider, Term, without_level


def shape_of_term(key: str) -> Shape:
    """The likelihood for `reconstruction`, the bound, a penalty, a term that some part provides, or a plain weighted term."""
    if key in ("reconstruction", "bound"):
        return Shape("family", Likelihood if key == "reconstruction" else Bound)
    penalties = Shape("family", Penalty, key=key)
    if penalties.variants:
        return penalties
    provided = provided_terms()
    return Shape("record", provided.get(key) or provided.get(without_level(key), Term))


def provided_terms() -> dict[str, type[Term]]:
    """The terms that latents, priors and other parts may bring along, with the class of their options."""
    return {name: kind for provider in providers() for name, kind in provider.terms.items()}


def providers() -> Iterator[type[Provider]]:
    """Every part that may bring terms, metrics or players."""
    for family in Part.families.values():
        if issubclass(family, Provider):
            yield family
            yield from (member for member in family.variants.values() if issubclass(member, Provider))


def known_terms() -> set[str]:
    """Every key that some part gives a meaning under `losses`."""
    penalties = {cls.key for cls in Penalty.variants.values() if issubclass(cls, Penalty)}
    return {"reconstruction", "bound"} | penalties | set(provided_terms())
