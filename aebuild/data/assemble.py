"""From raw samples to the three splits: divided, cut short, fitted, scaled."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from aebuild.data.column_checks import LOOKED_AT, check_doubles, merging, straying
from aebuild.data.condition_features import conditions_of
from aebuild.data.errors import blamed, fault, listed, must_fit, shown, similar
from aebuild.data.fingerprint import digest, digest_of
from aebuild.data.lengths import beyond, real
from aebuild.data.missing import Known, fills, known_places
from aebuild.data.preprocess import as_bytes, binarized, named, scaled, stored, taken
from aebuild.data.probe import describe, plural
from aebuild.data.raw_samples import Raw, Rows, Samples, Sharded, windows_of
from aebuild.data.rules import BAD_LABELS, DISAGREE, TOO_FEW
from aebuild.data.scaling import fit_columns, fit_scaling
from aebuild.data.split import PARTS, rows_of, unwanted
from aebuild.data.streamed import streamed_parts
from aebuild.lang.columns import feature_names
from aebuild.lang.dataset import Dataset, Labelled, OnDisk, Pictured, Sampled, Streamable, Where
from aebuild.lang.diagnostics import DataError, Diagnostic
from aebuild.lang.sample_storage import Held, Store
from aebuild.lang.samples import DataInfo, silent
from aebuild.lang.splits import Scaling, Split, Splits
from aebuild.lang.values import Tokens, Value, elements

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


TAKEN = 1 << 19      # tokens that are taken at a time


def load_splits(part: Dataset, where: Where) -> Splits:
    """Reads the data of a spec, divides and scales them; DataError where they cannot be read or do not fit."""
    return read_splits(part, where)[1]


def read_splits(part: Dataset, where: Where) -> tuple[Raw, Splits]:
    """The same, with the samples as they are stored."""
    with blamed(part, "path") if isinstance(part, OnDisk) else nullcontext():
        raw: Raw = part.read(where)
        return raw, assemble(part, raw, where.say)


def assemble(part: Dataset, raw: Raw, say: Callable[[str], None] = silent) -> Splits:
    """The divided and scaled samples that the spec asks for; `say` is told in a sentence what takes long."""
    _check_numbers(raw)
    info = describe(part, raw.outline)
    rows = _excluded(part, raw, rows_of(part, {name: len(held) for name, held in raw.x.items()}, raw.outline.divided))
    if isinstance(part, Sampled) and part.limit is not None:
        rows["train"] = (rows["train"][0], rows["train"][1][:part.limit])
    _check_left(part, rows)
    count = sum(len(index) for _, index in rows.values())
    info = _counted(info, rows)
    labels = _labels(part, raw, rows)
    if raw.streamed:
        rows, labels = _as_in_files(rows, labels)
    else:
        must_fit(count * _bytes_each(info, raw), plural(count, "sample"), "stream: true" if isinstance(part, Streamable) else None)
    lengths = {name: raw.lengths[origin][index] for name, (origin, index) in rows.items()} if raw.lengths else {}
    x, scaling, notes = _scaled(part, raw, raw.x, rows, info, False, say, lengths)
    target, target_scaling, more = (_scaled(part, raw, raw.target, rows, info, True, say, lengths)
                                    if raw.target else ({}, None, ()))
    masks = known_places(part, raw, rows)
    info, conditions = conditions_of(info, raw, rows, labels)
    beside = {name: {**masks.get(name, {}), **conditions[name]} for name in PARTS}
    parts = {name: Split(x[name], labels.get(name), target.get(name), lengths.get(name), **beside[name]) for name in PARTS}
    for name, (origin, index) in rows.items():
        parts[name].windows, parts[name].origin = windows_of([(raw.x[origin], index)]), (origin, index)
        parts[name].flipped = name == "train" and isinstance(part, Pictured) and part.binarize == "dynamic"
        parts[name].factors = raw.factors[origin][index] if raw.factors else None
    return Splits(**parts, scaling=scaling, info=info, target_scaling=target_scaling, notes=(*raw.outline.notes, *notes, *more))


def _bytes_each(info: DataInfo, raw: Raw) -> int:
    """Bytes that a sample takes in memory, bytes staying bytes."""
    import numpy as np

    if isinstance(info.value, Tokens):
        return elements(info.value) * np.dtype(_type_of(info.value.classes - 1)).itemsize * (2 if raw.target else 1)
    small = raw.outline.bounds is not None and raw.outline.bounds[1] <= 255 and info.scale != "standard"
    return elements(info.value) * (1 if small else info.value.bytes) + (elements(info.target) * info.target.bytes if raw.target else 0)


def _as_in_files(rows: Rows, labels: dict[str, NDArray[np.int64]]) -> tuple[Rows, dict[str, NDArray[np.int64]]]:
    """The rows of each part and their labels in the order of the files, in which they are read fastest."""
    import numpy as np

    orders = {name: np.argsort(index, kind="stable") for name, (_, index) in rows.items()}
    return ({name: (origin, index[orders[name]]) for name, (origin, index) in rows.items()},
            {name: held[orders[name]] for name, held in labels.items()})


def _check_numbers(raw: Raw) -> None:
    for name, samples in raw.x.items():
        for what, held in (("labels", raw.labels.get(name)), ("targets", raw.target.get(name))):
            if held is not None and len(held) != len(samples):
                raise fault(DISAGREE, f"the {name} part has {plural(len(samples), 'sample')}, but {len(held):,} {what}")
        if raw.target and name not in raw.target:
            raise fault(DISAGREE, f"the {name} part has no targets")


def _excluded(part: Dataset, raw: Raw, rows: Rows) -> Rows:
    """The rows without the excluded classes, in training and validation."""
    import numpy as np

    if not isinstance(part, Labelled) or part.exclude is None:
        return rows
    left = [class_number(part, wanted, raw.outline.class_names or ()) for wanted in part.exclude.classes]
    kept = dict(rows)
    for name in ("train", "validation"):
        origin, index = rows[name]
        if origin in raw.labels:
            kept[name] = (origin, index[~np.isin(raw.labels[origin][index], left)])
    return kept


def class_number(part: Labelled, wanted: str | int, names: tuple[str, ...]) -> int:
    """The number of a class: by name, or counted from 0 where classes are named by words."""
    if str(wanted) in names:
        return names.index(str(wanted))
    if isinstance(wanted, int) and 0 <= wanted < len(names) and not any(name.lstrip("-").isdigit() for name in names):
        return wanted
    near = similar(wanted, names)
    place = (part.exclude.place("label") if part.exclude else None) or part.place("exclude")
    raise DataError(Diagnostic(BAD_LABELS, f"`exclude` names the class {shown(wanted)}; the classes are {listed(names, 20)}", place,
                               f"label: {near}" if near else None))


def _check_left(part: Dataset, rows: Rows) -> None:
    for name, (_, index) in rows.items():
        if not len(index) and not unwanted(part, name):
            raise fault(TOO_FEW, f"`exclude` leaves no sample for the {name} part", part=part, at=("exclude",))


def _counted(info: DataInfo, rows: Rows) -> DataInfo:
    return replace(info, counts={name: len(rows[name][1]) for name in PARTS})


def _labels(part: Dataset, raw: Raw, rows: Rows) -> dict[str, NDArray[np.int64]]:
    """The labels of each part; of training only the first ones are known where the spec says so."""
    import numpy as np

    if not raw.outline.labelled:
        return {}
    labels = {}
    for name, (origin, index) in rows.items():
        known = raw.labels[origin][index] if origin in raw.labels else np.full(len(index), -1, np.int64)
        labels[name] = known.astype(np.int64)
    if isinstance(part, Labelled) and part.labels is not None:
        if part.labels > len(labels["train"]):
            raise fault(BAD_LABELS, f"`labels: {part.labels}` asks for more known labels than there are training samples "
                        f"({len(labels['train']):,})", f"labels: {len(labels['train'])}", part=part, at=("labels",))
        labels["train"][part.labels:] = -1
    return labels


def _scaled(part: Dataset, raw: Raw, samples: Mapping[str, Samples], rows: Rows, info: DataInfo, target: bool,
            say: Callable[[str], None], lengths: Mapping[str, NDArray[np.int64]]) -> tuple[dict[str, Store], Scaling, tuple[str, ...]]:
    """Each part fitted and scaled, or to be; the scaling comes from the training part alone, without what is beyond `lengths`."""
    value, bounds = (info.target, raw.outline.target_bounds) if target else (info.value, raw.outline.bounds)
    names, fields = _names(info, value, target), (info.target_range if target else info.range).fields
    if raw.streamed:
        stores, scaling = streamed_parts(part, cast("Mapping[str, Sharded]", samples), rows, info.scale, value, bounds, say, names, fields)
        # images stay unread until they are wanted
        return stores, scaling, _merged(part, samples, rows, value, names, scaling) if value.columns else ()
    if isinstance(value, Tokens):
        scaling = Scaling("tokens", low=0.0, high=value.classes - 1.0)
        stores = {name: _tokens(part, samples[origin], index, scaling, lengths.get(name)) for name, (origin, index) in rows.items()}
        return stores, scaling, ()
    fitted = {name: taken(part, samples[origin], index) for name, (origin, index) in rows.items()}
    known = {name: real(values, lengths.get(name)) for name, values in fitted.items()}
    if fields or fills(part):
        scaling = fit_columns(Known(known["train"]), part, info.scale, bounds, value, names or (), fields)
    else:
        scaling = fit_scaling(known["train"], info.scale, bounds, value)
    scaling, apart = binarized(part, scaling)
    notes = _merged(part, samples, rows, value, names, replace(scaling, coins=False))
    if value.dtype == "float32":
        full = {name: scaling.filled(values) for name, values in known.items()}
        notes += straying(full["train"], {name: full[name] for name in ("validation", "test")}, value, names)
    stores = {}
    outside = 0
    for name in PARTS:
        values, (origin, index) = fitted.pop(name), rows[name]
        if name != "train":
            outside += scaling.outside(known[name])
        held, levels = stored(values, apart.get(name, scaling), named(samples[origin], index))
        if name in lengths and levels is None:
            held[beyond(held, lengths[name])] = 0
        stores[name] = Held(held, levels, digest(values) + (digest(lengths[name]) if name in lengths else ""))
    clipped = (f"{plural(outside, 'value')} of validation and test lay outside the training samples' range and were clipped to "
               f"[{scaling.low:g}, {scaling.high:g}]",) if outside else ()
    return stores, scaling, (*clipped, *notes)


def _tokens(part: Dataset, samples: Samples, index: NDArray[np.int64], scaling: Scaling, lengths: NDArray[np.int64] | None) -> Held:
    """Tokens in the smallest type that torch has for so many; they are taken chunk by chunk, and never all in the type they come in."""
    import numpy as np

    first = taken(part, samples, index[:1])
    held = np.empty((len(index), *first.shape[1:]), _type_of(int(scaling.high or 0)))

    def chunks() -> Iterator[NDArray[Any]]:
        for start in range(0, len(index), rows := max(1, TAKEN // max(1, first[:1].size))):
            chosen = index[start:start + rows]
            raw = taken(part, samples, chosen)
            held[start:start + rows] = scaled(raw, scaling, named(samples, chosen))
            yield raw

    found = digest_of(first.dtype.str, held.shape, chunks())
    if lengths is not None:
        held[beyond(held, lengths)] = 0
    return Held(held, None, found + (digest(lengths) if lengths is not None else ""))


def _type_of(most: int) -> type[np.generic]:
    """The type of whole numbers up to `most` that they are kept in."""
    import numpy as np

    return np.uint8 if most < 1 << 8 else np.int16 if most < 1 << 15 else np.int32


def _names(info: DataInfo, value: Value, target: bool) -> tuple[str, ...] | None:
    """What messages call the columns; None for pixels, which have no names."""
    if fields := (info.target_range if target else info.range).fields:
        return feature_names(fields)
    known = info.target_columns if target else info.columns
    return known or (tuple(map(str, range(value.features))) if value.columns else None)


def _merged(part: Dataset, samples: Mapping[str, Samples], rows: Rows, value: Value, names: tuple[str, ...] | None,
            scaling: Scaling) -> tuple[str, ...]:
    """What is said of training values that rounding merges, from the first samples; refuses what loses all difference."""
    if value.dtype == "int64":
        return ()
    origin, index = rows["train"]
    chosen = index[:max(64, LOOKED_AT // elements(value))]
    raw = taken(part, samples[origin], chosen)
    if as_bytes(raw) is not None:
        return ()
    check_doubles(raw, value, names, "the data")
    return merging(scaling.filled(raw), scaled(raw, scaling, named(samples[origin], chosen)), value, names, scaling.kind)
