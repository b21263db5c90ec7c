"""Long trees to frozen parts; every mistake becomes a diagnostic at its place."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from aebuild.compile import unknown_words
from aebuild.compile.annotations import Shape, counts, fields, required, tuples
from aebuild.compile.bind_errors import Blame
from aebuild.compile.block import expand_block
from aebuild.compile.desugar import lengthen_fields, mapping
from aebuild.compile.losses import shape_of_term
from aebuild.compile.spec import Losses, Spec, StageSpec
from aebuild.compile.wording import family_name
from aebuild.lang.diagnostics import Diagnostic
from aebuild.lang.families import Activation, Layer, Norm
from aebuild.lang.part import Origin, Part
from aebuild.lang.source import Tree


def bind(tree: Tree) -> tuple[Spec | None, list[Diagnostic]]:
    """The spec of a long tree, or None and what is wrong with it."""
    binder = _Binder()
    spec = binder.record(tree, Spec, "")
    if not isinstance(spec, Spec):
        return None, binder.blame.found
    spec.data.asked_for(spec.condition, {name: head for head in spec.heads.values() for name in head.columns})
    return spec, binder.blame.found


LARGEST = 2**31 - 1          # of a number that counts something: sizes made of several stay within 64 bits, or are seen to be absurd


class _Binder:
    def __init__(self) -> None:
        self.blame = Blame()
        self.known: dict[tuple[object, ...], Part] = {}          # layers of plain values, of which deep specs have the same again and again

    def value(self, tree: Tree, shape: Shape, path: str) -> Any:
        if shape.optional and (tree.value is None or tree.value == "none"):
            return None
        if shape.kind == "family":
            return self.variant(tree, shape, path)
        if shape.kind == "record":
            assert shape.part is not None
            return self.record(tree, shape.part, path)
        if shape.kind in ("stage", "stage_or_family"):
            return self.stage(tree, shape, path)
        if shape.kind == "list":
            return self.items(tree, shape, path)
        if shape.kind == "dict":
            return self.entries(tree, shape, path)
        if shape.kind == "union":
            return self.union(tree, shape, path)
        return tree.plain()

    def variant(self, tree: Tree, shape: Shape, path: str) -> Any:
        """The member of a family that `type` names."""
        if not isinstance(tree.value, dict):
            return self.blame.kind(tree, f"{'an' if family_name(shape)[0] in 'aeiou' else 'a'} {family_name(shape)}", path, shape)
        chosen = tree.value.get("type")
        if chosen is None:
            if shape.default is None:
                return self.blame.no_type(tree, shape, path)
            return self.record(tree, shape.default, path)
        cls = shape.variants.get(chosen.value) if isinstance(chosen.value, str) else None
        if cls is None:
            before = len(self.blame.found)
            meant = self.blame.unknown_variant(chosen, shape, path)
            if meant is not None:
                known = {key: child for key, child in tree.value.items() if key in fields(meant)}
                self.record(mapping({**tree.value, **lengthen_fields(known, meant)}, tree), meant, path)
                self.blame.forget_missing(path, before)
            return Blame.BAD
        return self.record(tree, cls, path)

    def record(self, tree: Tree, cls: type[Part], path: str) -> Any:
        """A part from a mapping; children first, then the part's own rules."""
        if not isinstance(tree.value, dict):
            return self.blame.kind(tree, "a mapping of keys", path, Shape("record", cls))
        if cls is Losses:
            return self.losses(tree, path)
        known = fields(cls)
        values: dict[str, Any] = {}
        for key, child in tree.value.items():
            below = f"{path}.{key}" if path else key
            if key == "type":
                if cls.variant_name() is None:
                    self.blame.unknown_key(child, key, cls, below)
            elif key not in known:
                self.blame.unknown_key(child, key, cls, below, beside=tree.value)
            elif (huge := _huge(child)) is not None and counts(cls, known[key][0]):
                values[key] = self.blame.say("bound", f"{key} must be at most {LARGEST:,}, not {huge.value:,}", huge, below, None)
            else:
                values[key] = self.value(child, known[key][1], below)
        missing = [key for key in required(cls) if key not in values]
        missing += [key for key in cls.still_missing(values) if key not in tree.value or tree.value[key].value is None]
        for key in missing:
            self.blame.missing(tree, key, cls, path)
        if missing or any(value is Blame.BAD for value in values.values()):
            self.check_alone(cls, values, tree, path)
            return Blame.BAD
        return self.make(cls, values, tree, path)

    def make(self, cls: type[Part], values: dict[str, Any], tree: Tree, path: str) -> Any:
        """The validated part, remembering where it was written."""
        same = _outline(cls, values)
        part = self.known.get(same) if same is not None else None
        if part is not None:
            return part.model_copy().placed(origin_of(tree, cls))
        try:
            part = cls.model_validate(_tuples(cls, values))
        except ValidationError as error:
            self.blame.invalid(error, tree, cls, path)
            return Blame.BAD
        if same is not None:
            self.known[same] = part
        return part.placed(origin_of(tree, cls))

    def check_alone(self, cls: type[Part], values: dict[str, Any], tree: Tree, path: str) -> None:
        """Validates what could be read although the part is incomplete, so that one run reports everything."""
        usable = {key: value for key, value in values.items() if value is not Blame.BAD}
        try:
            cls.model_validate(_tuples(cls, usable))
        except ValidationError as error:
            self.blame.invalid(error, tree, cls, path, only=set(usable))

    def losses(self, tree: Tree, path: str) -> Any:
        assert isinstance(tree.value, dict)
        terms: dict[str, Any] = {}
        values: dict[str, Any] = {"terms": terms}
        for key, child in tree.value.items():
            bound = self.value(child, shape_of_term(key), f"{path}.{key}")
            if key in fields(Losses) and key != "terms":
                values[key] = bound
            else:
                terms[key] = bound
        if any(value is Blame.BAD for value in (*values.values(), *terms.values())):
            return Blame.BAD
        return self.make(Losses, values, tree, path)

    def items(self, tree: Tree, shape: Shape, path: str) -> Any:
        inner = shape.inner
        assert inner is not None
        if isinstance(tree.value, dict) and inner.part is Layer:
            stage = self.stage(tree, Shape("stage", StageSpec), path)
            return stage.steps if isinstance(stage, StageSpec) else Blame.BAD
        if not isinstance(tree.value, tuple):
            return self.blame.kind(tree, "a list", path, shape)
        bound = [self.value(child, inner, f"{path}.{i}") for i, child in enumerate(tree.value)]
        return Blame.BAD if any(value is Blame.BAD for value in bound) else bound

    def entries(self, tree: Tree, shape: Shape, path: str) -> Any:
        inner = shape.inner
        assert inner is not None
        if not isinstance(tree.value, dict):
            return self.blame.kind(tree, "a mapping of names", path, shape)
        bound = {key: self.value(child, inner, f"{path}.{key}") for key, child in tree.value.items()}
        return Blame.BAD if any(value is Blame.BAD for value in bound.values()) else bound

    def union(self, tree: Tree, shape: Shape, path: str) -> Any:
        """A mapping is the record among the alternatives, a list the list; anything else is a plain value."""
        for other in shape.others:
            if isinstance(tree.value, dict) and other.kind == "record" or isinstance(tree.value, tuple) and other.kind == "list":
                return self.value(tree, other, path)
        return tree.plain()

    def stage(self, tree: Tree, shape: Shape, path: str) -> Any:
        """A stage: a mapping of `steps`, a block, or a recipe."""
        if not isinstance(tree.value, dict):
            return self.blame.kind(tree, "a list of layers or a block like {layer: conv, width: 64}", path, shape)
        if "type" in tree.value and shape.kind == "stage_or_family" and _of_family(tree.value["type"].value, shape):
            return self.variant(tree, Shape("family", shape.part), path)
        if "layer" in tree.value:
            expanded = expand_block(tree, path, self.blame)
            return self.record(expanded, StageSpec, path) if expanded else Blame.BAD
        if "steps" not in tree.value:
            return self.blame.no_layer(tree, path)
        return self.record(tree, StageSpec, path)


def _of_family(word: Any, shape: Shape) -> bool:
    """True of a recipe's word, and of one that is no layer's either."""
    return isinstance(word, str) and word in shape.variants or not unknown_words.layer(word)


def _huge(tree: Tree) -> Tree | None:
    """A whole number that is too large to count anything, alone or in a list."""
    if isinstance(tree.value, tuple):
        return next((huge for child in tree.value if (huge := _huge(child)) is not None), None)
    return tree if isinstance(tree.value, int) and abs(tree.value) > LARGEST else None


def _outline(cls: type[Part], values: dict[str, Any]) -> tuple[object, ...] | None:
    """What tells a layer of plain values from others, 1 from 1.0 and from true among them; None of anything else."""
    if not issubclass(cls, _REPEATED) or any(type(value) not in _PLAIN for value in values.values()):
        return None
    return cls, *[(key, type(value), value) for key, value in values.items()]


_REPEATED = (Layer, Activation, Norm)
_PLAIN = frozenset({int, float, str, bool, type(None)})


def _tuples(cls: type[Part], values: dict[str, Any]) -> dict[str, Any]:
    """Plain lists as tuples where the field is a tuple; YAML has only lists."""
    listed = tuples(cls)
    return {key: tuple(value) if key in listed and isinstance(value, list) else value for key, value in values.items()}


def origin_of(tree: Tree, cls: type[Part]) -> Origin:
    """Where the part and each of its fields were written."""
    assert isinstance(tree.value, dict)
    known = fields(cls)
    return Origin(tree.span, {known[key][0] if key in known else key: child.span for key, child in tree.value.items()}, key=tree.key)


