"""New samples under the reading and scaling of a trained run: scaled when they are taken, never divided or fitted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from aebuild.data.condition_features import features, taken_rows
from aebuild.data.errors import blamed, fault
from aebuild.data.labels import words_of
from aebuild.data.missing import known_places, needs_memory
from aebuild.data.new_advice import for_new, remedy
from aebuild.data.preprocess import named, scaled, taken
from aebuild.data.probe import Bounds, pictured, plural, scaled_range
from aebuild.data.raw_samples import Raw, Rows, Samples, even_blocks, windows_of
from aebuild.data.scaling import needs_samples
from aebuild.data.streamed import ON_DISK
from aebuild.lang.dataset import Dataset, OnDisk, Streamable, Where
from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.sample_storage import Store
from aebuild.lang.samples import DataInfo
from aebuild.lang.splits import Scaling, Split
from aebuild.lang.values import Range, Value

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARTS = ("train", "validation", "test")
NO_RANGE = Range()
STRANGE = Rule("AE480", "new data that are not what the model knows", """\
A trained model takes samples of one type and in one kind of units: those of its training data, before they were scaled. Samples of
another shape cannot go through it. Samples in other units could, and every result would be wrong: pixels from 0 to 1 where the model
knows 0 to 255, or the reverse. So both are refused. Give the data as they were given to training; aebuild scales them itself.

```console
$ aebuild encode runs/mnist scaled-pixels.npz      # numbers from 0 to 1, where training read bytes: refused
```
```console
$ aebuild encode runs/mnist pixels.npz             # bytes
```
""")

UNPAIRED = Rule("AE885", "new data without what is to be made of them", """\
A model that was trained on pairs (`target` in its spec) encodes, reconstructs and walks from inputs alone. How far it is off can be
told only where the new data have both: the array or columns that the spec calls `target`, or a second folder of partners.

```console
$ aebuild score runs/pairs inputs.npy                # inputs alone: refused
$ aebuild reconstruct runs/pairs inputs.npy
```
```console
$ aebuild score runs/pairs pairs.npz                 # which holds the target's array too
```
""")


@dataclass
class NewSamples(Store):
    """Samples [n, *value.shape] of one reader or several, in their order; each is read and scaled when it is taken.

    `levels` are as of any store, `known` is the range of the training data. `clipped` counts the values that lay outside of it.
    """

    part: Dataset
    readers: Sequence[Samples]
    value: Value
    scaling: Scaling
    levels: NDArray[np.float32] | None = None
    known: Range = NO_RANGE
    clipped: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        import numpy as np

        self.borders = np.cumsum([0, *map(len, self.readers)])
        self.shape = (int(self.borders[-1]), *self.value.shape)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Reads and scales samples; DataError names one that cannot be read or is in other units."""
        import numpy as np

        if len(self.readers) == 1:
            return self._taken(self.readers[0], index)
        found = np.empty((len(index), *self.value.shape), np.uint8 if self.levels is not None else self.value.dtype)
        owner = np.searchsorted(self.borders, index, side="right") - 1
        for number, samples in enumerate(self.readers):
            chosen = owner == number
            if chosen.any():
                found[chosen] = self._taken(samples, index[chosen] - self.borders[number])
        return found

    def _taken(self, samples: Samples, rows: NDArray[np.int64]) -> NDArray[Any]:
        with for_new(self.part, self.value):
            return self._scaled(taken(self.part, samples, rows), samples, rows)

    def _scaled(self, raw: NDArray[Any], samples: Samples, rows: NDArray[np.int64]) -> NDArray[Any]:
        import numpy as np

        if raw.shape[1:] != self.value.shape:
            raise fault(STRANGE, f"{samples.name(int(rows[0]))} is {list(raw.shape[1:])}, and the model takes {self.value}, "
                        f"{list(self.value.shape)}")
        check_units(raw, self.scaling, named(samples, rows), self.known)
        if self.levels is not None:
            return raw.view(np.uint8)
        self.clipped += self.scaling.outside(raw)
        return scaled(raw, self.scaling, named(samples, rows))

    def blocks(self) -> NDArray[np.int64]:
        """Stretches of samples; they are read while the model is busy with those before."""
        return even_blocks([0, len(self)])

    def name(self, row: int) -> str:
        """What a message calls a sample."""
        import numpy as np

        number = int(np.searchsorted(self.borders, row, side="right")) - 1
        return self.readers[number].name(row - int(self.borders[number]))


@dataclass
class NewData:
    """New samples as a split, with what their input says beside them.

    `beside` has cells by column, one a sample, or one a row where the samples are windows or whole series; `words` are the labels as
    words, "" unknown, and `steps` those of these rows. `conditions` are the features of those that they tell, by name, and `wanted`
    [n, F] is what the decoder is to be told, where that is something else.
    """

    split: Split
    part: Dataset
    info: DataInfo
    scaling: Scaling
    target_scaling: Scaling | None
    beside: Mapping[str, Sequence[str]]
    words: Sequence[str] | None = None
    notes: tuple[str, ...] = ()
    steps: Sequence[str] | None = None
    conditions: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    wanted: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.split)

    def name(self, row: int) -> str:
        """What a message calls a sample."""
        store = self.split.inputs
        return store.name(row) if isinstance(store, NewSamples) else f"sample {row}"


def paired(data: NewData) -> NewData:
    """The same; DataError where the model makes of its input something else, and these data do not say what."""
    if data.target_scaling is None or data.split.targets is not None:
        return data
    remedy = Hint("--set data.target=FOLDER names their partners") if "target" in data.part.own_alone else None
    raise fault(UNPAIRED, "this model was trained on pairs, and the new data have no targets to compare with", remedy)


def read_new(part: Dataset, info: DataInfo, scaling: Scaling, target_scaling: Scaling | None, where: Where) -> NewData:
    """Reads new data by a part that divides nothing, under what a run knows of its own; DataError if they are not alike."""
    if isinstance(part, Streamable):
        part = _streamed(part)
    with blamed(part, *(["path"] if isinstance(part, OnDisk) else [])):
        raw = _raw(part, info.value, where)
        return new_data(part, raw, info, scaling, target_scaling)


def _raw(part: Dataset, wanted: Value, where: Where) -> Raw:
    """New samples as they are stored."""
    with for_new(part, wanted):
        raw: Raw = part.read(where)
        return raw


def new_data(part: Dataset, raw: Raw, info: DataInfo, scaling: Scaling, target_scaling: Scaling | None) -> NewData:
    """Raw samples as new data of a run."""
    import numpy as np

    outline = raw.outline
    found, wanted = pictured(part, outline.value), info.value
    if found != wanted:
        raise fault(STRANGE, f"the new data are {found}, and the model takes {wanted}", Hint(remedy(part, wanted, found)), part=part,
                    at=("path",))
    names = [name for name in PARTS if name in raw.x and len(raw.x[name])]
    if not names:
        raise fault(STRANGE, "there are no new samples", part=part, at=("path",))
    notes: tuple[str, ...] = ()
    if part.stored_as_images:
        scaling, notes = in_these_units(scaling, info, outline.bounds)
    x = _store(part, [raw.x[name] for name in names], wanted, scaling, outline.bounds, info.range)
    aimed = raw.target and pictured(part, outline.target or outline.value) == info.target
    target = None
    if aimed and target_scaling is not None:
        target = _store(part, [raw.target[name] for name in names], info.target, target_scaling, outline.target_bounds, info.target_range)
    words = None
    if raw.labels:
        words = [word for name in names for word in words_of(raw.labels.get(name), outline.class_names or (), len(raw.x[name]))]
    numbers = {name: number for number, name in enumerate(info.class_names or ())}
    labels = None if words is None else np.asarray([numbers.get(word, -1) for word in words], np.int64)
    lengths = np.concatenate([raw.lengths[name] for name in names]) if raw.lengths else None
    beside = {} if raw.beside is None else _joined([raw.beside(name) for name in names])
    if len(names) > 1:
        beside = {"part": [name for name in names for _ in range(len(raw.x[name]))], **beside}
    masks = known_places(part, raw, {name: (name, np.arange(len(raw.x[name]))) for name in names})
    more = {"mask": np.concatenate([masks[name]["mask"] for name in names])} if masks else {}
    split = Split(x, labels, target, lengths, **more)
    split.windows = windows_of([(raw.x[name], None) for name in names])
    split.factors = np.concatenate([raw.factors[name] for name in names]) if raw.factors else None
    told = [note for note in outline.notes if not note.startswith(ON_DISK)]
    steps = None if raw.steps is None else [word for _ in names for word in raw.steps]
    return NewData(split, part, info, scaling, target_scaling, beside, words, (*told, *notes), steps,
                   _conditions(info, raw, {name: (name, np.arange(len(raw.x[name]))) for name in names}, labels))


def _conditions(info: DataInfo, raw: Raw, rows: Rows, labels: NDArray[np.int64] | None) -> dict[str, NDArray[np.float32]]:
    """The features of the conditions that new data tell, by name."""
    import numpy as np

    found: dict[str, list[NDArray[np.float32]]] = {}
    for name, index in rows.values() if raw.conditions is not None else ():
        values = taken_rows(raw, name, index, raw.conditions(name))  # type: ignore[misc]
        for each in info.conditions:
            if each.name in values:
                found.setdefault(each.name, []).append(features(each, values[each.name], info.classes, raw.mark))
    made = {name: np.concatenate(parts) for name, parts in found.items()}
    if labels is not None:
        made |= {each.name: features(each, labels, info.classes) for each in info.conditions if each.kind == "label"}
    return made


def in_these_units(scaling: Scaling, info: DataInfo, bounds: Bounds) -> tuple[Scaling, tuple[str, ...]]:
    """The scaling of new data stored within these bounds; images of another depth are brought to the same range."""
    if bounds is None or needs_samples(scaling.kind, info.value, bounds) or scaling.kind not in ("unit", "signed"):
        return scaling, ()
    low, high = raw_extent(scaling)
    if (low, high) == bounds:
        return scaling, ()
    span = (bounds[1] - bounds[0]) / (2 if scaling.kind == "signed" else 1)
    offset = bounds[0] if scaling.kind == "unit" else (bounds[0] + bounds[1]) / 2
    return (replace(scaling, offset=(offset,), factor=(1 / span,), low=None, high=None),
            (f"the new data are stored as {bounds[0]:g} to {bounds[1]:g}, those of training as {low:g} to {high:g}; both are brought to "
             f"{scaled_range(scaling.kind, None)}",))


def raw_extent(scaling: Scaling) -> tuple[float, float]:
    """The raw values that one offset and factor take to the ends of the range."""
    import numpy as np

    low, high = scaling.undo(np.asarray([[-1.0 if scaling.kind == "signed" else 0.0], [1.0]], np.float32))[:, 0].tolist()
    return low, high


def check_units(raw: NDArray[Any], scaling: Scaling, name: Any, known: Range = NO_RANGE) -> None:
    """Refuses images that seem to be scaled already, or that lie far outside the range that the model knows, and gaps it never met.

    `known` is the range of values that are kept as they are.
    """
    import numpy as np

    if raw.dtype.kind == "f" and not scaling.fill and (gaps := np.isnan(raw).reshape(len(raw), -1).any(1)).any():
        raise fault(STRANGE, f"{name(int(gaps.argmax()))} lacks a value, and training did not settle what is filled in",
                    Hint("remove it; a model that is trained with `missing: mean` or `mask` under data takes such samples"))
    if len(scaling.offset) > 1 or not len(raw):
        return
    if scaling.kind in ("unit", "signed"):
        low, high = raw_extent(scaling)
    elif scaling.kind in ("none", "integer") and known.low is not None and known.high is not None:
        low, high = known.low, known.high
    else:
        return
    if raw.dtype == np.uint8 and (low, high) == (0.0, 255.0):
        return
    least, most = float(raw.min()), float(raw.max())
    if raw.dtype.kind == "f" and high > 2 and least >= -1 and most <= 1 and most > 0:
        raise fault(STRANGE, f"{name(0)} holds numbers from {least:g} to {most:g}, as if they were scaled already; those of training went "
                    f"from {low:g} to {high:g}", Hint("give the data as they were given to training: aebuild scales them itself"))
    if scaling.low is None and (least < low or most > high):
        row = int(np.argmax([(sample < low).any() or (sample > high).any() for sample in raw]))
        raise fault(STRANGE, f"{name(row)} holds numbers from {float(raw[row].min()):g} to {float(raw[row].max()):g}; those of training "
                    f"went from {low:g} to {high:g}")
    if scaling.low is not None and (most - low > 20 * (high - low) or high - least > 20 * (high - low)):
        raise fault(STRANGE, f"{name(0)} holds numbers from {least:g} to {most:g}, where those of training went from {low:g} to {high:g}: "
                    "these are other units", Hint("give the data as they were given to training"))


def _store(part: Dataset, readers: Sequence[Samples], value: Value, scaling: Scaling, bounds: Bounds, known: Range
           ) -> NewSamples:
    levels = scaling.levels if bounds is not None and _bytes(part, readers) else None
    return NewSamples(part, readers, value, scaling, levels, known)


def _bytes(part: Dataset, readers: Sequence[Samples]) -> bool:
    """Whether all readers give bytes, by their first sample."""
    import numpy as np

    return all(len(samples) == 0 or taken(part, samples, np.zeros(1, np.int64)).dtype in (np.uint8, np.bool_) for samples in readers)


def _streamed(part: Streamable) -> Dataset:
    """The part that leaves its samples on disk where they can be read from the middle."""
    path = str(getattr(part, "path", ""))
    whole = path.lower().endswith((".npz", ".csv", ".tsv", ".txt"))
    return part if whole or part.stream is not None or needs_memory(part) else part.but(stream=True)


def _joined(tables: Sequence[Mapping[str, Sequence[str]]]) -> dict[str, Sequence[str]]:
    names = [name for name in tables[0] if all(name in table for table in tables)]
    return {name: [cell for table in tables for cell in table[name]] for name in names}


def described(data: NewData) -> str:
    """One sentence on what was read."""
    labels = "" if data.words is None else f", {plural(len(set(data.words) - {''}), 'class')}"
    windows = data.split.windows
    what = "windows of" if windows is None or windows.lengths is None else "series of up to"
    lie = "" if windows is None else f", {what} {windows.length:,} over {windows.rows:,} steps"
    return f"{plural(len(data), 'new sample')}{lie}{labels}"

