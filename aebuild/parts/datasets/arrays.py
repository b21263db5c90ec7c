"""Arrays in an .npz or .npy file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from aebuild.data.axes import Layout, interpret, usual_kind
from aebuild.data.condition_arrays import array_condition, asked_arrays, with_conditions
from aebuild.data.conditions import Offered
from aebuild.data.errors import blamed, fault, must_fit, shown
from aebuild.data.missing import check_holes
from aebuild.data.npz_keys import split_name
from aebuild.data.probe import LEVELS, Outline, by_part, declared, describe, range_note, scale_of
from aebuild.data.rules import DISAGREE, UNFIT
from aebuild.data.tokens import check_options, count_tokens, token_layout
from aebuild.lang.dataset import DataInfo, Divided, Gapped, OnDisk, OwnLabels, Pictured, Sampled, Streamable, Suggestion, Where
from aebuild.lang.diagnostics import Hint
from aebuild.lang.part import knob
from aebuild.lang.values import Sequence, Tokens, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.formats.npy import Member
    from aebuild.data.npz_keys import Found
    from aebuild.data.raw_samples import Raw, Samples


class Arrays(Sampled, Divided, OwnLabels, Pictured, Streamable, OnDisk, Gapped):
    """Samples in a file of arrays: x or x_train, x_val, x_test, with labels y likewise; never a pickle.

    The file is an .npz, .npy, .safetensors or .h5, or a folder of .npy files.

    [N, D] are vectors, [N, T, D] sequences (images where the values are bytes), more axes are images and volumes. With `as: tokens`
    [N, T] are whole numbers that name symbols.
    """

    type: Literal["arrays"] = "arrays"
    example = ("data: {type: arrays, path: x.npz, limit: 20, size: 9, pad: 1, labels: 12, label: y, classes: 3}\n"
               "---\n"
               "data: {type: arrays, path: x.npz, shape: [3, 6, 8], label: y, split: {test: 12}}\n"
               "---\n"
               "data: {type: arrays, path: x.npz, label: y, exclude: {label: [0, 1]}}\n"
               "---\n"
               "data: {type: arrays, path: text.npy, as: tokens, vocabulary: 9, limit: 30}\n"
               "encoder: [gru: 4]\n"
               "decoder: [gru: 4]\n"
               "losses: {reconstruction: categorical}")
    also = ("npz", "npy", "numpy", "safetensors", "hdf5", "h5")
    kind: Literal["vector", "sequence", "grid", "tokens"] | None = Field(
        None, alias="as", description="what the samples are, where it is not what their axes suggest",
        json_schema_extra={"affects": "data"})
    channels: Literal["first", "last"] | None = knob(
        None,
        "where channels or features stand: [N, C, ...] or [N, ..., C] (default: last for sequences; for images the axis of 1, 3 or 4)",
        affects="data")
    array: str | None = knob(None, "name of the samples' array, without _train or _test (default: x, X, data, ... or the only one)",
                             affects="data", min_length=1)
    label: str | None = knob(None, "name of the labels' array (default: y, label, labels, ... of whole numbers or words)", affects="data",
                             min_length=1)
    target: str | None = knob(None, "name of the array to reconstruct instead of the input", affects="data", min_length=1)
    lengths: str | None = knob(
        None, "name of the array [N] of whole numbers that says how many places of each series are real, where they are padded at the end",
        affects="data", min_length=1)
    vocabulary: int | None = knob(
        None, "how many different tokens there are, with `as: tokens` (default: one more than the largest, for which the array is read)",
        affects="data", ge=2)

    missing: Literal["error", "mean", "mask"] = knob(
        "error", "what becomes of NaN: an error; the mean of its feature or channel in the training samples; mask: the mean, and the loss "
        "leaves it out, so that the model learns to fill holes", affects="data")

    def probe(self, where: Where) -> DataInfo:
        """Type and counts from the arrays' headers."""
        check_options(self)
        moved = "samples that are resized or padded" if self.wanted_size or self.pad else None
        check_holes(self, "tokens" if self.kind == "tokens" else moved)
        if self.shape is not None and not asked_arrays(self):
            bounds = None if self.vocabulary is None else (0.0, self.vocabulary - 1.0)
            return declared(self, bounds=bounds, labelled=bool(self.label or self.classes), ragged=self.lengths is not None)
        with blamed(self, "path"):
            path, found = self._find(where)
            return describe(self, self._outline(path, found))

    def read(self, where: Where) -> Raw:
        """The arrays, divided and scaled."""
        from aebuild.data.lengths import ended
        from aebuild.data.raw_samples import Raw
        from aebuild.data.streamed import sentence

        check_options(self)
        with blamed(self, "path"):
            path, found = self._find(where)
            outline = self._outline(path, found)
            labels, names = self._labels(path, found)
            size = sum(2 * member.nbytes for member in (*found.x.values(), *found.target.values()))
            streamed = _may_stream(self, path, found, size)
            check_holes(self, None, streamed)
            if streamed:
                outline = outline.told(sentence(self, size))
            else:
                must_fit(size, found.x["train"].label(path), _on_disk(path))
            classes = outline.value.classes if isinstance(outline.value, Tokens) else None
            layout = self._layout(found.x["train"], path, classes)
            target = self._layout(found.target["train"], path, classes) if found.target else layout
            x = _stored(path, found.x, layout, streamed)
            for note in () if streamed else range_note("the samples", _extent(x["train"]), outline.bounds, scale_of(self, outline.value)):
                outline = outline.told(note)
            aims, lengths = _stored(path, found.target, target, streamed), self._lengths(path, found, outline)
            if lengths:
                x, aims = (ended(held, lengths) for held in (x, aims))
            told = {name: _stored(path, held, self._told(name, held, path), False) for name, held in found.told.items()}
            return with_conditions(self, Raw(replace(outline, class_names=names), x, labels, aims, streamed, lengths), told)

    def suggestion(self, where: Where) -> Suggestion:
        """That the array holds symbols, or the steps of one series."""
        from aebuild.data.array_suggestion import ROWS, suggest_reading
        from aebuild.data.formats.array_files import headers
        from aebuild.data.formats.npy import map_array, read_array
        from aebuild.data.npz_keys import usual_lengths

        with blamed(self, "path"):
            path, found = self._find(where)
            first = found.x["train"]
            seen = suggest_reading((read_array if first.name else map_array)(path, first)[:ROWS], path, bool(found.labels))
            word = None if self.lengths else usual_lengths(headers(path), found)
            if word is None or not ("as" in seen.keys or isinstance(self._layout(first, path, self.vocabulary).value, Sequence | Tokens)):
                return seen
            why = f"the array {word} says how many places of each sample are real; what stands behind them is padding"
            return seen.joined(Suggestion({"lengths": word}, {"lengths": why}))

    def instead(self, kind: str) -> str | None:
        """The same with `as`."""
        from aebuild.lang.emit import emit

        if self.shape is not None or self.kind is not None:
            return None
        written = {name: getattr(self, name) for name in ("path", "array", "label", "target", "scale") if getattr(self, name) is not None}
        return emit({"data": written | {"as": kind}}).strip()

    def count_classes(self, where: Where) -> int | None:
        """Reads the labels, and nothing else."""
        if self.classes is not None or self.shape is not None:
            return self.classes
        with blamed(self, "path"):
            names = self._labels(*self._find(where))[1]
        return len(names) if names else None

    def _find(self, where: Where) -> tuple[Path, Found]:
        from aebuild.data.formats.array_files import headers
        from aebuild.data.npz_keys import find_arrays

        path = where.base / self.path
        return path, find_arrays(headers(path), path, self, self.array, self.label, self.target, self.lengths,
                                 asked_arrays(self))

    def _told(self, name: str, held: dict[str, Member], path: Path) -> Layout:
        """How the array of a condition is laid out; one number a sample is a vector of one."""
        first = held.get("train") or next(iter(held.values()))
        shape = first.shape if len(first.shape) > 1 else (*first.shape, 1)
        return interpret(shape, first.dtype.name, first.label(path), None, self.channels if len(shape) > 3 else None, self)

    def _layout(self, member: Member, path: Path, classes: int | None = None) -> Layout:
        if self.kind == "tokens":
            return token_layout(member, member.label(path), classes or 2, self)
        return interpret(member.shape, member.dtype.name, member.label(path), self.kind, self.channels, self)

    def _vocabulary(self, path: Path, found: Found) -> int | None:
        """How many tokens there are, None without any; reads the arrays where the spec does not say."""
        from aebuild.data.formats.array_files import map_array, read_array

        if self.kind != "tokens" or self.vocabulary is not None:
            return self.vocabulary
        members = [*found.x.values(), *found.target.values()]
        for member in members:
            self._layout(member, path)
        return count_tokens((read_array if member.name else map_array)(path, member) for member in members)

    def _outline(self, path: Path, found: Found) -> Outline:
        first = found.x["train"]
        aim = found.target.get("train")
        classes = self._vocabulary(path, found)
        layout = self._layout(first, path, classes)
        aimed = self._layout(aim, path, classes) if aim else None
        bounds = None if classes is None else (0.0, classes - 1.0)
        value = layout.value
        counts: dict[str, int | None] = {part: member.shape[0] for part, member in found.x.items()}
        told = "as the spec says" if self.kind else f"read as {usual_kind(first.shape, first.dtype.name)}s by type and axes"
        sentence = (f"{shown(path.name)}: {by_part(counts)} samples, each {value} of {first.dtype.name} "
                    f"({told}), " + (f"labels in {shown(next(iter(found.labels.values())).name)}" if found.labels else "no labels")
                    + (f", lengths in {shown(next(iter(found.lengths.values())).name)}" if found.lengths else "")
                    + (f"; not used: {', '.join(map(shown, found.left[:8]))}" if found.left else ""))
        return Outline(value, counts, sentence, bounds or LEVELS.get(first.dtype.name), None if aimed is None else aimed.value,
                       bounds or LEVELS.get(aim.dtype.name) if aim else None, labelled=bool(found.labels),
                       ragged=bool(found.lengths), offered=self._offered(path, found),
                       notes=(*self._idle_lengths(path, found, value), *_notes(layout, first, path),
                              *(_notes(aimed, aim, path) if aim and aimed else ())))

    def _offered(self, path: Path, found: Found) -> Offered:
        infos = [array_condition(self, name, self._told(name, held, path).value, next(iter(held.values())).dtype.name)
                 for name, held in found.told.items()]
        return Offered(tuple(infos), tuple(dict.fromkeys(split_name(name)[0] for name in (*found.left, *found.told) if name)))

    def _idle_lengths(self, path: Path, found: Found, value: Value) -> tuple[str, ...]:
        """That an array which seems to tell lengths is not used."""
        from aebuild.data.formats.array_files import headers
        from aebuild.data.npz_keys import usual_lengths

        word = usual_lengths(headers(path), found) if found.left and isinstance(value, Sequence | Tokens) else None
        if word is None:
            return ()
        return (f"the array {word} is not used: all places of every sample count (with `lengths: {word}` those up to there)",)

    def _lengths(self, path: Path, found: Found, outline: Outline) -> dict[str, NDArray[np.int64]]:
        from aebuild.data.formats.array_files import read_array
        from aebuild.data.lengths import check_lengths

        if not found.lengths:
            return {}
        for name in found.x:
            if name not in found.lengths:
                raise fault(DISAGREE, f"the {name} part has no lengths", part=self, at=("lengths",))
        stored = {name: (read_array(path, member), member.label(path)) for name, member in found.lengths.items() if name in found.x}
        return check_lengths(stored, outline.value, outline.target or outline.value, self)

    def _labels(self, path: Path, found: Found) -> tuple[dict[str, NDArray[np.int64]], tuple[str, ...] | None]:
        from aebuild.data.formats.array_files import read_array
        from aebuild.data.labels import as_words, classify

        if not found.labels:
            return {}, None
        words = {part: as_words(read_array(path, member), member.label(path)) for part, member in found.labels.items()}
        return classify(words, shown(path))


def _notes(layout: Layout, member: Member, path: Path) -> tuple[str, ...]:
    return layout.notes(f"{shown(member.name or path.name)} {list(member.shape)}")


def _may_stream(part: Arrays, path: Path, found: Found, size: int) -> bool:
    """Whether the array stays on disk; refuses that of an .npz, whose arrays are packed."""
    from aebuild.data.streamed import streams

    if set(found.x) == {"train"} and not found.x["train"].name:
        return streams(part, size)
    if part.stream:
        raise fault(UNFIT, f"{shown(path)} holds several arrays, which are not read from the middle",
                    Hint("save its samples with numpy.save as one .npy"), part=part, at=("stream",))
    return False


def _extent(samples: Samples) -> tuple[float, float] | None:
    """Least and greatest of numbers of 16 bits; None for others, whose storage says nothing of them, or says it well."""
    from aebuild.data.raw_samples import Stored

    if not isinstance(samples, Stored) or samples.array.dtype.name != "uint16":
        return None
    return float(samples.array.min()), float(samples.array.max())


def _on_disk(path: Path) -> str:
    return "stream: true" if path.suffix.lower() == ".npy" else Hint("save its samples with numpy.save as one .npy, which can stay on disk")


def _stored(path: Path, members: dict[str, Member], layout: Layout, mapped: bool) -> dict[str, Samples]:
    from aebuild.data.formats.array_files import map_array, read_array
    from aebuild.data.raw_samples import Stored

    read = map_array if mapped else read_array
    return {part: Stored(read(path, member), layout, member.label(path)) for part, member in members.items()}
