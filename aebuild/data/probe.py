"""From what headers tell and the spec asks: the types, ranges and counts the rest gets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from aebuild.data.conditions import LABEL, NOTHING, PERIODS, Offered, described
from aebuild.data.errors import fault, shown
from aebuild.data.rules import BAD_LABELS, UNDECLARED, UNFIT
from aebuild.data.split import divide
from aebuild.lang.columns import Field
from aebuild.lang.dataset import Dataset, Labelled, OnDisk, OwnLabels, Pictured, Sampled, Tabular
from aebuild.lang.samples import ConditionInfo, ConditionKind, DataInfo, Factor
from aebuild.lang.values import Grid, Range, Tokens, Value

Bounds = tuple[float, float] | None
LEVELS: dict[str, Bounds] = {"bool": (0.0, 1.0), "uint8": (0.0, 255.0), "uint16": (0.0, 65535.0)}


@dataclass(frozen=True)
class Outline:
    """What the data are before `size`, `pad` and `scale`; `found` and `ragged` are those of a DataInfo.

    `counts` has the samples of the parts the data come in: train, and validation and test where they bring them
    along; `divided` says that a reader made these parts as the spec asked. `bounds` hold the raw values where the storage format says so.
    `fields` and `target_fields` are the columns of a table where they are not all plain numbers, `factors` what samples were made from.
    `offered` are the conditions that the data could give.
    """

    value: Value
    counts: dict[str, int | None]
    detected: str
    bounds: Bounds = None
    target: Value | None = None
    target_bounds: Bounds = None
    labelled: bool = False
    class_names: tuple[str, ...] | None = None
    columns: tuple[str, ...] | None = None
    target_columns: tuple[str, ...] | None = None
    divided: bool = False
    ragged: bool = False
    found: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = field(default=())
    fields: tuple[Field, ...] = ()
    target_fields: tuple[Field, ...] = ()
    factors: tuple[Factor, ...] = ()
    offered: Offered = NOTHING

    def told(self, note: str) -> Outline:
        """The same with a further sentence for the user."""
        return replace(self, notes=(*self.notes, note))


def plural(count: int, word: str) -> str:
    """A count and its noun."""
    ending = "" if count == 1 or word == "series" else "es" if word.endswith(("s", "x")) else "s"
    return f"{count:,} {word}{ending}"


def by_part(counts: Mapping[str, int | None]) -> str:
    """Each part's samples in words: 4,000 training and 1,000 test."""
    words = {"train": "training", "validation": "validation", "test": "test"}
    known = [f"{counts[part]:,}" + (f" {word}" if len(counts) > 1 else "") for part, word in words.items() if counts.get(part) is not None]
    return " and ".join([", ".join(known[:-1]), known[-1]] if len(known) > 1 else known)


def scale_of(part: Dataset, value: Value) -> str:
    """The scale asked for, else the type's usual one."""
    chosen = part.scale if isinstance(part, Sampled) else None
    return chosen or part.usual_scale(value)


def range_note(what: str, extent: tuple[float, float] | None, bounds: Bounds, scale: str) -> tuple[str, ...]:
    """Between which values data lie that are more than bytes, where that decides what becomes of them.

    Numbers without bounds are told always; those with bounds, if they fill less than half of them and are scaled by them.
    """
    if extent is None or (bounds is not None and (scale not in ("unit", "signed") or 2 * (extent[1] - extent[0]) >= bounds[1] - bounds[0])):
        return ()
    found = f"{what} hold values from {extent[0]:,.6g} to {extent[1]:,.6g}"
    if bounds is None:
        return (f"{found}, kept as they are" if scale in ("none", "integer") else
                f"{found}; `scale: {scale}` is fitted on the training samples",)
    return (f"{found}, and `scale: {scale}` goes by what their storage could hold, {bounds[0]:,.6g} to {bounds[1]:,.6g}: "
            "`scale: standard` goes by the training samples",)


def scaled_range(scale: str, bounds: Bounds, *, pixels: bool = False) -> Range:
    """The interval that scaled values lie in; of `pixels` the levels are known, which are whole numbers from 0 before they are scaled."""
    levels = int(bounds[1]) + 1 if pixels and bounds is not None and bounds[0] == 0 else None
    if scale == "unit":
        return Range(0.0, 1.0, levels=levels)
    if scale == "signed":
        return Range(-1.0, 1.0, levels=levels)
    if scale == "standard" or bounds is None:
        return Range(integer=scale == "integer")
    return Range(*bounds, integer=scale in ("integer", "tokens"))


def pictured(part: Dataset, value: Value) -> Value:
    """The type after `size` and `pad`; refuses them for what is no image."""
    if not isinstance(part, Pictured) or (part.wanted_size is None and not part.pad):
        return value
    asked = "pad" if part.wanted_size is None else "size"
    if value.axes != 2:
        raise fault(UNFIT, f"`{asked}` is for images, and these data are {value}", f"remove {asked}", part=part, at=(asked,))
    height, width = part.wanted_size or value.places
    return Grid(value.features, (height + 2 * part.pad, width + 2 * part.pad))


def describe(part: Dataset, outline: Outline) -> DataInfo:
    """What the rest gets, by the spec's options; refuses those that do not fit."""
    check_labels(part, outline.labelled)
    value = pictured(part, outline.value)
    scale = scale_of(part, value)
    bounds = replace(scaled_range(scale, outline.bounds, pixels=not value.columns), fields=outline.fields)
    target = value if outline.target is None else pictured(part, outline.target)
    aimed = bounds if outline.target is None else replace(scaled_range(scale, outline.target_bounds, pixels=not target.columns),
                                                                 fields=outline.target_fields)
    bounds, aimed = _binarized(part, scale, bounds), _binarized(part, scale, aimed)
    counts = divide(part, outline.counts, outline.divided)
    known = None if outline.class_names is None else len(outline.class_names)
    info = DataInfo(value, target, bounds, aimed, scale, shortened(part, counts), outline.detected, outline.labelled,
                    known or declared_classes(part), outline.class_names, outline.columns, outline.target_columns, outline.ragged,
                    outline.factors, *described(part, outline.labelled, outline.offered), dict(outline.found), outline.notes)
    _hold_to_declared(part, info)
    return info


def _binarized(part: Dataset, scale: str, bounds: Range) -> Range:
    """Of zeros and ones where `binarize` asks for them; refuses what is no share."""
    if not isinstance(part, Pictured) or part.binarize is None:
        return bounds
    if scale != "unit":
        raise fault(UNFIT, f"`binarize` draws from values in [0, 1], and these are {bounds}", "scale: unit", part=part, at=("binarize",))
    return replace(bounds, levels=2)


def declared_classes(part: Dataset) -> int | None:
    """The number of classes that the spec declares."""
    return part.classes if isinstance(part, OwnLabels) else None


def shortened(part: Dataset, counts: dict[str, int | None]) -> dict[str, int | None]:
    """The counts after `exclude` (unknown before the labels are read) and `limit`."""
    left = dict(counts)
    if isinstance(part, Labelled) and part.exclude is not None:
        left |= {"train": None, "validation": None}
    train = left["train"]
    if isinstance(part, Sampled) and part.limit is not None and train is not None:
        left["train"] = min(part.limit, train)
    if isinstance(part, Labelled):
        check_known(part, left["train"])
    return left


def check_labels(part: Dataset, labelled: bool) -> None:
    """Refuses options about labels where there are none."""
    if labelled or not isinstance(part, Labelled):
        return
    for option in ("exclude", "labels", "classes"):
        if getattr(part, option, None) is not None:
            raise fault(UNFIT, f"`{option}` is for data with labels, and these have none", f"remove {option}", part=part, at=(option,))


def check_known(part: Labelled, train: int | None) -> None:
    """Refuses more known labels than training samples."""
    if part.labels is not None and train is not None and part.labels > train:
        raise fault(BAD_LABELS, f"`labels: {part.labels}` asks for more known labels than there are training samples ({train:,})",
                    f"labels: {train}", part=part, at=("labels",))


def declared(part: OnDisk, target: Value | None = None, *, bounds: Bounds = None, labelled: bool = False, ragged: bool = False) -> DataInfo:
    """What a spec with `shape` says of its data; nothing is read."""
    value = declared_value(part)
    scale = scale_of(part, value)
    values = _binarized(part, scale, scaled_range(scale, bounds, pixels=not value.columns))
    return DataInfo(value, target or value, values, values, scale, {"train": None, "validation": None, "test": None},
                    f"{value} as declared by `shape`; nothing was read", labelled, declared_classes(part), ragged=ragged,
                    conditions=described(part, labelled, declared_conditions(part))[0])


def declared_conditions(part: Dataset) -> Offered:
    """Columns as conditions where nothing is read: plain numbers, but for the hands of a clock."""
    if not isinstance(part, Tabular):
        return NOTHING
    hands: dict[str, ConditionKind] = {hand: hand for hand in PERIODS}
    return Offered(tuple(ConditionInfo(name, hands.get(name, "number")) for name in part.asked if name != LABEL))


def declared_value(part: OnDisk) -> Value:
    """The type that `shape` means: two numbers are a sequence, or a waveform where `as: grid` says so."""
    shape = tuple(part.shape or ())
    if len(shape) == 2 and getattr(part, "kind", None) == "grid":
        return Grid(shape[0], shape[1:])
    if getattr(part, "kind", None) == "tokens":
        return Tokens(shape[0], part.vocabulary)  # type: ignore[attr-defined]
    return part.type_of(shape)


def _hold_to_declared(part: Dataset, found: DataInfo) -> None:
    """Refuses data that are not what the spec declares of them."""
    if isinstance(part, OnDisk) and part.shape is not None and declared_value(part) != found.value:
        raise fault(UNDECLARED, f"`shape` declares {declared_value(part)}, but the data are {found.value}",
                    f"shape: {list(found.value.shape)}", part=part, at=("shape",))
    told = next((each for each in (*found.range.fields, *found.target_range.fields) if each.kind != "number"), None)
    if isinstance(part, OnDisk) and part.shape is not None and told is not None:
        raise fault(UNDECLARED, f"`shape` declares plain numbers, but column {shown(told.name)} is more than one", "remove shape",
                    part=part, at=("shape",))
    if isinstance(part, OnDisk) and part.shape is not None:
        wanted = {each.name: each.kind for each in declared_conditions(part).asked}
        for each in found.conditions:
            if wanted.get(each.name, each.kind) != each.kind:
                message = f"`shape` declares the condition {shown(each.name)} as a {wanted[each.name]}, but it is a {each.kind}"
                raise fault(UNDECLARED, message, "remove shape", part=part, at=("shape",))
    classes = declared_classes(part)
    if classes is not None and found.class_names is not None and len(found.class_names) != classes:
        raise fault(UNDECLARED, f"`classes` declares {classes}, but the labels have {plural(len(found.class_names), 'class')}",
                    f"classes: {len(found.class_names)}", part=part, at=("classes",))
