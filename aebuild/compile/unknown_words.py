"""What an unknown word was meant to be, other libraries' words among them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache

from aebuild.compile.annotations import Shape, fields
from aebuild.compile.losses import known_terms, shape_of_term
from aebuild.compile.spec import Losses, Spec, Train
from aebuild.lang.dataset import Dataset
from aebuild.lang.families import Activation, Latent, Layer, Norm
from aebuild.lang.part import Part
from aebuild.lang.suggest import bare, closest, guessing
from aebuild.lang.terms import Likelihood
from aebuild.lang.training import Optimizer


@dataclass(frozen=True, eq=False)
class Guess:
    """What to write instead: text to paste, and a sentence if the key belongs elsewhere; `key` if it is a slip of the same part."""

    fix: str
    reason: str = ""
    key: str | None = None


def variant(word: str, variants: Mapping[str, type[Part]]) -> str | None:
    """The variant that the word names in another library, or that it misspells."""
    if not guessing():
        return None
    foreign = {bare(other): name for name, cls in variants.items() for other in cls.also}
    if bare(word) in foreign:
        return foreign[bare(word)]
    best = closest(word, [*variants, *foreign])
    return best if best is None else foreign.get(best, best)


def layer(word: object) -> str | None:
    """The layer that the word names or misspells."""
    if not isinstance(word, str):
        return None
    return word if word in Layer.variants else variant(word, Layer.variants)


def step(word: str) -> str | None:
    """The layer that an unknown step was meant to be; an activation or a norm stands behind its own key there."""
    if not guessing():
        return None
    for name, family in (("activation", Activation), ("norm", Norm)):
        for variant_name, cls in family.variants.items():
            if bare(word) in (bare(variant_name), *map(bare, cls.also)):
                return f"{name}: {variant_name}"
    return variant(word, Layer.variants)


def likelihood(word: str) -> str | None:
    """The likelihood that the word names, here or elsewhere."""
    return word if word in Likelihood.variants else variant(word, Likelihood.variants)


def key(word: str, cls: type[Part], path: str, value: str, names: Iterable[str], beside: Collection[str] = ()) -> Guess | None:
    """What an unknown key of a part at `path` was meant to be, with its written value and the keys `beside` it."""
    known = list(names)
    meant = foreign_keys(cls).get(bare(word))
    place = places().get(bare(word))
    at_home = place is None or place == path or place.startswith(f"{path}.") and place.count(".") == path.count(".") + 1
    elsewhere = not at_home and bare(word) != bare((place or "").rpartition(".")[2])        # another library's word, not a slip
    best = meant if meant in known else None if elsewhere else closest(word, known)
    if best is not None:
        return Guess(f"{best}: {_fitting(best, word, value, cls)}", key=best)
    owners = [name for name, other in cls.variants.items() if cls.family and word in fields(other)]
    if owners:
        listed = " and ".join(owners) if len(owners) < 4 else "other variants"
        return Guess(f"type: {owners[0]}" if len(owners) == 1 else f"remove {word}", f"it is a key of {listed}")
    if place is None or at_home:
        return None
    if place.startswith("latent.") and not path and "latent" not in beside:
        return Guess(f"latent: {_whole_latent(place.removeprefix('latent.'), value)}", f"it belongs at {place}")
    return Guess(_nested(place.removeprefix(f"{path}.") if path else place, value), f"it belongs at {place}")


def _whole_latent(key: str, value: str) -> str:
    """A latent with this option and all that it needs besides: a continuous one, where it has the option."""
    owners = [name for name, cls in Latent.variants.items() if key in fields(cls)]
    kind = "continuous" if "continuous" in owners else owners[0]
    cls = Latent.variants[kind]
    needed = {other: cls.model_fields[name].examples for other, (name, _) in fields(cls).items()
              if cls.model_fields[name].is_required() or name in cls.still_missing({})}
    others = "".join(f", {other}: {examples[0]}" for other, examples in needed.items() if examples and other != key)
    return f"{{type: {kind}, {key}: {value}{others}}}"


def _fitting(best: str, word: str, value: str, cls: type[Part]) -> str:
    """The value for the right key, where the wrong one said it in another way."""
    if best == "losses" and (name := likelihood(value)):
        return f"{{reconstruction: {name}}}"
    shape = fields(cls)[best][1] if best in fields(cls) else None
    if value in ("true", "yes") and shape is not None and cls.model_fields[fields(cls)[best][0]].annotation is not bool:
        return shape.kind == "family" and variant(word, shape.variants) or "..."
    return value


def _nested(place: str, value: str) -> str:
    *outer, last = place.split(".")
    text = f"{last}: {value}"
    for step in reversed(outer):
        text = f"{step}: {{{text}}}"
    return text


@cache
def foreign_keys(cls: type[Part]) -> dict[str, str]:
    """Other libraries' words for this part's keys."""
    found: dict[str, str] = {}
    for home in reversed(cls.__mro__):
        found |= {bare(word): own for word, own in home.__dict__.get("foreign", {}).items()}
    return found


@cache
def places() -> dict[str, str]:
    """Where in a spec a key stands, for keys that stand in one place, by their bare word."""
    found: dict[str, str] = {}

    def note(prefix: str, cls: type[Part], own: Iterable[str]) -> None:
        for word in own:
            found.setdefault(bare(word), f"{prefix}{word}")
        for word, meant in foreign_keys(cls).items():
            found.setdefault(word, f"{prefix}{meant}")

    note("", Spec, fields(Spec))
    note("train.", Train, fields(Train))
    note("losses.", Losses, known_terms())
    for name in sorted(known_terms()):
        shape = shape_of_term(name)
        for other in (shape.part.also if shape.kind == "record" and shape.part else ()):
            found.setdefault(bare(other), f"losses.{name}")
    for prefix, family in (("latent.", Latent), ("train.optimizer.", Optimizer), ("data.", Dataset)):
        for cls in Shape("family", family).variants.values():
            note(prefix, cls, fields(cls))
    return found
