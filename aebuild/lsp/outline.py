"""What each value of a tree, sugar and all, is in the language: whose key it is, and what may stand there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from aebuild.compile.annotations import Shape, fields, scalar_field
from aebuild.compile.losses import known_terms, shape_of_term
from aebuild.compile.spec import Losses, Spec, StageSpec
from aebuild.lang.diagnostics import Span
from aebuild.lang.families import Layer
from aebuild.lang.part import Part
from aebuild.lang.tree import Tree

LAYERS = Shape("family", Layer)
BLOCK_KEYS = ("seed", "adapter", "skip")


@dataclass(frozen=True)
class Key:
    """A key of a mapping: the part that has it, the part's field, and what may stand there; `names` is the part that it is the word of."""

    owner: type[Part] | None = None
    field: str = ""
    shape: Shape | None = None
    names: type[Part] | None = None


@dataclass(frozen=True, eq=False)
class Spot:
    """A value, the step that leads to it and what it is; `parent` is the list or mapping around it."""

    tree: Tree
    key: Key
    step: str | int | None = None
    parent: Spot | None = field(default=None, repr=False)

    @property
    def path(self) -> tuple[str | int, ...]:
        """The steps from the root."""
        return () if self.parent is None or self.step is None else (*self.parent.path, self.step)

    @property
    def family(self) -> Mapping[str, type[Part]]:
        """The parts that a word may name here."""
        if self.parent is not None and self.step in ("type", "layer"):
            inside = self.parent.stage if self.step == "layer" else self.parent.shape
            return LAYERS.variants if self.step == "layer" and inside else _variants(inside)
        return _variants(self.shape)

    @property
    def shape(self) -> Shape | None:
        """What may stand here."""
        return self.key.shape

    @property
    def stage(self) -> Shape | None:
        """The shape of a stage, which may be a list of layers or a block."""
        shape = self.shape
        if shape is None:
            return None
        listed = shape.kind == "list" and shape.inner is not None and shape.inner.part is Layer
        return shape if listed or shape.kind in ("stage", "stage_or_family") else None

    @property
    def part(self) -> type[Part] | None:
        """The part that is written here, as far as it can be told."""
        shape, value = self.shape, self.tree.value
        if shape is None:
            return None
        if shape.kind == "union":
            shape = next((other for other in shape.others if other.kind == "record"), shape)
        if self.stage is not None and isinstance(value, dict) and "layer" in value:
            return LAYERS.variants.get(str(value["layer"].value), StageSpec)
        if isinstance(value, dict) and "type" in value and (found := _variants(shape).get(str(value["type"].value))):
            return found
        if shape.kind in ("stage", "stage_or_family"):
            return StageSpec
        if shape.kind == "record":
            return shape.part
        if shape.kind != "family":
            return None
        named = shape.variants.get(value) if isinstance(value, str) else None
        return named or shape.default

    def keys(self) -> dict[str, Key]:
        """The keys that a mapping may have here."""
        part, shape = self.part, self.shape
        if shape is not None and shape.kind == "family" and isinstance(self.step, int) and not self._typed:
            return {name: Key(shape=Shape("record", _known(shape, name)), names=_known(shape, name)) for name in shape.variants}
        found: dict[str, Key] = {}
        if part is Losses:
            return {name: Key(Losses, name if name in Losses.model_fields else "", shape_of_term(name)) for name in sorted(known_terms())}
        if part is not None:
            found = {key: Key(part, name, inner) for key, (name, inner) in fields(part).items()}
            if part.wraps is not None and part.wraps in found:
                found |= self._wrapped(part, found[part.wraps].shape)
        if self.stage is not None and part is not None and issubclass(part, Layer):
            stage = fields(StageSpec)
            found |= {key: Key(StageSpec, *stage[key]) for key in BLOCK_KEYS} | {"layer": Key(), "depth": Key()}
        elif self.stage is not None:
            found = {"layer": Key(), **found}
        if _variants(shape):
            found = {"type": Key(), **found}
        return found if part is not Spec else {**found, "extends": Key()}

    def _wrapped(self, part: type[Part], inside: Shape | None) -> dict[str, Key]:
        value = self.tree.value
        named = [name for name in value if name in _variants(inside)] if isinstance(value, dict) else []
        if named or inside is None:
            return {name: Key(shape=Shape("record", _variants(inside)[name]), names=_variants(inside)[name]) for name in named}
        other = inside.default
        return {} if other is None else {key: Key(other, *at) for key, at in fields(other).items() if key not in fields(part)}

    @property
    def _typed(self) -> bool:
        return isinstance(self.tree.value, dict) and "type" in self.tree.value

    def below(self) -> Iterator[Spot]:
        """What stands in this list or mapping."""
        shape = self.shape
        if isinstance(self.tree.value, dict):
            known = self.keys()
            free = Key(shape=shape.inner) if shape is not None and shape.kind == "dict" else Key()
            term = self.part is Losses
            for step, child in self.tree.value.items():
                yield Spot(child, known.get(step, Key(shape=shape_of_term(step)) if term else free), step, self)
        elif isinstance(self.tree.value, tuple):
            inner = self._items()
            for number, child in enumerate(self.tree.value):
                yield Spot(child, Key(shape=inner), number, self)

    def _items(self) -> Shape | None:
        shape = self.shape
        if shape is None or shape.kind == "list":
            return None if shape is None else shape.inner
        if self.stage is not None:
            return LAYERS
        if shape.kind == "record" and shape.part is not None and (first := scalar_field(shape.part)) is not None:
            return Spot(self.tree, Key(shape=first[1]))._items() if first[1].kind != "record" else None
        if shape.kind == "family" and shape.part is not None and shape.part.listed:
            listed = shape.variants.get(shape.part.listed)
            first = scalar_field(listed) if listed is not None else None
            return first[1].inner if first is not None else None
        return next((other.inner for other in shape.others if other.kind == "list"), None)

    def walk(self) -> Iterator[Spot]:
        """This value and all below it."""
        yield self
        for child in self.below():
            yield from child.walk()


def _variants(shape: Shape | None) -> Mapping[str, type[Part]]:
    if shape is None or shape.part is None or shape.kind not in ("family", "stage_or_family"):
        return {}
    return Shape("family", shape.part, key=shape.key).variants


def _known(shape: Shape, name: str) -> type[Part]:
    return shape.variants[name]


def root(tree: Tree) -> Spot:
    """The whole spec."""
    return Spot(tree, Key(shape=Shape("record", Spec)))


def spot_at(tree: Tree, line: int, column: int) -> tuple[Spot, bool] | None:
    """The innermost value at a place, and whether the place is on its key."""
    found: tuple[Spot, bool] | None = None
    spot: Spot | None = root(tree)
    while spot is not None:
        at, spot = spot, None
        for child in at.below():
            on_key = child.tree.key is not None and isinstance(child.step, str) and inside(child.tree.key, line, column)
            if on_key or inside(child.tree.span, line, column):
                found, spot = (child, on_key), None if on_key else child
                break
    return found


def inside(span: Span, line: int, column: int) -> bool:
    """True if the place lies in the span, its end included."""
    return (span.line, span.column) <= (line, column) <= (span.end_line, span.end_column)
