"""The JSON Schema of a spec, read off the parts: completion and hover texts in an editor."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

from pydantic import TypeAdapter

from aebuild.compile.annotations import Shape, fields, is_transparent, scalar_field
from aebuild.compile.losses import known_terms, provided_terms, shape_of_term
from aebuild.compile.spec import Losses, Spec, StageSpec
from aebuild.lang.families import Latent, Layer
from aebuild.lang.part import Part
from aebuild.lang.terms import Term
from aebuild.parts import discover

Json = dict[str, Any]


def schema() -> Json:
    """The schema of a spec file as JSON Schema 2020-12 with every sugared form."""
    discover()
    writer = _Writer()
    root = writer.fields_of(Spec)
    root["properties"]["extends"] = {"type": "string", "description": "another spec file whose values this one changes"}
    strict = root["properties"]
    loose = {key: {"anyOf": [whole, *writer.parts_of(key), {"type": "null"}], "description": whole["description"]}
             for key, whole in strict.items() if key != "extends"}
    root["properties"] = {key: {"description": whole["description"]} for key, whole in strict.items()}
    root |= {"if": {"required": ["extends"]}, "then": {"properties": loose}, "else": {"properties": strict}}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "aebuild spec", **root, "required": [],
            "$defs": writer.defs}


def schema_text() -> str:
    """The schema as the text of a file."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _meaning(key: str) -> str:
    """What a term under `losses` is, and who provides it."""
    if key == "reconstruction":
        return "how a reconstruction is judged"
    shape = shape_of_term(key)
    if shape.kind == "family":
        return "; ".join(f"{name}: {_first_sentence(cls)}" for name, cls in shape.variants.items())
    owners = [name for name, cls in Latent.variants.items() if key in getattr(cls, "terms", {})]
    return f"weight of the term `{key}` of a latent of type {' or '.join(owners)}"


def _first_sentence(cls: type[Part]) -> str:
    return (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ")


def _choices(variants: Mapping[str, type[Part]]) -> Json:
    """Bare names, each with its meaning where the editor shows it."""
    return {"enum": list(variants), "markdownEnumDescriptions": [_first_sentence(cls) for cls in variants.values()]}


class _Writer:
    def __init__(self) -> None:
        self.defs: Json = {}

    def ref(self, name: str, make: Any) -> Json:
        """A reference to a definition, written once; the name is taken first, since parts may contain their own family."""
        if name not in self.defs:
            self.defs[name] = {}
            made = make()
            self.defs[name] = {"title": name.rpartition(":")[2], **made} if made.get("type") == "object" else made
        return {"$ref": f"#/$defs/{name}"}

    def parts_of(self, key: str) -> list[Json]:
        """A few keys of a part whose `type` or `layer` stands in the file that this one extends."""
        shape = fields(Spec)[key][1]
        families: list[type[Part]] = [Layer, StageSpec] if shape.kind in ("stage", "stage_or_family") else []
        if shape.part is not None and shape.kind in ("family", "stage_or_family"):
            families.append(shape.part)
        merged: dict[str, list[Json]] = {}
        for part in families:
            for cls in part.variants.values() if part.variants else [part]:
                found = self.block_fields(cls) if part is Layer else self.fields_of(cls)["properties"]
                for name, value in found.items():
                    if value not in merged.setdefault(name, []):
                        merged[name].append(value)
        properties = {name: values[0] if len(values) == 1 else {"anyOf": values} for name, values in merged.items()}
        return [{"type": "object", "properties": properties, "additionalProperties": False}] if properties else []

    def fields_of(self, cls: type[Part], leave_out: tuple[str, ...] = ()) -> Json:
        """An object with the part's fields."""
        properties, required = {}, []
        for key, (name, shape) in fields(cls).items():
            if key in leave_out:
                continue
            info = cls.model_fields[name]
            properties[key] = {**self.value(shape, cls, name), "description": info.description or ""}
            if info.is_required():
                required.append(key)
        found: Json = {"type": "object", "description": _first_sentence(cls), "properties": properties, "additionalProperties": False}
        if sometimes := cls.still_missing({}):
            found |= {"if": {"not": {"required": [cls.decider]}}, "then": {"required": list(sometimes)}}
        return {**found, "required": required} if required else found

    def value(self, shape: Shape, cls: type[Part], name: str) -> Json:
        """What may be written for a field of this shape."""
        found = self.of_shape(shape) if shape.kind not in ("plain", "union") else self.plain(cls, name, shape)
        return {"anyOf": [found, {"enum": ["none", None]}]} if shape.optional and shape.kind != "plain" else found

    def of_shape(self, shape: Shape) -> Json:
        if shape.kind == "family":
            return self.family(shape)
        if shape.kind == "record":
            return self.record(shape.part)  # type: ignore[arg-type]
        if shape.kind in ("stage", "stage_or_family"):
            stage = self.ref("stage", self.stage)
            return {"anyOf": [self.family(Shape("family", shape.part)), stage]} if shape.kind == "stage_or_family" else stage
        assert shape.inner is not None
        if shape.kind == "dict":
            return {"type": "object", "additionalProperties": self.of_shape(shape.inner)}
        if shape.inner.part is Layer:
            return self.ref("stage", self.stage)
        return {"type": "array", "items": self.item(shape.inner)}

    def plain(self, cls: type[Part], name: str, shape: Shape) -> Json:
        """A plain value, as pydantic describes it; a dial may also be a schedule."""
        if shape.kind == "union":
            ramp = next(other for other in shape.others if other.kind == "record")
            one = self.record(ramp.part)  # type: ignore[arg-type]
            return {"anyOf": [{"type": "number", "description": cls.model_fields[name].description}, one, {"type": "array", "items": one}]}
        info = cls.model_fields[name]
        found = TypeAdapter(cast(Any, info.annotation)).json_schema()
        for bound, key in (("ge", "minimum"), ("gt", "exclusiveMinimum"), ("le", "maximum"), ("lt", "exclusiveMaximum")):
            for rule in info.metadata:
                if getattr(rule, bound, None) is not None:
                    found[key] = getattr(rule, bound)
        if not info.is_required() and info.default is not None and isinstance(info.default, str | int | float | bool):
            found["default"] = info.default
        return found

    def record(self, cls: type[Part]) -> Json:
        """A mapping of fields, or a scalar for the first one."""
        if cls is Losses:
            return self.ref("losses", self.losses)
        if cls.wraps is not None:
            return self.ref(cls.__name__, lambda: self.wrapper(cls, cls.wraps or ""))
        object_ = self.ref(cls.__name__, lambda: self.fields_of(cls))
        first = scalar_field(cls)
        if first is None or cls is Spec:
            return object_
        key, shape = first
        return {"anyOf": [object_, self.value(shape, cls, fields(cls)[key][0])]}

    def wrapper(self, cls: type[Part], inside: str) -> Json:
        """A part around another: in full, or with its own keys among those of the other."""
        whole = self.fields_of(cls)
        own = {key: value for key, value in whole["properties"].items() if key != inside}
        alternatives: list[Json] = [whole]
        for name, member in fields(cls)[inside][1].variants.items():
            if member.listed == name or not (found := self.fields_of(member)):
                continue
            found = {**found, "properties": {**found["properties"], **own}}
            keyed = {"type": "object", "properties": {name: found, **own}, "required": [name], "additionalProperties": False}
            needed = ["type", *found.get("required", [])]
            alternatives += [keyed, {**found, "properties": {"type": {"const": name}, **found["properties"]}, "required": needed}]
        return {"anyOf": alternatives}

    def family(self, shape: Shape) -> Json:
        assert shape.part is not None
        name = f"{shape.part.family}{'.' + shape.key if shape.key else ''}"
        members = shape.variants.items()
        return self.ref(name, lambda: {"anyOf": [self.names(shape), *(self.variant(shape, n, c) for n, c in members), *self.sole(shape),
                                                 *self.lists(shape.variants.get(shape.part.listed or ""))]})

    def lists(self, cls: type[Part] | None) -> list[Json]:
        """The list that stands for this variant."""
        first = None if cls is None else scalar_field(cls)
        return [] if cls is None or first is None else [self.value(first[1], cls, fields(cls)[first[0]][0])]

    def sole(self, shape: Shape) -> list[Json]:
        """The scalar that stands for the only penalty of a key."""
        return self.lists(shape.default if shape.key else None)

    def names(self, shape: Shape) -> Json:
        """The bare names; data may also be a path."""
        if shape.part is not None and shape.part.family == "dataset":
            return {"anyOf": [_choices(shape.variants), {"type": "string", "pattern": "[/.]", "description": "a file or folder"}]}
        return _choices(shape.variants)

    def variant(self, shape: Shape, name: str, cls: type[Part]) -> Json:
        def make() -> Json:
            found = self.fields_of(cls)
            found["properties"] = {"type": {"const": name, "description": _first_sentence(cls)}, **found["properties"]}
            if shape.default is not cls and not (shape.part and shape.part.family == "dataset"):
                found["required"] = ["type", *found.get("required", [])]
            return found

        assert shape.part is not None
        return self.ref(f"{shape.part.family}{'.' + shape.key if shape.key else ''}:{name}", make)

    def item(self, inner: Shape) -> Json:
        """An entry of a list: a bare name, a mapping of one key, or a mapping with `type`."""
        if inner.kind != "family":
            return self.of_shape(inner)
        assert inner.part is not None

        def make() -> Json:
            keyed = {name: self.keyed(cls) for name, cls in inner.variants.items()}
            return {"anyOf": [_choices(inner.variants),
                              {"type": "object", "properties": keyed, "additionalProperties": False,
                               "minProperties": 1, "maxProperties": 1}]}

        return self.ref(f"{inner.part.family}-item", make)

    def keyed(self, cls: type[Part]) -> Json:
        """What stands behind `- name:`."""
        first = scalar_field(cls)
        alternatives = [self.ref(f"{cls.family}-fields:{cls.variant_name()}", lambda: self.fields_of(cls))]
        if first is not None:
            alternatives.append(self.value(first[1], cls, fields(cls)[first[0]][0]))
        if is_transparent(cls):
            alternatives.reverse()
        return {"description": _first_sentence(cls), "anyOf": [*alternatives, {"type": "null"}]}

    def stage(self) -> Json:
        """A list of layers, a block, or a mapping of steps."""
        layers = {"type": "array", "items": self.item(Shape("family", Layer)), "description": "layers in order"}
        steps = self.fields_of(StageSpec)
        steps["properties"]["steps"] = layers
        return {"anyOf": [layers, *(self.block(name, cls) for name, cls in Layer.variants.items()), steps]}

    def block(self, name: str, cls: type[Part]) -> Json:
        def make() -> Json:
            found = self.fields_of(cls)
            found["properties"] = {"layer": {"const": name, "description": _first_sentence(cls)}, **self.block_fields(cls)}
            found["required"] = ["layer"]      # no more: an editor offers only the layers that miss the fewest keys
            return found

        return self.ref(f"block:{name}", make)

    def block_fields(self, cls: type[Part]) -> Json:
        """What stands beside `layer` in a block."""
        own = self.fields_of(cls)["properties"]
        number = {"type": "integer", "minimum": 1}
        if "width" in own:
            own["width"] = {"description": "one width, one for each layer, or {from: a, to: b}",
                            "anyOf": [number, {"type": "array", "items": number},
                                      {"type": "object", "properties": {"from": number, "to": number}, "additionalProperties": False}]}
        return {"depth": {**number, "description": "number of layers"}, **own, **self.fields_of(StageSpec, ("steps",))["properties"]}

    def losses(self) -> Json:
        """Known terms by name, those that parts bring also with the number of a level behind; heads add their own."""
        properties = {key: {"description": _meaning(key), **self.of_shape(shape_of_term(key))} for key in sorted(known_terms())}
        levels = {f"^{key}_[0-9]+$": properties[key] for key in sorted(provided_terms())}
        return {"type": "object", "description": _first_sentence(Losses), "properties": properties, "patternProperties": levels,
                "additionalProperties": {"description": "weight of a head's term", **self.of_shape(Shape("record", Term))}}


