"""What differs between two specs, and what that means for a training that has begun."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from aebuild.compile.annotations import fields
from aebuild.compile.canonical import plain
from aebuild.compile.spec import Losses, StageSpec
from aebuild.lang.part import Part

if TYPE_CHECKING:
    from aebuild.compile.plan import Plan

Kind = Literal["structure", "maths", "harmless"]
HARMLESS = ("name", "description", "allow", "budget", "train.device", "train.keep", "train.speed", "train.recompute")
SHAPING = ("layer", "activation", "norm", "adapter", "latent", "posterior", "quantizer", "decoder", "codebook_update", "optimizer", "phase")
"""Families of which another member means other weights, or another state of training."""
FREE = ("lr", "weight_decay", "schedule", "eps")      # an optimiser's options that need no state of their own


@dataclass(frozen=True)
class Change:
    """One value that differs: its path, what it was and is, and what may be done about it."""

    path: str
    old: str
    new: str
    kind: Kind

    def __str__(self) -> str:
        return f"{self.path}: {self.old} -> {self.new}"


def differences(old: Plan, new: Plan) -> list[Change]:
    """Every value in which the specs of two plans differ, in the order of the spec.

    *structure*: the weights or the optimisers' states would not fit. *maths*: they fit, but training goes another way.
    *harmless*: the weights come out the same.
    """
    found = [Change(path, _told(before), _told(after), _kind(path, before, after, effect))
             for path, before, after, effect in _walk("", old.spec, new.spec, "")]
    if structure(old) != structure(new) and not any(change.kind == "structure" for change in found):
        return [replace(change, kind="structure") if change.kind == "maths" else change for change in found]
    return found


def structure(plan: Plan) -> Any:
    """What a checkpoint's tensors must fit: weights, types, phases, players, kinds of optimisers."""
    weights = {f"{node.path}.{name}": shape for node in plan.nodes() for name, shape in {**node.weights, **node.buffers}.items()}
    phases = [(phase.name, phase.pair, [(player.name, player.modules, player.optimizer.variant_name()) for player in phase.players])
              for phase in plan.phases]
    return weights, plan.output.weights, str(plan.input), str(plan.target), str(plan.latent.code), phases


def _kind(path: str, old: Any, new: Any, effect: str) -> Kind:
    if effect == "evaluation" or any(path == name or path.startswith(f"{name}.") for name in HARMLESS):
        return "harmless"
    return "structure" if effect == "graph" else "maths"


def _walk(path: str, old: Any, new: Any, effect: str) -> Iterator[tuple[str, Any, Any, str]]:
    """(path, old, new, what it affects) of every value that differs."""
    if isinstance(old, Part) and type(old) is type(new):
        for key, (name, _) in fields(type(old)).items():
            before, after = getattr(old, name), getattr(new, name)
            here = path if (key == "steps" and isinstance(old, StageSpec)) or (key == "terms" and isinstance(old, Losses)) \
                else f"{path}.{key}".lstrip(".")
            yield from _walk(here, before, after, _effect(old, name, before, after, effect))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and any(isinstance(item, Part) for item in old):
        for index, (before, after) in enumerate(zip(old, new, strict=True)):
            yield from _walk(f"{path}.{index}", before, after, effect)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _walk(f"{path}.{key}", old.get(key), new.get(key), effect)
    elif old != new or type(old) is not type(new):
        shaping = any(isinstance(part, Part) and part.family in SHAPING for part in _items(old) + _items(new))
        yield path, old, new, "graph" if shaping and not (old is None or new is None) else effect


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _effect(part: Part, name: str, old: Any, new: Any, effect: str) -> str:
    extra = type(part).model_fields[name].json_schema_extra
    own = str(extra["affects"]) if isinstance(extra, dict) and "affects" in extra else effect
    if part.family == "optimizer" and name not in FREE and bool(old) != bool(new):
        return "graph"                   # switched on or off: its state would be missing
    return own


def _told(value: Any) -> str:
    if isinstance(value, list):
        return json.dumps([_plain(item) for item in value], ensure_ascii=False)
    told = _plain(value)
    return told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Part):
        return plain(value)
    return "none" if value is None else value
