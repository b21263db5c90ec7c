"""Which part a key under `losses` means."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

from aebuild.compile.annotations import Shape
from aebuild.compile.spec import Spec
from aebuild.lang.diagnostics import Diagnostic, Hint
from aebuild.lang.families import Layer
from aebuild.lang.part import Part
from aebuild.lang.program_files import NO_PROGRAM
from aebuild.lang.terms import Bound, Likelihood, Penalty, Provider, Term, without_level


def shape_of_term(key: str) -> Shape:
    """The likelihood for `reconstruction`, the bound, a penalty, a term that some part provides, or a plain weighted term."""
    if key in ("reconstruction", "bound"):
        return Shape("family", Likelihood if key == "reconstruction" else Bound)
    near = _near(key)
    if near is not None:
        return Shape("record", near)
    penalties = Shape("family", Penalty, key=key)
    if penalties.variants:
        return penalties
    provided = provided_terms()
    return Shape("record", provided.get(key) or provided.get(without_level(key), Term))


def provided_terms() -> dict[str, type[Term]]:
    """The terms that latents, priors and other parts may bring along, with the class of their options."""
    return {name: kind for provider in providers() for name, kind in provider.terms.items()}


def _near(key: str) -> type[Term] | None:
    """A term of a part that the spec names or that is meant without being named, for which no other files are imported."""
    families = [family for family in Part.families.values() if issubclass(family, Provider)]
    named = (part for family in families for part in family.variants.imported())
    meant = (family.variants[family.default_variant] for family in families if family.default_variant)
    return next((part.terms[key] for part in itertools.chain(named, meant) if issubclass(part, Provider) and key in part.terms), None)


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


def with_layers(spec: Spec, change: Callable[[Layer], Layer]) -> Spec:
    """The spec with each layer of its halves changed, also those inside of others."""
    def changed(part: Part) -> Part:
        moved = {}
        for name, value in vars(part).items():
            if isinstance(value, list):
                new = [changed(each) if isinstance(each, Part) else each for each in value]
                if any(one is not other for one, other in zip(value, new, strict=True)):
                    moved[name] = new
        found = part.but(**moved) if moved else part
        return change(found) if isinstance(found, Layer) else found

    halves = {name: changed(half) for name, half in (("encoder", spec.encoder), ("decoder", spec.decoder))}
    return spec.but(**halves) if any(halves[name] is not getattr(spec, name) for name in halves) else spec


def located(spec: Spec, base: Path) -> Spec:
    """The spec with absolute paths of the files that its layers and losses name."""
    spec = with_layers(spec, lambda layer: layer.located(base))
    terms = {name: term.located(base) if isinstance(term, Penalty) else term for name, term in spec.losses.terms.items()}
    return spec if terms == spec.losses.terms else spec.but(losses=spec.losses.but(terms=terms))


def missing_files(spec: Spec) -> list[Diagnostic]:
    """Files that losses name and that are not there."""
    return [Diagnostic(NO_PROGRAM, f"there is no file {path}", term.place(key), Hint("the path of a program that torch can load"),
                       f"losses.{name}.{key}")
            for name, term in spec.losses.terms.items() if isinstance(term, Penalty) for key, path in term.files() if not path.is_file()]
