"""Images and arrays that are given as conditions: from a file, or in memory."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.condition_arrays import Beside
from aebuild.data.condition_features import features
from aebuild.data.errors import shown
from aebuild.data.formats.images import ENDINGS
from aebuild.data.image_decoding import Decoder, look, picture_file
from aebuild.data.new_samples import check_units
from aebuild.lang.dataset import Pictured
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule, UsageError
from aebuild.lang.samples import ConditionInfo
from aebuild.lang.splits import Scaling
from aebuild.lang.values import Value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.dataset import Dataset

COLOURS = {1: "gray", 3: "rgb", 4: "rgba"}
NO_ARRAY = Rule("AE864", "a given image that is not what the model is told", """\
A condition that is an image or an array is given as a file: an image, or an .npy of one for all samples or of one for each. In Python it
is an array or a `pathlib.Path`. It has the units and the shape that the condition had in training, [C, H, W] or [H, W, C].

```console
$ aebuild sample runs/colours --given gray=3             # refused: a number
```
```console
$ aebuild sample runs/colours --given gray=temple.png
```
""")


class Written(str):
    """A value from the command line, where it may be the name of a file."""

    __slots__ = ()


def given_array(part: Dataset, info: ConditionInfo, value: Any, count: int) -> NDArray[np.float32]:
    """The features of a condition that is an image or an array, [count, F]; UsageError where it is none, or of another shape."""
    if isinstance(value, str) and not isinstance(value, Written):
        raise _refused(info, f"is given the word {shown(value)}, and is an array", Hint("an array, or the pathlib.Path of a file"))
    array = _read(part, info, Path(value)) if isinstance(value, str | Path) else _numbers(info, value)
    found = _arranged(part, info, array)
    if info.kind == "image":
        check_units(found, Scaling("unit", (info.offset,), (info.factor,)), lambda row: f"what is given as {shown(info.name)}")
    if len(found) not in (1, count):
        raise _refused(info, f"is given {len(found):,} times, and there are {count:,} samples")
    made = features(info, found, None)
    return np.repeat(made, count, 0) if len(made) == 1 else made


def _read(part: Dataset, info: ConditionInfo, path: Path) -> NDArray[Any]:
    """[C, H, W] of an image file, or the array of an .npy."""
    if not path.is_file():
        raise _refused(info, f"is given as {shown(path)}, and there is no such file", Hint(f"--given {info.name}=FILE"))
    if path.suffix.lower() in ENDINGS and len(info.shape) == 3 and info.shape[0] in COLOURS:
        size = part.wanted_size if isinstance(part, Pictured) else None
        seen = look([picture_file(path)], COLOURS[info.shape[0]], size)  # type: ignore[arg-type]
        return Decoder(seen, seen.colours, size is not None).one(picture_file(path))
    if path.suffix.lower() != ".npy":
        raise _refused(info, f"is given as {shown(path)}", Hint("an image file or an .npy" if len(info.shape) == 3 else "an .npy"))
    from aebuild.data.formats.array_files import headers, read_array

    (member,) = headers(path).values()
    return read_array(path, member)


def _numbers(info: ConditionInfo, value: Any) -> NDArray[Any]:
    value = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise _refused(info, "is given as lists of unequal lengths") from error
    if array.dtype.kind not in "biuf" or not np.isfinite(array).all():
        raise _refused(info, "is given something other than numbers")
    return array


def _arranged(part: Dataset, info: ConditionInfo, array: NDArray[Any]) -> NDArray[Any]:
    """[n, *shape] of one or several; images also with their channels last or, if grey, without, and before `size` and `pad`."""
    value = info.value(None)
    for several in (array, array[None]):
        found = _channels_first(several, value)
        if found is not None:
            return found
    if isinstance(part, Pictured) and value.axes == 2 and 2 <= array.ndim <= 4:
        whole = array if array.ndim == 4 else array[None] if array.ndim == 3 else array[None, None]
        fitted = Beside(part, _Held(whole)).take(np.arange(len(whole)))
        if fitted.shape[1:] == value.shape:
            return fitted
    raise _refused(info, f"is {list(info.shape)}, and is given as {list(array.shape)}")


def _channels_first(array: NDArray[Any], value: Value) -> NDArray[Any] | None:
    if array.shape[1:] == value.shape:
        return array
    if value.axes and array.shape[1:] == (*value.places, value.features):
        return np.moveaxis(array, -1, 1)
    if value.axes and value.features == 1 and array.shape[1:] == value.places:
        return array[:, None]
    return None


class _Held:
    """Raw images in memory."""

    def __init__(self, array: NDArray[Any]) -> None:
        self.array = array

    def __len__(self) -> int:
        return len(self.array)

    def take(self, index: NDArray[np.int64]) -> NDArray[Any]:
        return self.array[index]

    def name(self, row: int) -> str:
        return f"given image {row}"


def _refused(info: ConditionInfo, what: str, fix: str | None = None) -> UsageError:
    return UsageError(Diagnostic(NO_ARRAY, f"the condition {shown(info.name)} {what}", fix=fix))
