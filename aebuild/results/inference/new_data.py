"""From what a user calls data to new samples of a run: a path, a known name, an array, a data frame, or a split of the run's own."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from aebuild.compile.merge import BAD_SET, apply_set
from aebuild.data.assemble import read_splits
from aebuild.data.axes import Layout
from aebuild.data.conditions import PERIODS
from aebuild.data.detect import detect, is_path
from aebuild.data.errors import blamed, fault, shown, similar
from aebuild.data.given import frame_values, given_data, is_frame, is_texts
from aebuild.data.labels import words_of
from aebuild.data.new_advice import takes
from aebuild.data.new_samples import STRANGE, NewData, new_data, raw_extent, read_new
from aebuild.data.probe import Outline, plural
from aebuild.data.raw_samples import Cut, Raw, Samples, Stored
from aebuild.data.rules import NO_SUCH_NAME
from aebuild.lang.conditioning import Reader
from aebuild.lang.dataset import Dataset, Division, Holdout, OnDisk, Pictured, Tabular, Where
from aebuild.lang.diagnostics import Diagnostic, Hint, SpecError
from aebuild.lang.samples import silent
from aebuild.lang.splits import Split, Splits, Windows
from aebuild.lang.values import Grid
from aebuild.results.inference.given import ALL, Given, by_name, conditioned
from aebuild.results.sameness import check_there, place_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from aebuild.lang.values import Value
    from aebuild.results.trained_run import TrainedRun

SplitName = Literal["train", "validation", "test"]
SHARED = {"size", "pad", "channels", "window"}       # what one kind of data says of reading that another can take over
DIVIDING = {"split", "limit", "exclude", "labels"}   # what says which of a run's own samples are trained on
WHOLE = {"split", "limit", "exclude", "labels", "shape", "classes", "path", "type", "stream"}       # what is of the run's own data only


def new_samples(run: TrainedRun, data: Any, settings: Sequence[str] = (), say: Callable[[str], None] = silent,
                given: Given | None = None, readers: Sequence[Reader] = ALL) -> NewData:
    """New data of a run: a file or folder, a known data set's name, an array of raw values [n, ...], a data frame, or a list of texts.

    `settings` are changes of how a file is read, like "data.label=kind"; `given` are conditions by name, a value for all or one for each,
    of which the `readers` must be told. DataError where the data cannot be read or are not what the model knows.
    """
    return conditioned(run, data if isinstance(data, NewData) else _read(run, data, settings, say), given, readers)


def _read(run: TrainedRun, data: Any, settings: Sequence[str], say: Callable[[str], None]) -> NewData:
    if isinstance(data, str | os.PathLike):
        part = _part(run, os.fspath(cast("Any", data)), settings)
    elif isinstance(data, Mapping):
        given = given_data(data)          # its arrays are named as those of the run's file
        part = _part(run, str(given.file), settings)
    elif is_texts(data) or (isinstance(run.plan.spec.data, Tabular) and is_frame(data)):
        given = given_data(data)          # as a file, so that all that is done to columns and texts is said once
        written = (f"data.{name}={json.dumps(value)}" for name, value in given.keys.items() if name != "path")
        part = _part(run, str(given.file), (*written, *settings))
    else:
        return _from_memory(run, data)
    return read_new(part, run.info, run.scaling, run.target_scaling, Where(Path.cwd(), place_of(run.run), say))


def raw_samples(run: TrainedRun, data: Any, settings: Sequence[str] = (), say: Callable[[str], None] = silent) -> tuple[Dataset, Raw]:
    """New samples as they are stored, and the part that reads them; images are as large as they are, unless the settings say otherwise."""
    value = run.info.value
    if not isinstance(data, str | os.PathLike):
        array = _array(data)
        if array.ndim < 1 + value.axes or array.dtype.kind not in "biuf":
            raise fault(STRANGE, f"an array of {array.dtype} {list(array.shape)} holds no samples like {value}")
        if array.ndim == 1 + value.axes:
            array = array[:, None]
        last = array.shape[1] != value.features and array.shape[-1] == value.features
        found = Grid(value.features if last else array.shape[1], array.shape[1:-1] if last else array.shape[2:])
        samples = Stored(array, Layout(found, (-1, 1) if last else None), "the array")
        fixed = run.scaling.kind in ("unit", "signed") and run.scaling.low is None
        outline = Outline(found, {"train": len(array)}, "an array", raw_extent(run.scaling) if fixed else None)
        return Dataset.named("arrays", path="an array"), Raw(outline, {"train": samples})
    part = _part(run, os.fspath(data), settings)
    if isinstance(part, Pictured):
        asked = any(setting.startswith("data.size") for setting in settings)
        part = part if asked else part.but(size=list(value.places) if part.stored_as_images else None, pad=0)
    with blamed(part, *(["path"] if isinstance(part, OnDisk) else [])):
        raw: Raw = part.read(Where(Path.cwd(), place_of(run.run), say))
    if isinstance(part, Pictured):
        part = part.but(size=None, pad=0)
    return part, raw


def own_split(run: TrainedRun, name: SplitName, say: Callable[[str], None] = silent) -> NewData:
    """A split of the run's own data."""
    if name not in get_args(SplitName):
        raise ValueError(f"the parts of a run's own data are {', '.join(get_args(SplitName))}; not {name!r}")
    raw, splits = _read_own(run, say)
    split: Split = getattr(splits, name)
    if split is None or not len(split):
        raise fault(STRANGE, f"the run's data have no {name} part", Hint("name another one with --split, or give data"))
    words = None if split.labels is None else words_of(split.labels, splits.class_names, len(split))
    beside, steps = _beside_own(raw, split)
    return NewData(split, run.plan.spec.data, run.info, splits.scaling, splits.target_scaling, beside, words, steps=steps,
                   conditions=by_name(run.info, split))


def _beside_own(raw: Raw, split: Split) -> tuple[Mapping[str, Sequence[str]], Sequence[str] | None]:
    """What stands beside a split's samples, and the labels of their rows.

    Of windows, beside the rows of the stretch that they lie in, of whole series beside their own rows; from these they count then.
    """
    import numpy as np

    assert split.origin is not None, "a split that was read has an origin"
    part, chosen = split.origin
    cells = raw.beside(part) if raw.beside is not None else {}
    windows = split.windows
    if windows is None:
        return {name: [held[row] for row in chosen.tolist()] for name, held in cells.items()}, None
    places, there = windows.places(0, len(split))
    rows = np.unique(places[there]) if windows.lengths is not None else np.arange(places.min(), places.max() + 1)
    split.windows = Windows(np.searchsorted(rows, windows.starts), windows.length, len(rows), windows.lengths)
    beside = {name: [held[row] for row in rows.tolist()] for name, held in cells.items()}
    steps = None if raw.steps is None else [raw.steps[row] for row in rows.tolist()]
    return {"row": list(map(str, rows.tolist())), **beside}, steps


def own_splits(run: TrainedRun, say: Callable[[str], None] = silent) -> Splits:
    """The run's own data, divided and scaled as in training."""
    return _read_own(run, say)[1]


def _read_own(run: TrainedRun, say: Callable[[str], None]) -> tuple[Raw, Splits]:
    check_there(run.run, run.plan.spec.data)
    return read_splits(run.plan.spec.data, Where(run.run.folder, place_of(run.run), say))


def _part(run: TrainedRun, data: str, settings: Sequence[str]) -> Dataset:
    """The dataset part that reads `data` as the run's own were read."""
    own = run.plan.spec.data.fixed(run.info)
    known = Dataset.variants
    if data in known and not os.path.exists(data):
        part = _like(own, _kind(data))
    elif not is_path(data) and not os.path.exists(data):
        near = similar(data, tuple(known))
        raise fault(NO_SUCH_NAME, f"there is no file, folder or known data set {shown(data)}", near)
    else:
        series = ("window", "group") if isinstance(own, Tabular) else ()
        keys = [name for name in series if getattr(own, name, None) is not None] + ["unit"] * ("unit" in run.info.found)
        kind = detect(data, Path.cwd(), keys)
        part = _like(own, type(own) if kind in own.taken_for else _kind(kind), path=data).fixed(run.info)
    part = _settled(part, settings)
    return _without_absent(part, os.path.abspath(data)) if isinstance(part, OnDisk) else part


def _like(own: Dataset, kind: type[Dataset], **fields: Any) -> Dataset:
    """A part of that kind with what the run's own says of reading, and nothing of dividing."""
    if isinstance(own, kind):
        settled = dict.fromkeys({*WHOLE, *own.own_alone} & set(kind.model_fields) - {"type", "path", "split"})
        return own.but(**settled, **fields, **_undivided(kind))
    shared = {name: value for name in kind.model_fields if (value := getattr(own, name, None)) is not None}
    return kind(**{name: shared[name] for name in SHARED & set(shared) if takes(kind, name, shared[name])}, **fields, **_undivided(kind))


def _undivided(kind: type[Dataset]) -> dict[str, Any]:
    """The option that divides nothing."""
    split = kind.model_fields.get("split")
    if split is None:
        return {}
    return {"split": Holdout(validation=0) if split.annotation is Holdout else Division(validation=0, test=0)}


def _settled(part: Dataset, settings: Sequence[str]) -> Dataset:
    """The part with settings of `data.`; SpecError for others, and if one cannot be made."""
    from aebuild.compile.bind import bind
    from aebuild.compile.desugar import lengthen
    from aebuild.lang.dict_source import tree_of

    if not settings:
        return part
    written = part.model_dump(mode="json", exclude_none=True)
    tree, found = tree_of({"data": written, "encoder": {"layer": "linear", "width": 1}, "latent": {"type": "continuous", "dim": 1}})
    for setting in settings:
        if not setting.startswith("data."):
            raise SpecError(Diagnostic(BAD_SET, f"{setting}: only how new data are read can be set, like data.label=kind"))
        if setting.removeprefix("data.").partition("=")[0].partition(".")[0] in DIVIDING:
            raise SpecError(Diagnostic(BAD_SET, f"{setting}: new data are taken whole; give a file with those samples alone"))
        tree, more = apply_set(lengthen(tree), setting)
        found += more
    bound, more = bind(lengthen(tree))
    if bound is None or found or more:
        raise SpecError(*found, *more)
    bound.data.asked_for({name: part.asked[name] for name in part.told}, {name: part.asked[name] for name in part.predicted})
    return bound.data


def _without_absent(part: OnDisk, path: str) -> OnDisk:
    """The part without the label, targets and conditions that new data lack, since they may well have none."""
    label, target = getattr(part, "label", None), None if "target" in part.own_alone else getattr(part, "target", None)
    part = _told_there(part, path)
    wanted = [name for name in (label, *(target if isinstance(target, list) else [target])) if isinstance(name, str)]
    sheet = part if isinstance(part, Tabular) and _is_table(Path(path)) else None
    if not wanted and not (sheet is not None and sheet.asked):
        return part
    if sheet is not None:
        from aebuild.data.tables import open_sheet

        names: Sequence[str] = open_sheet(Path(path), sheet).names
        told = [name for name in sheet.told if name in (*names, "label", *PERIODS)]
        part = sheet.but()
        part.asked_for({name: sheet.asked[name] for name in told}, {name: sheet.asked[name] for name in sheet.predicted})
    else:
        from aebuild.data.formats.array_files import headers

        names = tuple(headers(Path(path)))
    absent = {name for name in wanted if name not in names}
    lacking = {"label": None} if label in absent else {}
    return part.but(**lacking, **({"target": None} if absent - {label} else {})) if absent else part


def _told_there(part: OnDisk, path: str) -> OnDisk:
    """The part without the conditions that stand in arrays or folders of their own and are not there."""
    from aebuild.data.condition_arrays import asked_arrays

    names = asked_arrays(part)
    if isinstance(part, Tabular) or not names:
        return part
    if "beside" in type(part).model_fields:
        there: Sequence[str] = tuple(getattr(part, "beside", None) or ())
    else:
        from aebuild.data.formats.array_files import headers
        from aebuild.data.npz_keys import split_name

        there = [base for name in headers(Path(path)) for base in (name, split_name(name)[0])]
    lacking = {*names} - {*there}
    found = part.but()
    found.asked_for({name: part.asked[name] for name in part.told if name not in lacking},
                    {name: part.asked[name] for name in part.predicted})
    return found


def _is_table(path: Path) -> bool:
    from aebuild.data.formats.array_files import holds_arrays

    return not holds_arrays(path)


def _from_memory(run: TrainedRun, data: Any) -> NewData:
    """Raw values in memory: an array or tensor [n, ...], or of a windowed run one series [T, D]."""
    array = _array(data)
    value, own = run.info.value, run.plan.spec.data
    if array.ndim == 0 or array.dtype.kind not in "biuf":
        raise fault(STRANGE, f"an array of {array.dtype} is no data; the model takes numbers [n, {', '.join(map(str, value.shape))}]")
    window = getattr(own, "window", None)
    if window is not None and array.ndim < 3 and value.features == (array.shape[1] if array.ndim == 2 else 1):
        series = array.reshape(1, len(array), value.features)
        starts = range(0, len(array) - window.length + 1, window.stride)
        if not starts:
            raise fault(STRANGE, f"a series of {plural(len(array), 'step')} is too short for windows of {window.length:,}")
        samples: Samples = Cut(series, [(0, start) for start in starts], window.length, "the array")
    else:
        samples = Stored(_turned(array, value), Layout(value), "the array")
    fixed = not value.columns and run.scaling.kind in ("unit", "signed") and run.scaling.low is None
    outline = Outline(value, {"train": len(samples)}, "an array", raw_extent(run.scaling) if fixed else None)
    own_table = isinstance(own, Tabular)           # which says what becomes of missing values, and how rows are written
    part = own.but(path="an array") if own_table else _like(own, _kind("arrays"), path="an array").but(size=None, pad=0)
    return new_data(part, Raw(outline, {"train": samples}), run.info, run.scaling, run.target_scaling)


def _turned(array: NDArray[Any], value: Value) -> NDArray[Any]:
    """The array as the model takes it, channels first; DataError for another shape."""
    if array.shape[1:] == value.shape:
        return array
    if value.axes == 2 and array.shape[1:] == (*value.places, value.features):
        return array.transpose(0, 3, 1, 2)
    if value.axes and value.features == 1 and array.shape[1:] == value.places:
        return array[:, None]
    one = " (one sample needs an axis in front: x[None])" if array.shape == value.shape else ""
    raise fault(STRANGE, f"the array has shape {list(array.shape)}, and the model takes [n, {', '.join(map(str, value.shape))}]{one}")


def _kind(name: str) -> type[Dataset]:
    return cast("type[Dataset]", Dataset.variants[name])


def _array(data: Any) -> NDArray[Any]:
    import numpy as np

    if is_frame(data):
        return frame_values(data)
    if hasattr(data, "detach"):
        data = data.detach().cpu().numpy()
    try:
        return np.asarray(data)
    except (TypeError, ValueError) as error:
        raise TypeError(f"data are a path, an array [n, ...] or a data frame, not {type(data).__name__}") from error
