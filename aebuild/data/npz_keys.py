"""Which of a file's arrays are samples, labels and targets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aebuild.data.errors import fault, listed, shown, similar
from aebuild.data.formats.npy import Member
from aebuild.data.rules import DISAGREE, NO_SUCH_NAME, UNFIT
from aebuild.lang.diagnostics import Hint
from aebuild.lang.part import Part

SAMPLE_WORDS = ("x", "data", "images", "samples", "features", "series")
LABEL_WORDS = ("y", "label", "labels", "class", "classes", "target", "targets")
LENGTH_WORDS = ("lengths", "length")
PART_WORDS = {"train": "train", "val": "validation", "valid": "validation", "validation": "validation", "test": "test"}


@dataclass
class Found:
    """The arrays of each part; `lengths` say how many places of a series are real, `told` has the arrays of conditions by
    their names, `left` are those that were not used.
    """

    x: dict[str, Member] = field(default_factory=dict)
    labels: dict[str, Member] = field(default_factory=dict)
    target: dict[str, Member] = field(default_factory=dict)
    lengths: dict[str, Member] = field(default_factory=dict)
    told: dict[str, dict[str, Member]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)


def split_name(name: str) -> tuple[str, str]:
    """`x_train` and `train_x` as ("x", "train"); a name without a part belongs to train."""
    words = name.split("_")
    for at in (-1, 0):
        if len(words) > 1 and words[at].lower() in PART_WORDS:
            rest = words[:-1] if at else words[1:]
            return "_".join(rest), PART_WORDS[words[at].lower()]
    return ("", PART_WORDS[name.lower()]) if name.lower() in PART_WORDS else (name, "train")


def family(members: Mapping[str, Member], word: str) -> dict[str, Member]:
    """The arrays of one name over the parts: `x` is x, or x_train and x_test; a full name is itself."""
    found = {split_name(name)[1]: member for name, member in members.items() if split_name(name)[0] == word}
    return found or ({"train": members[word]} if word in members else {})


def find_arrays(members: Mapping[str, Member], path: Path, part: Part, chosen: str | None, label: str | None, target: str | None,
                lengths: str | None = None, told: Sequence[str] = ()) -> Found:
    """The arrays to read, by the spec's names or the usual ones; of those that are `told` as conditions what is there."""
    taken: set[str] = set()
    asked = _named(members, path, part, "array", chosen)
    found = Found(labels=_named(members, path, part, "label", label), target=_named(members, path, part, "target", target),
                  lengths=_named(members, path, part, "lengths", lengths))
    numbers = {name: member for name, member in members.items() if member.dtype.kind in "biuf"}
    found.told = {name: held for name in told if (held := family(numbers, name))}
    for held in (found.labels, found.target, found.lengths, *found.told.values()):
        taken |= {member.name for member in held.values()}
    found.x = asked or _samples(members, taken, path, part)
    taken |= {member.name for member in found.x.values()}
    if label is None:
        found.labels = _usual_labels(members, taken, found.x)
        taken |= {member.name for member in found.labels.values()}
    found.left = [name for name in members if name not in taken]
    _check(found, path, part)
    return found


def usual_lengths(members: Mapping[str, Member], found: Found) -> str | None:
    """The name of an array that nothing uses and that seems to say how many places of each sample are real."""
    for word in LENGTH_WORDS:
        held = {part: member for part, member in family({name: members[name] for name in found.left}, word).items() if part in found.x}
        if held and all(member.dtype.kind in "iu" and member.shape == found.x[part].shape[:1] for part, member in held.items()):
            return word
    return None


def _named(members: Mapping[str, Member], path: Path, part: Part, option: str, name: str | None) -> dict[str, Member]:
    if name is None:
        return {}
    if found := family(members, name):
        return found
    near = similar(name, members)
    raise fault(NO_SUCH_NAME, f"{shown(path)} has no array {shown(name)}; it has {_shapes(members)}", near and f"{option}: {near}",
                part=part, at=(option,))


def _shapes(members: Mapping[str, Member]) -> str:
    return listed([f"{name or 'one array'} {list(member.shape)}" for name, member in members.items()], 12) or "no array"


def _samples(members: Mapping[str, Member], taken: set[str], path: Path, part: Part) -> dict[str, Member]:
    free = {name: member for name, member in members.items() if name not in taken and member.dtype.kind in "biuf"}
    for word in SAMPLE_WORDS:
        for base in sorted({split_name(name)[0] for name in free}):
            if base.lower() == word and (found := family(free, base)):
                return found
    large = {name: member for name, member in free.items() if len(member.shape) > 1 or len(free) == 1}
    bases = {split_name(name)[0] for name in large}
    if len(bases) == 1:
        return family(large, bases.pop())
    problem = "no array that could be the samples" if not bases else "several arrays that could be the samples"
    raise fault(NO_SUCH_NAME, f"{shown(path)} has {problem}; it has {_shapes(members)}",
                f"array: {sorted(bases)[0]}" if bases else Hint("numpy.savez with x=..., and y=... for labels"), part=part, at=("path",))


def _usual_labels(members: Mapping[str, Member], taken: set[str], x: Mapping[str, Member]) -> dict[str, Member]:
    """Whole numbers or words under a usual name, one for each sample; numbers with fractions want to be named by `label`."""
    free = {name: member for name, member in members.items()
            if name not in taken and member.dtype.kind in "biuUS" and len(member.shape) in (1, 2) and member.shape[1:] in ((), (1,))}
    for word in LABEL_WORDS:
        for base in sorted({split_name(name)[0] for name in free}):
            if base.lower() == word:
                return {name: member for name, member in family(free, base).items() if name in x}
    return {}


def _check(found: Found, path: Path, part: Part) -> None:
    if "train" not in found.x:
        raise fault(NO_SUCH_NAME, f"{shown(path)} has no array of training samples, only of {listed(found.x)}", part=part, at=("path",))
    first = found.x["train"]
    for name, member in found.x.items():
        if member.shape[1:] != first.shape[1:]:
            raise fault(DISAGREE,
                        f"{member.label(path)} has shape {list(member.shape)}, but array {shown(first.name)} has {list(first.shape)}")
        if not member.shape:
            raise fault(UNFIT, f"{member.label(path)} is a single number; samples stand on the first axis")
        for what, held in (("labels", found.labels), ("targets", found.target), ("lengths", found.lengths), *found.told.items()):
            if name in held and held[name].shape[:1] != member.shape[:1]:
                raise fault(DISAGREE,
                            f"{held[name].label(path)} has {(held[name].shape or (1,))[0]:,} {what} for the {member.shape[0]:,} samples of "
                            f"{shown(member.name)}")
