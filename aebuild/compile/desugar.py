"""Sugar to long form: every part a mapping with `type`, so that files can be merged and bound."""

from __future__ import annotations

from collections.abc import Callable, Collection

from aebuild.compile.annotations import Shape, fields, is_transparent, scalar_field
from aebuild.compile.losses import shape_of_term
from aebuild.compile.spec import Losses, Spec
from aebuild.lang.dataset import Dataset
from aebuild.lang.part import Part
from aebuild.lang.source import Tree

Detect = Callable[[Tree, Collection[str]], str]


def lengthen(tree: Tree, detect: Detect | None = None) -> Tree:
    """The long form of a whole spec; what is malformed stays as it is, for the binder to report.

    `detect` names the dataset variant for a path and the keys beside it; without it data that are named by their path stay
    without a type, since another file or a setting may yet change the path.
    """
    return _Lengthener(detect).record(tree, Spec)


def lengthen_fields(options: dict[str, Tree], cls: type[Part]) -> dict[str, Tree]:
    """The long form of some fields of a part."""
    known = fields(cls)
    walker = _Lengthener(None)
    return {key: walker.value(child, known[key][1]) for key, child in options.items()}


def mapping(entries: dict[str, Tree], like: Tree) -> Tree:
    """A mapping that stands where another value was written."""
    return Tree(entries, like.span, like.key)


class _Lengthener:
    def __init__(self, detect: Detect | None) -> None:
        self.detect = detect

    def value(self, tree: Tree, shape: Shape) -> Tree:
        if shape.optional and tree.value == "none":
            return tree
        if shape.kind == "family":
            return self.variant(tree, shape)
        if shape.kind == "record":
            assert shape.part is not None
            return self.record(tree, shape.part)
        if shape.kind in ("stage", "stage_or_family"):
            return self.stage(tree, shape)
        if shape.kind == "list" and shape.inner is not None:
            return self.items(tree, shape.inner)
        if shape.kind == "dict" and shape.inner is not None and isinstance(tree.value, dict):
            inner = shape.inner
            return mapping({key: self.value(child, inner) for key, child in tree.value.items()}, tree)
        return tree

    def record(self, tree: Tree, cls: type[Part]) -> Tree:
        """A part's fields made long; a scalar fills the first field."""
        if not isinstance(tree.value, dict):
            first = scalar_field(cls)
            if first is None or tree.value is None or cls in (Spec, Losses):
                return tree
            return mapping({first[0]: self.value(Tree(tree.value, tree.span, None), first[1])}, tree)
        if cls.wraps is not None and cls.wraps not in tree.value:
            return self.record(self.unwrapped(tree, cls, cls.wraps), cls)
        known = fields(cls)
        entries = {}
        for key, child in sorted(tree.value.items(), key=lambda entry: entry[0] == "losses"):       # which the parts give their meanings
            if cls is Losses:
                entries[key] = self.value(child, shape_of_term(key))
            else:
                entries[key] = self.value(child, known[key][1]) if key in known else child
        return mapping({key: entries[key] for key in tree.value}, tree)

    def unwrapped(self, tree: Tree, cls: type[Part], inside: str) -> Tree:
        """A part's own keys apart from those of the part that it wraps, below whose name they may stand."""
        assert isinstance(tree.value, dict)
        known, entries = fields(cls), dict(tree.value)
        shape = known[inside][1]
        own = {key: entries.pop(key) for key in [*entries] if key in known}
        name = next(iter(entries), "")
        if len(entries) != 1 or name not in shape.variants:
            return mapping({**own, inside: Tree(entries, tree.span, None)}, tree)
        below = entries[name]
        if isinstance(below.value, dict):
            own |= {key: child for key, child in below.value.items() if key in known}
            below = mapping({key: child for key, child in below.value.items() if key not in known}, below)
        return mapping({**own, inside: self.one_key(Tree({name: below}, below.span, None), shape)}, tree)

    def variant(self, tree: Tree, shape: Shape, *, item: bool = False) -> Tree:
        """One member of a family: a bare name, a mapping with `type`, or in lists a mapping of one key."""
        value = tree.value
        listed = shape.variants.get(shape.part.listed or "") if shape.part is not None and isinstance(value, tuple) else None
        if listed is not None and (first := scalar_field(listed)) is not None:
            long = mapping({first[0]: self.value(Tree(value, tree.span, None), first[1])}, tree)
            return mapping({"type": Tree(listed.variant_name(), tree.span, None), **long.value}, tree)  # type: ignore[dict-item]
        if isinstance(value, str):
            if shape.part is Dataset and ("/" in value or "." in value):
                return self.data(mapping({"path": Tree(value, tree.span, None)}, tree))
            return tree if shape.optional and value == "none" else mapping({"type": tree}, tree)
        if isinstance(value, dict):
            return self.variant_mapping(tree, value, shape, item)
        if value is not None and shape.default is not None:
            long = self.record(tree, shape.default)
            kind = Tree(shape.default.variant_name(), tree.span, None)
            return mapping({"type": kind, **long.value}, tree) if isinstance(long.value, dict) else tree
        return tree

    def variant_mapping(self, tree: Tree, value: dict[str, Tree], shape: Shape, item: bool) -> Tree:
        if "type" in value:
            cls = shape.variants.get(str(value["type"].value))
            return self.record(tree, cls) if cls else tree
        if shape.part is Dataset and "path" in value:
            return self.data(tree)
        if item and len(value) == 1:
            return self.one_key(tree, shape)
        return self.record(tree, shape.default) if shape.default else tree

    def data(self, tree: Tree) -> Tree:
        assert isinstance(tree.value, dict)
        if self.detect is None:
            return tree
        kind = self.detect(tree.value["path"], tree.value)
        long = mapping({"type": Tree(kind, tree.value["path"].span, None), **tree.value}, tree)
        cls = Dataset.variants.get(kind)
        return self.record(long, cls) if cls else long

    def one_key(self, tree: Tree, shape: Shape) -> Tree:
        assert isinstance(tree.value, dict)
        (name, inner), = tree.value.items()
        cls = shape.variants.get(name)
        type_tree = Tree(name, inner.key or inner.span, inner.key)
        if cls is None or inner.value is None:
            extra = inner.value if isinstance(inner.value, dict) else {}
            return mapping({"type": type_tree, **extra}, tree)
        first = scalar_field(cls)
        whole = isinstance(inner.value, dict) and not (is_transparent(cls) and "type" in inner.value)
        if whole or first is None:
            long = self.record(inner, cls)
            if not isinstance(long.value, dict):
                return mapping({"type": type_tree, "": inner}, tree)
        else:
            long = mapping({first[0]: self.value(Tree(inner.value, inner.span, None), first[1])}, tree)
        assert isinstance(long.value, dict)
        return mapping({"type": type_tree, **long.value}, tree)

    def items(self, tree: Tree, inner: Shape) -> Tree:
        """A list of parts; a stage's block form may stand for a list of layers."""
        if not isinstance(tree.value, tuple):
            return tree
        items = [self.variant(child, inner, item=True) if inner.kind == "family" else self.value(child, inner) for child in tree.value]
        return Tree(tuple(items), tree.span, tree.key)

    def stage(self, tree: Tree, shape: Shape) -> Tree:
        """A stage as a mapping: of `steps`, or in block form; or a recipe by name."""
        from aebuild.lang.families import Layer

        layers = Shape("list", inner=Shape("family", Layer))
        if isinstance(tree.value, tuple):
            return mapping({"steps": self.value(Tree(tree.value, tree.span, None), layers)}, tree)
        if isinstance(tree.value, dict):
            if shape.kind == "stage_or_family" and "type" in tree.value:
                return self.variant(tree, Shape("family", shape.part))
            if "steps" in tree.value:
                return mapping({**tree.value, "steps": self.value(tree.value["steps"], layers)}, tree)
            return tree
        if shape.kind == "stage_or_family" and isinstance(tree.value, str):
            return self.variant(tree, Shape("family", shape.part))
        return tree
