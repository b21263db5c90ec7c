"""Conditions of samples as the features that a model reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from aebuild.data.condition_arrays import Beside
from aebuild.data.conditions import LABEL, PERIODS, UNKNOWN
from aebuild.data.errors import fault, listed, must_fit, shown, similar
from aebuild.data.formats.csv_dialect import number
from aebuild.data.formats.empty_cells import GAPS
from aebuild.data.raw_samples import Raw, Rows, windows_of
from aebuild.data.table_conditions import Values
from aebuild.lang.diagnostics import Hint
from aebuild.lang.samples import ConditionInfo, DataInfo

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def features(info: ConditionInfo, values: Any, classes: int | None, mark: str = ".", unknown: float = 0.0) -> NDArray[np.float32]:
    """A condition of samples, numbers or words [n], as features [n, width]; zeros where it is not known, or of a number `unknown`.

    Of a label the values are class numbers, -1 unknown. DataError names a word that is no number or no category.
    """
    import numpy as np

    if info.kind == "label":
        return _one_hot(np.asarray(values, np.int64), classes or 0)
    if info.kind == "category":
        places = {word: place for place, word in enumerate(info.words)} | dict.fromkeys(GAPS, -1)
        strange = next((word for word in values if str(word).strip() not in places), None)
        if strange is not None:
            near = similar(strange, info.words)
            raise fault(UNKNOWN, f"{shown(strange)!r} is none of the categories of {shown(info.name)}: {listed(info.words, 12)}",
                        Hint(f"did you mean {near}?") if near else None)
        return _one_hot(np.asarray([places[str(word).strip()] for word in values], np.int64), len(info.words))
    if info.shape:
        held = np.asarray(values, np.float32).reshape(len(values), -1)
        return np.asarray((held - info.offset) * info.factor, np.float32)
    numbers = _numbers(info, values, mark)
    if info.kind == "number":
        made = ((numbers - info.offset) * info.factor)[:, None]
    else:
        turn = 2 * np.pi * numbers / PERIODS[info.kind]
        made = np.stack([np.sin(turn), np.cos(turn)], 1).round(6)
    return np.where(np.isnan(made), unknown, made).astype(np.float32)


def _numbers(info: ConditionInfo, values: Any, mark: str) -> NDArray[np.float64]:
    import numpy as np

    if isinstance(values, np.ndarray) and values.dtype.kind in "fiu":
        return values.astype(np.float64)
    found = np.full(len(values), np.nan)
    for row, cell in enumerate(values):
        word = str(cell).strip()
        value = None if word in GAPS else number(word, mark)
        if value is None and word not in GAPS:
            raise fault(UNKNOWN, f"{shown(word)!r} is no number, as {shown(info.name)} is", Hint("a number"))
        found[row] = np.nan if value is None else value
    return found


def _one_hot(codes: NDArray[np.int64], classes: int) -> NDArray[np.float32]:
    import numpy as np

    made = np.zeros((len(codes), classes), np.float32)
    known = np.flatnonzero(codes >= 0)
    made[known, codes[known]] = 1
    return made


def taken_rows(raw: Raw, origin: str, index: NDArray[np.int64], values: Values) -> Values:
    """The conditions of chosen samples; of windows and whole series those of their first row."""
    import numpy as np

    windows = windows_of([(raw.x[origin], index)])
    rows = index if windows is None else windows.starts
    return {name: held[rows] if isinstance(held, np.ndarray) else held.take(rows) if isinstance(held, Beside)
            else [held[row] for row in rows.tolist()] for name, held in values.items()}


def conditions_of(info: DataInfo, raw: Raw, rows: Rows, labels: Mapping[str, NDArray[np.int64]]
                  ) -> tuple[DataInfo, dict[str, dict[str, NDArray[np.float32]]]]:
    """The features of each part, `conditions` [n, F] and `answers` [n, F], and the data with the scaling of numbers.

    That is fitted on the training part. A number that is not known is 0 as a condition, NaN as an answer.
    """
    import numpy as np

    asked = {"conditions": info.conditions, "answers": info.predicted}
    if not any(asked.values()):
        return info, {name: {} for name in rows}
    wide = sum(prod(each.shape) for each in info.conditions)
    must_fit(4 * wide * sum(len(index) for _, index in rows.values()), "what the model is told of the samples")
    read = {origin: raw.conditions(origin) if raw.conditions is not None else {} for origin, _ in rows.values()}
    held = {name: taken_rows(raw, origin, index, read[origin]) for name, (origin, index) in rows.items()}
    late = next((each for each in info.conditions if each.kind in PERIODS and each.name not in held["train"]), None)
    if late is not None:
        raise fault(UNKNOWN, f"the data have no time that tells {late.name}, or one that is not understood",
                    Hint("dates like 2024-12-31 18:00"))
    fitted = {kind: tuple(_fitted(each, held["train"], raw.mark) for each in infos) for kind, infos in asked.items()}
    made: dict[str, dict[str, NDArray[np.float32]]] = {}
    for name in rows:
        values: dict[str, Any] = {**held[name], **({LABEL: labels[name]} if name in labels else {})}
        made[name] = {kind: np.concatenate([features(each, values[each.name], info.classes, raw.mark, np.nan if kind == "answers" else 0.0)
                                            for each in infos], 1) for kind, infos in fitted.items() if infos}
    return replace(info, conditions=fitted["conditions"], predicted=fitted["answers"]), made


def _fitted(info: ConditionInfo, values: Values, mark: str) -> ConditionInfo:
    """A number with the mean and deviation of the training samples."""
    import numpy as np

    if info.kind == "array":
        held = np.asarray(values[info.name], np.float32)
        deviation = float(held.std(dtype=np.float64))
        return replace(info, offset=float(held.mean(dtype=np.float64)), factor=1 / deviation if deviation > 0 else 1.0)
    if info.kind != "number":
        return info
    numbers = _numbers(info, values[info.name], mark)
    known = numbers[np.isfinite(numbers)]
    if not len(known):
        raise fault(UNKNOWN, f"{shown(info.name)} is not known of any training sample", Hint("leave it out"))
    deviation = float(known.std())
    return replace(info, offset=float(known.mean()), factor=1 / deviation if deviation > 0 else 1.0)
