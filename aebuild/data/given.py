"""Data that a caller gives beside a spec: a path, a known name, or arrays and data frames, which become a file of the run."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from aebuild.data.detect import is_path
from aebuild.data.npz_keys import split_name
from aebuild.lang.dataset import Dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

WRITTEN = {"header": True, "separator": ",", "decimal": "."}          # how a data frame is written
MISSING = ("nan", "NaT", "<NA>", "None")          # what the missing cells of data frames are called as text
WANTED = ("data are a path, an array [n, ...], a tensor, a data frame, lists of numbers, a list of texts, or a dict of arrays named as in "
          "an .npz")


@dataclass(eq=False)
class Given:
    """What takes the place of a spec's own data: the keys that say where they are.

    Data in memory are written to a `file`, which a training copies into its run; it is gone when this is.
    """

    keys: Mapping[str, Any]
    file: Path | None = field(default=None)

    def __post_init__(self) -> None:
        if self.file is not None:
            weakref.finalize(self, shutil.rmtree, self.file.parent, ignore_errors=True)


def given_data(data: Any, labels: Any = None) -> Given:
    """Data as a caller would give them; TypeError for what is none.

    `labels` are one for each sample, None or NaN where unknown, or the name of the column or array that holds them.
    """
    if isinstance(data, str | os.PathLike):
        return _named(os.fspath(cast("Any", data)), labels)
    named = {"label": labels} if isinstance(labels, str) else {}
    apart = None if named else labels
    if is_frame(data):
        table = _cells(data)
        if apart is not None:
            named = {"label": _add_labels(table, apart)}
        return _written("data.csv", lambda file: _write_csv(file, table), {**WRITTEN, **named})
    if is_texts(data):
        if apart is not None:
            raise TypeError("texts have no labels")
        return _written("data.jsonl", lambda file: _write_texts(file, data), {"column": "text"})
    if isinstance(data, Mapping):
        arrays = {_name(name): _array(value, f"data[{name!r}]") for name, value in data.items()}
    else:
        arrays = {"x": _array(data, "data")}
    if apart is not None:
        if "y" in arrays:
            raise TypeError("data have an array y already; labels='y' says that it holds the labels")
        arrays["y"], named = _labels(apart), {"label": "y"}
    if any(split_name(name)[0] == "lengths" for name in arrays):
        named = {"lengths": "lengths", **named}
    return _written("data.npz", lambda file: _write_npz(file, arrays), named)


def _named(data: str, labels: Any) -> Given:
    """A path, or the name of a known data set."""
    if labels is not None and not isinstance(labels, str):
        raise TypeError("data from a file have their labels there: labels is the name of their column or array")
    named = {} if labels is None else {"label": labels}
    if data in Dataset.variants and not os.path.exists(data) and not is_path(data):
        return Given({"type": data, **named})
    return Given({"path": os.path.abspath(data), **named})


def _written(name: str, write: Any, keys: Mapping[str, Any]) -> Given:
    folder = Path(tempfile.mkdtemp(prefix="aebuild-data-"))
    given = Given({"path": str(folder / name), **keys}, folder / name)
    write(folder / name)
    return given


def _write_npz(file: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    import numpy as np

    np.savez(file, **cast("dict[str, Any]", arrays))          # none of objects, so none is pickled


def _write_texts(file: Path, texts: Sequence[str]) -> None:
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")


def _write_csv(file: Path, table: Mapping[str, Sequence[str]]) -> None:
    with file.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))


def _name(name: Any) -> str:
    if isinstance(name, str) and name not in ("", "file", "allow_pickle") and "/" not in name:
        return name
    raise TypeError(f"the arrays of data have names like x, y, x_train or lengths, not {name!r}")


def _array(data: Any, what: str) -> NDArray[Any]:
    """Numbers or words as an array that can be stored without a pickle."""
    import numpy as np

    if hasattr(data, "detach"):
        data = data.detach().cpu()
    if np.ma.is_masked(data):
        raise TypeError(f"{what} has masked values; write NaN in their place with .filled(numpy.nan)")
    if not isinstance(data, list | tuple) and not hasattr(data, "__array__"):
        raise TypeError(f"{WANTED}; {what} is a {_called(data)}" + (" (give .toarray())" if hasattr(data, "toarray") else ""))
    try:
        array = np.asarray(data)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{WANTED}; {what} is a {_called(data)}: {error}") from error
    if array.dtype.kind not in "biufUS" or array.ndim == 0:
        raise TypeError(f"{WANTED}; {what} is a {_called(data)} of {array.dtype}")
    return array


def _called(data: Any) -> str:
    return f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}".removeprefix("builtins.")


def _labels(labels: Any) -> NDArray[Any]:
    """Labels [n] as an array, "" where a word is not known."""
    import numpy as np

    if hasattr(labels, "detach"):
        labels = labels.detach().cpu()
    array = np.asarray(labels)
    if array.dtype.kind == "O" and array.ndim == 1:
        array = np.asarray([_cell(label) for label in array.tolist()], np.str_)
    if array.dtype.kind not in "biufUS" or array.ndim != 1:
        raise TypeError(f"labels are one for each sample, whole numbers or words, not {_called(labels)} of shape {list(array.shape)}")
    return array


def is_frame(data: Any) -> bool:
    """True for a pandas or polars frame and a pyarrow table; TypeError for a lazy one."""
    if hasattr(data, "collect_schema") and hasattr(data, "collect"):
        raise TypeError("data are a lazy frame: give data.collect()")
    return hasattr(data, "column_names") or (hasattr(data, "columns") and hasattr(data, "__getitem__"))


def is_texts(data: Any) -> bool:
    """True for a list of texts, a sample each."""
    return isinstance(data, list | tuple) and bool(data) and all(isinstance(each, str) for each in data)


def frame_values(frame: Any) -> NDArray[Any]:
    """All columns of a frame side by side, [n, columns]."""
    import numpy as np

    return np.asarray(frame.to_numpy() if hasattr(frame, "to_numpy") else np.stack([column.to_numpy() for column in frame.columns], 1))


def _cells(frame: Any) -> dict[str, list[str]]:
    """The cells of a pandas, polars or pyarrow table as text, by column."""
    columns = list(getattr(frame, "column_names", None) or frame.columns)
    names = [str(name) for name in columns]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise TypeError(f"the data frame has two columns named {twice!r}")
    return {name: [_cell(cell) for cell in _listed(frame[column])] for name, column in zip(names, columns, strict=True)}


def _listed(column: Any) -> list[Any]:
    held: list[Any] = column.to_pylist() if hasattr(column, "to_pylist") else column.to_list()
    return held


def _cell(cell: Any) -> str:
    text = str(cell)          # of floats the shortest text that gives the same number back
    return "" if text in MISSING else text


def _add_labels(table: dict[str, list[str]], labels: Any) -> str:
    """Puts labels into the table, under their own name or `label`; which name that is."""
    name = str(getattr(labels, "name", None) or "label")
    if name in table:
        raise TypeError(f"the data frame has a column {name!r} already; labels={name!r} says that it holds the labels")
    cells = [_cell(label) for label in _labels(labels).tolist()]
    count = len(next(iter(table.values()), ()))
    if len(cells) != count:
        raise TypeError(f"there are {len(cells):,} labels for {count:,} rows")
    table[name] = cells
    return name
