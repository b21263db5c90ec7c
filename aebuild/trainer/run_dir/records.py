"""The JSON of a run directory as it must be: read within bounds and held to its form."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import from_json

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule
from aebuild.lang.regular_files import open_regular, read_regular

PLUGINS = "plugins.json"
LIMIT = 256 * 2**20      # bytes of one document: a run writes some kilobytes, or the states of very many parameters
NOT_A_RUN = Rule("AE502", "this is not a run directory", """
A run directory holds `spec.yaml`, `plan.json`, `data.json`, `environment.json` and `checkpoints`. Everything after
training reads only these files. Here one of them is missing or is not what it should be.

```console
$ aebuild train --resume runs                            # the folder above: refused
$ aebuild train --resume runs/vae-20260102-030405        # a run
```
""")

Whole = Annotated[int, Field(ge=0, lt=2**63)]
Positive = Annotated[int, Field(ge=1, lt=2**63)]
Number = Annotated[float, Field(allow_inf_nan=False)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=255)]
SplitName = Literal["train", "validation", "test"]
M = TypeVar("M", bound="Record")


class Malformed(ValueError):
    """A document that is not what aebuild writes; the message says where."""


class Record(BaseModel):
    """Something that stands in a file; what later versions add to it is passed over."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")


class EpochRecord(Record):
    """A line of `metrics.jsonl`, as far as curves are made of it."""

    phase: str
    epoch: Whole
    step: Whole
    split: SplitName
    loss: float
    terms: dict[str, float]
    score: float | None = None
    lr: dict[str, float] = {}


class Seal(Record):
    """Size and hash of a file."""

    bytes: Whole
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Manifest(Record):
    """`manifest.json` of a checkpoint."""

    format: int
    files: dict[Name, Seal]


class Lie(Record):
    """How one tensor lies in the files of several processes."""

    shape: list[Whole]
    rows: list[Whole] | None = None


class LayoutRecord(Record):
    """`layout.json` of a checkpoint in pieces."""

    pieces: Positive
    model: dict[str, Lie] = {}
    trainer: dict[str, Lie] = {}


class BestRecord(Record):
    """The best score of a phase."""

    score: Number
    epoch: Whole
    step: Whole


class ProgressRecord(Record):
    """Where a training stands."""

    phase: Whole
    step: Whole
    total: Whole
    tick: Whole
    seconds: Annotated[Number, Field(ge=0)]
    best: BestRecord | None


class SumsRecord(Record):
    """Running sums of an epoch that has begun."""

    names: list[str]
    sums: Any
    samples: Whole


class RateRecord(Record):
    """The learning rate of a player."""

    factor: Number
    schedule: dict[str, Any] | None


class OptimizerRecord(Record):
    """The state of a torch optimiser."""

    state: dict[Whole, dict[str, Any]]
    param_groups: Annotated[list[dict[str, Any]], Field(min_length=1)]


class PlayerRecord(Record):
    """A player's optimiser and rate."""

    optimizer: OptimizerRecord
    rate: RateRecord


class MathsRecord(Record):
    """Hashes of what the weights depend on; `data` is absent in checkpoints of earlier versions."""

    objective: str
    training: str
    data: str | None = None


class StateRecord(Record):
    """`state.json` of a `step-N`, its tensors in their places."""

    progress: ProgressRecord
    sums: list[SumsRecord]
    validation: dict[str, Number]
    active: dict[str, PlayerRecord] | None
    maths: MathsRecord
    clock: Annotated[list[Positive], Field(min_length=3, max_length=3)]
    journal: Whole


class BestState(Record):
    """`state.json` of a `best-N`."""

    progress: ProgressRecord


class SchemaRecord(Record):
    """What samples and targets were, and the names that the data gave."""

    value: str
    target: str
    columns: list[str] | None
    target_columns: list[str] | None
    classes: list[str] | None


class Fingerprint(Record):
    """What the data were."""

    schema_: SchemaRecord = Field(alias="schema")
    counts: dict[SplitName, Whole]
    contents: dict[SplitName, str]
    labels: dict[SplitName, str | None]
    files: dict[Literal["names", "sizes", "times"], str] | None


class Origin(Record):
    """`origin.json`: the spec as it was accepted, the data's fingerprint, and where known data sets were found."""

    spec: str
    data: Fingerprint | None = None
    root: str | None = None


class PluginRecord(Record):
    """A plug-in that a run is made of: where it was, the hash of its text, its copy in the run, and what it declares."""

    path: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    copy_: Name = Field(alias="copy")
    parts: list[str]


class PluginsRecord(Record):
    """`plugins.json`."""

    plugins: list[PluginRecord]


class ValueRecord(Record):
    """A value type; tokens tell how many symbols there are."""

    kind: Literal["vector", "sequence", "grid", "tokens"]
    shape: Annotated[list[Positive], Field(min_length=1, max_length=4)]
    classes: Positive | None = None


class FieldRecord(Record):
    """A column of a table within a sample."""

    name: str
    kind: Literal["number", "category", "flag", "missing"]
    offset: Whole
    width: Positive
    words: list[str]


class RangeRecord(Record):
    """An interval, and the columns of a table; those are absent in runs of earlier versions."""

    low: float | None
    high: float | None
    integer: bool
    fields: list[FieldRecord] = []


class FactorRecord(Record):
    """What samples were made from."""

    name: str
    values: Whole
    ordered: bool


class InfoRecord(Record):
    """What is known of data."""

    value: ValueRecord
    target: ValueRecord
    range: RangeRecord
    target_range: RangeRecord
    scale: str
    counts: dict[SplitName, Whole | None]
    detected: str
    labelled: bool
    classes: Whole | None
    class_names: list[str] | None
    columns: list[str] | None
    target_columns: list[str] | None
    ragged: bool = False
    factors: list[FactorRecord] = []
    found: dict[str, str | int | float | list[str]] = Field(default_factory=dict)


class ScalingRecord(Record):
    """A fitted scaling."""

    kind: str
    offset: Annotated[list[Number], Field(min_length=1)]
    factor: Annotated[list[Number], Field(min_length=1)]
    last: bool
    low: Number | None
    high: Number | None
    fill: list[Number] = []


class DataRecord(Record):
    """`data.json`."""

    info: InfoRecord
    scaling: ScalingRecord
    target_scaling: ScalingRecord | None


class ExecutionRecord(Record):
    """`execution.json`; the plan itself has its own form."""

    asked: str
    execution: dict[str, Any]


def decoded(data: bytes, what: str) -> Any:
    """JSON of any depth and size that is within reason; Malformed where it is none."""
    try:
        return from_json(data)
    except (ValueError, RecursionError) as error:
        raise Malformed(f"{what} is not JSON: {error}") from error


def held(model: type[M], value: Any, what: str) -> M:
    """The value as the model wants it; Malformed names the first place where it is not."""
    try:
        return model.model_validate(value)
    except (ValidationError, RecursionError) as error:
        raise Malformed(f"{what} is not what aebuild writes{_first(error)}") from error


def _first(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return ""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(step) for step in first["loc"][:6])
    return f": {place}: {first['msg'].lower()}" if place else f": {first['msg'].lower()}"


def read_document(path: Path) -> bytes:
    """The bytes of a file of the run; CheckpointError if it is no regular file, too large or cannot be read."""
    try:
        return read_regular(path, LIMIT)
    except OSError as error:
        raise CheckpointError(Diagnostic(NOT_A_RUN, f"cannot read {path}: {error.strerror or error}")) from error


def mapping(data: bytes, what: str) -> dict[str, Any]:
    """The mapping in a JSON text; Malformed if it holds none."""
    value = decoded(data, what)
    if not isinstance(value, dict):
        raise Malformed(f"{what} is not what aebuild writes: it holds no mapping")
    return value


def mapping_in(path: Path) -> dict[str, Any]:
    """The mapping in a JSON file of the run; CheckpointError if it holds none."""
    with not_a_run(path):
        return mapping(read_document(path), str(path))


def record_in(path: Path, model: type[M]) -> M:
    """A JSON file of the run in its form; CheckpointError if it is not that."""
    with not_a_run(path):
        return held(model, mapping_in(path), str(path))


def recorded_plugins(folder: Path) -> list[PluginRecord]:
    """The plug-ins that a run's parts are from; CheckpointError if the file that tells it is not what aebuild writes."""
    path = folder / PLUGINS
    return record_in(path, PluginsRecord).plugins if os.path.lexists(path) else []


@contextmanager
def not_a_run(path: Path) -> Iterator[None]:
    """Turns what is malformed in a file of the run into the CheckpointError that names it."""
    try:
        yield
    except Malformed as error:
        hint = Hint(f"copy {path.name} again from its source, or train anew")
        raise CheckpointError(Diagnostic(NOT_A_RUN, str(error), fix=hint)) from error


def check_regular(folder: Path) -> None:
    """CheckpointError if something in a run directory is neither a regular file nor a folder: it may never answer."""
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if not path.is_dir() and path.exists():
                try:
                    open_regular(path).close()
                except PermissionError:
                    continue                     # a file that cannot be read is told where it is read
                except OSError as error:
                    raise CheckpointError(Diagnostic(NOT_A_RUN, f"{path} {error.strerror}", fix=Hint(f"remove {path}"))) from error


