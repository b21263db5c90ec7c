"""What a conditioned model is told of samples: read from the data, or given by who asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.condition_features import features
from aebuild.data.errors import listed, shown, similar
from aebuild.data.new_samples import NewData
from aebuild.lang.conditioning import Reader
from aebuild.lang.diagnostics import DataError, Diagnostic, Hint, Rule, UsageError
from aebuild.results.inference.given_arrays import Written, given_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.samples import ConditionInfo, DataInfo
    from aebuild.lang.splits import Split
    from aebuild.results.trained_run import TrainedRun

Given = Mapping[str, Any]
NOT_GIVEN = Rule("AE576", "a condition that is not given", """\
A model with conditions is told of each sample what its spec names under `condition`. Where the data that it is given have it, it is read
there. Otherwise it has to be given, as a label's name, a word, a number in the data's own units or the file of an image; empty means that
it is not known.

```console
$ aebuild sample runs/cvae                          # refused: which label?
$ aebuild sample runs/cvae --given label=3
```
""")
ALL: tuple[Reader, ...] = ("encoder", "decoder", "prior", "critic")


def parsed(pairs: Sequence[str]) -> dict[str, str]:
    """The values of `--given NAME=VALUE`; UsageError for anything else."""
    found: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals:
            raise UsageError(Diagnostic(NOT_GIVEN, f"--given {shown(pair)}: a name and a value are wanted", fix=Hint("--given label=3")))
        if name in found:
            raise UsageError(Diagnostic(NOT_GIVEN, f"--given {shown(name)} is said twice"))
        found[name] = Written(value)
    return found


def conditioned(run: TrainedRun, data: NewData, given: Given | None = None, readers: Sequence[Reader] = ALL) -> NewData:
    """Data with what the model is told of each sample: what they have themselves, and what is given, which the decoder is told first.

    UsageError for a condition that is not known and that one of the `readers` is told.
    """
    told = _features(run, given or {}, len(data))
    if not run.info.conditions or (not told and "conditions" in data.split.beside):
        return data
    own = _joined(run, {**told, **data.conditions}, len(data), readers)
    wanted = _joined(run, {**data.conditions, **told}, len(data), readers) if told else None
    data.split.beside["conditions"] = own
    return replace(data, wanted=wanted)


def conditions_for(run: TrainedRun, count: int, given: Given | None = None, readers: Sequence[Reader] = ("decoder", "prior")
                   ) -> NDArray[np.float32] | None:
    """What is given of so many samples that no data tell of, [count, F]; None where the model is told nothing."""
    told = _features(run, given or {}, count)
    return _joined(run, told, count, readers) if run.info.conditions else None


def split_conditions(split: Split) -> NDArray[np.float32] | None:
    """The features of a split's conditions, [n, F]."""
    held = split.beside.get("conditions")
    return None if held is None else held.astype(np.float32, copy=False)


def by_name(info: DataInfo, split: Split) -> dict[str, NDArray[np.float32]]:
    """The features of each condition of a split that was read, [n, width]."""
    held = split_conditions(split)
    return {} if held is None else {name: held[:, first:last] for name, (first, last) in info.condition_columns.items()}


def decoder_conditions(data: NewData) -> NDArray[np.float32] | None:
    """What the decoder is told of data, [n, F]: what was given, else what they have themselves."""
    return split_conditions(data.split) if data.wanted is None else data.wanted


def _features(run: TrainedRun, given: Given, count: int) -> dict[str, NDArray[np.float32]]:
    """Each condition that is given, [count, width]; a single value is that of all samples."""
    known = {each.name: each for each in run.info.conditions}
    for name in given:
        if name not in known:
            there = f"it is told {listed(known)}" if known else "it is told nothing"
            raise UsageError(Diagnostic(NOT_GIVEN, f"this model is not told {shown(name)}; {there}", fix=similar(name, known)))
    return {name: _of_one(run, known[name], value, count) for name, value in given.items()}


def _of_one(run: TrainedRun, info: ConditionInfo, value: Any, count: int) -> NDArray[np.float32]:
    if info.shape:
        return given_array(run.plan.spec.data, info, value, count)
    many = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str)
    values = [_word(each) for each in value] if many else [_word(value)]
    if many and len(values) != count:
        raise UsageError(Diagnostic(NOT_GIVEN, f"{info.name} is given {len(values)} times, and there are {count} samples"))
    codes: Any = [_class(run, word) for word in values] if info.kind == "label" else values
    try:
        made = features(info, codes, run.info.classes)
    except DataError as error:
        raise UsageError(*(replace(found, rule=NOT_GIVEN) for found in error.diagnostics)) from error
    return made if many else np.repeat(made, count, 0)


def _word(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _class(run: TrainedRun, word: str) -> int:
    names = run.info.class_names or ()
    if word and word not in names:
        raise UsageError(Diagnostic(NOT_GIVEN, f"there is no label {shown(word)}; there are {listed(names, 20)}", fix=similar(word, names)))
    return names.index(word) if word else -1


def _joined(run: TrainedRun, known: Mapping[str, NDArray[np.float32]], count: int, readers: Sequence[Reader]) -> NDArray[np.float32]:
    """All conditions side by side; zeros for one that none of the readers is told."""
    conditions, parts, missing = run.plan.spec.condition, [], []
    for each in run.info.conditions:
        if each.name in known:
            parts.append(known[each.name])
            continue
        if set(conditions[each.name].into) & set(readers):
            missing.append(each.name)
        parts.append(np.zeros((count, each.width(run.info.classes)), np.float32))
    if missing:
        message = f"the model is told {listed(missing)} of each sample, which nothing here says"
        raise UsageError(Diagnostic(NOT_GIVEN, message, fix=Hint(" ".join(f"--given {name}=VALUE" for name in missing))))
    return np.concatenate(parts, 1)
