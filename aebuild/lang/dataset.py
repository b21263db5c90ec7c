"""The dataset family: what a spec says about data, and what the rest gets from it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import BeforeValidator, Field, PrivateAttr

from aebuild.lang.part import Part, knob
from aebuild.lang.samples import DataInfo, Form, Where
from aebuild.lang.suggestion import Suggestion
from aebuild.lang.values import Value, of_shape

__all__ = ["Chosen", "Column", "Columned", "DataInfo", "Dataset", "Division", "Exclude", "Holdout", "Known", "Labelled", "OnDisk",
           "OwnLabels", "Pictured", "Portion", "Sampled", "Scale", "Streamable", "Suggestion", "Tabular",
           "Timed", "Where", "Window"]

Count = Annotated[int, Field(ge=1)]
Portion = Annotated[int, Field(ge=0)] | Annotated[float, Field(ge=0, lt=1)]


def _nothing(value: Any) -> Any:
    """`null` and `none` ask for no samples."""
    return 0 if value is None else value


Held = Annotated[Portion | None, BeforeValidator(_nothing)]       # None where nothing is written
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Column = Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0)]
Chosen = Annotated[list[Column], Field(min_length=1)]
Scale = Literal["unit", "signed", "standard", "integer", "none"]


class Division(Part):
    """How samples are divided into training, validation and test.

    The samples are permuted once by the seed; the first train, the next validate, the last test. Windows over one
    series are divided in blocks of time instead, in the same order.
    """

    example = "data: {type: digits, split: {validation: 0.2, test: 300, seed: 1}}"
    validation: Held = knob(
        None, "samples that validate: a count, or a share of those not in the data's own test part; 0: none "
        "(default 0.1, or the data's own part)", affects="data")
    test: Held = knob(None, "samples that test: a count or a share; 0: none (default 0.1, or the data's own part)", affects="data")
    seed: Seed = knob(42, "seed of the permutation", affects="data")


class Holdout(Part):
    """How samples are divided into training and validation; the data have an official test part.

    The training part is permuted once by the seed; the first samples train, the last validate.
    """

    example = "data: {type: ecg5000, limit: 40, split: {validation: 20, seed: 1}}"
    validation: Held = knob(0.1, "samples that validate: a count, or a share of the official training part; 0: none", affects="data")
    seed: Seed = knob(42, "seed of the permutation", affects="data")


class Window(Part):
    """Windows cut out of longer series."""

    example = "data: {type: series, path: wave.csv, window: {length: 8, stride: 2}}"
    length: int = knob(..., "steps in a window", examples=[64], affects="data", ge=1)
    stride: int = knob(1, "steps from the start of one window to the next", affects="data", ge=1)


class Exclude(Part):
    """Classes that training never sees, as in anomaly detection; they stay in the test part."""

    example = "data: {type: digits, exclude: {label: 1}}"
    label: str | int | list[str | int] = knob(
        ..., "class to leave out of training and validation, or a list: its name, or its number counted from 0", affects="data")

    @property
    def classes(self) -> tuple[str | int, ...]:
        """The classes to leave out."""
        return tuple(self.label) if isinstance(self.label, list) else (self.label,)


class Dataset(Part):
    """What to learn from: where samples come from, and how they are divided and scaled."""

    family = "dataset"
    foreign = {**dict.fromkeys(("normalize", "normalization", "scaling", "rescale"), "scale"),
               **dict.fromkeys(("image_size", "img_size", "resize", "input_size"), "size"),
               **dict.fromkeys(("file", "folder", "filename", "dir", "directory", "data_dir", "source"), "path"),
               **dict.fromkeys(("val_split", "validation_split", "train_split", "test_split", "splits", "test_size"), "split"),
               **dict.fromkeys(("num_classes", "n_classes"), "classes"), "padding": "pad", "max_samples": "limit",
               "input_shape": "shape", "features": "columns", "inputs": "columns",
               **dict.fromkeys(("sep", "delimiter", "delim"), "separator"), "has_header": "header", "index_col": "index",
               **dict.fromkeys(("na", "nan", "fillna", "impute", "imputation", "missing_values"), "missing"),
               **dict.fromkeys(("categorical", "categorical_columns", "cat_features", "categorical_features"), "categories"),
               **dict.fromkeys(("group_by", "groupby", "id", "id_column", "entity"), "group")}

    stored_as_images: ClassVar[bool] = False       # the files say what their greatest value means, whatever they hold

    own_alone: ClassVar[tuple[str, ...]] = ()      # fields that new data of a run have nothing like
    taken_for: ClassVar[tuple[str, ...]] = ()      # kinds that a path to such data is taken for where none is written

    _asked: dict[str, Part] = PrivateAttr(default_factory=dict)
    _predicted: dict[str, Part] = PrivateAttr(default_factory=dict)

    @property
    def asked(self) -> Mapping[str, Part]:
        """The conditions that a spec asks of these data, by name, and what its heads predict: all of the spec that data know."""
        return {**self._predicted, **self._asked}

    @property
    def told(self) -> tuple[str, ...]:
        """The conditions alone."""
        return tuple(self._asked)

    @property
    def predicted(self) -> tuple[str, ...]:
        """What heads predict besides the label."""
        return tuple(self._predicted)

    def asked_for(self, conditions: Mapping[str, Part], predicted: Mapping[str, Part] | None = None) -> None:
        """Remembers what is asked of the data beside the samples."""
        self._asked, self._predicted = dict(conditions), dict(predicted or {})

    def probe(self, where: Where) -> DataInfo:
        """What the data are, from headers only; nothing is read where `shape` is given or the data set is a known one.

        Raises DataError.
        """
        raise TypeError(f"{type(self).__name__} has no probe")

    def read(self, where: Where) -> Any:
        """All samples as they are stored, before they are divided and scaled: a `data.raw_samples.Raw`; raises DataError."""
        raise TypeError(f"{type(self).__name__} has no read")

    def fixed(self, info: DataInfo) -> Self:
        """The same with everything written down that was found out when the run's data were read, by which new data are read."""
        return self

    def form(self, info: DataInfo) -> Form | None:
        """How samples are written in the form that the data came in; None: as their type is usually written."""
        return None

    def instead(self, kind: str) -> str | None:
        """The `data` that would give samples as a sequence or grid where they are vectors now; None where there are none."""
        return None

    def usual_scale(self, value: Value) -> str:
        """How samples of this type are scaled where nothing is written."""
        return value.usual_scale

    def suggestion(self, where: Where) -> Suggestion:
        """What `aebuild init` writes under `data` beside the kind and the path, from the first samples; raises DataError."""
        return Suggestion()

    def count_classes(self, where: Where) -> int | None:
        """How many classes the labels have, None without labels; reads labels where no header tells."""
        return self.probe(where).classes


class Sampled(Dataset):
    """Data that are scaled, and may be cut short."""

    scale: Scale | None = knob(
        None, "unit: [0, 1]; signed: [-1, 1]; standard: mean 0 and deviation 1 for each feature; integer: whole numbers as they are; none. "
        "Fitted on the training samples (default: unit for images, standard for tables and series)", affects="data")
    limit: int | None = knob(None, "train on no more than the first so many training samples of the permutation", affects="data", ge=1)


class Divided(Dataset):
    """Data without an official test part."""

    split: Division = Field(default_factory=Division, description="how samples are divided into training, validation and test")


class HeldOut(Dataset):
    """Data with an official test part, which is kept."""

    split: Holdout = Field(default_factory=Holdout, description="how the official training part is divided into training and validation")


class Labelled(Dataset):
    """Data whose samples may carry a class."""

    labels: int | None = knob(
        None, "how many training samples have a known label: the first ones of the permutation (default: all)", affects="data", ge=0)
    exclude: Exclude | None = knob(None, "classes left out of training and validation; they stay in the test part", affects="data")


class OwnLabels(Labelled):
    """Labels of a user's own data, whose classes no list knows beforehand."""

    classes: int | None = knob(
        None, "how many classes the labels have; only needed beside `shape`, otherwise counted", affects="data", ge=1)


class Pictured(Dataset):
    """Data that may be images."""

    size: Annotated[int, Field(ge=1)] | Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=2, max_length=2)] | None = knob(
        None, "height and width to resize and crop images to: the middle of the image, scaled to cover them (one number: a square)",
        affects="data")
    pad: int = knob(0, "rows and columns of zeros (black) added on each side of an image, after `size` and before `scale`",
                    affects="data", ge=0)

    binarize: Literal["static", "dynamic"] | None = knob(
        None, "zeros and ones drawn from grey values in [0, 1]; static: once, the same for the same image; dynamic: anew each time that it "
        "is trained on, and once for validation and test", affects="data")

    @property
    def wanted_size(self) -> tuple[int, int] | None:
        """Height and width to resize to."""
        if self.size is None:
            return None
        return (self.size, self.size) if isinstance(self.size, int) else (self.size[0], self.size[1])


class OnDisk(Dataset):
    """A user's own data, found by path."""

    path: str = knob(..., "file or folder, relative to the spec", affects="data", min_length=1)
    shape: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1, max_length=4)] | None = knob(
        None, "what the encoder gets, so that checking a spec reads no data: [D] a vector, [T, D] a sequence "
        "([C, L] a waveform with `as: grid`), [C, H, W] an image", affects="data")

    def located(self, base: Path) -> Self:
        """With absolute paths in place of those relative to `base`."""
        return self.but(path=str((base / self.path).absolute()))

    def type_of(self, shape: tuple[int, ...]) -> Value:
        """The type that `shape` declares."""
        return of_shape(shape)


class Streamable(Dataset):
    """Data that can be read from disk batch by batch."""

    stream: bool | None = knob(
        None, "whether samples stay on disk and are read batch by batch, in an order that mixes neighbouring blocks of the files "
        "(default: if they would take more than half of the memory that data may take)", affects="data")


class Known(Dataset):
    """A published data set, kept in its own folder under a root."""

    root: str | None = knob(
        None, "folder that holds the known data sets, relative to the spec (default: the environment variable AEBUILD_DATA, "
        "else aebuild's cache folder)", affects="data", min_length=1)


class Gapped(Dataset):
    """Data of which some values may be missing; a member says what may become of them."""

    missing: str = knob("error", "what becomes of a missing value", affects="data")


class Tabular(Gapped):
    """How a text table is written, where that is not found out rightly."""

    separator: Literal[",", ";", "\t", "|", " "] | None = knob(
        None, "what stands between the cells of a text table (default: found out from its first rows)", affects="data")
    decimal: Literal[".", ","] | None = knob(None, "decimal mark of a text table (default: found out from its first rows)", affects="data")
    header: bool | None = knob(None, "whether the first line of a text table has the names (default: found out)", affects="data")
    index: bool | None = knob(
        None, "whether the first column only counts the rows or is their time, and is left out (default: found out)", affects="data")
    missing: Literal["error", "mean", "median", "indicator", "mask"] = knob(
        "error", "what becomes of an empty cell, NaN or NA: an error; the mean or median of the column's training samples, of a category "
        "the most frequent; indicator: the mean, and a flag beside it; mask: the mean, and the loss leaves it out", affects="data")
    indicators: Chosen | None = knob(
        None, "the columns whose empty cells get a flag under `missing: indicator` (default: those with an empty cell)", affects="data")


class Columned(Tabular):
    """A table whose rows are samples: which of its columns are what."""

    columns: Chosen | None = knob(
        None, "the columns that are the input, by name or counted from 0 (default: all but label, target, ids, times and texts)",
        affects="data")
    label: Column | None = knob(None, "the column that holds the class; an empty cell is an unknown label", affects="data")
    target: Column | Chosen | None = knob(None, "column or columns to reconstruct instead of the input", affects="data")
    categories: Chosen | dict[str, Annotated[list[str | int], Field(min_length=1)]] | None = knob(
        None, "columns that hold categories, also of numbers, beside those of words that repeat; or each column with its categories, which "
        "are then all there are", affects="data")
    unknown: Literal["error", "other"] = knob(
        "error", "what becomes of a word that is no category of its column: an error; other: a class of its own", affects="data")

    @property
    def targets(self) -> list[Column]:
        """The target columns as a list."""
        return self.target if isinstance(self.target, list) else [] if self.target is None else [self.target]


class Timed(Tabular):
    """A table whose rows are steps of a series: what is made of their time."""

    gaps: Literal["split", "ignore"] = knob(
        "split", "what becomes of a gap in a table's time, a step longer than one and a half usual ones: split: no window crosses it; "
        "ignore: it is a step like any", affects="data")
    every: Annotated[float, Field(gt=0)] | Annotated[str, Field(min_length=1)] | None = knob(
        None, "length of a step, like 10 min: the rows within each are averaged; a number is in units of the time column (default: rows as "
        "they are)", affects="data")
    clock: Annotated[list[Literal["day", "week"]], Field(min_length=1)] | None = knob(
        None, "sine and cosine of the time of day and of the week, as inputs that are not reconstructed", affects="data")

    @property
    def hands(self) -> list[str]:
        """What `clock` tells."""
        return list(self.clock or ())
