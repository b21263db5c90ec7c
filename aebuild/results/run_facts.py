"""What a run directory tells of its training, read without torch; a broken one tells why."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, Literal

from aebuild.lang.diagnostics import CheckpointError
from aebuild.lang.regular_files import open_regular
from aebuild.results.answer_records import figures_of
from aebuild.trainer.run_dir.folder import is_busy
from aebuild.trainer.run_dir.records import DataRecord, Manifest, Record, Whole, record_in
from aebuild.trainer.run_dir.run import Run

State = Literal["finished", "running", "stopped", "diverged", "failed", "died", "damaged"]
TAIL = 1 << 16      # bytes at the end of log.txt in which the last event stands
_EVENT = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (?:(training )|(finished$)|(?:stopped: (.*)))")


class ScoresRecord(Record):
    """The figures of one way to reconstruct, in `evaluation.json`."""

    terms: dict[str, float] = {}
    mse: float | None = None
    psnr: float | None = None
    accuracy: float | None = None
    metrics: dict[str, float] = {}


class NamedScoresRecord(ScoresRecord):
    """Those of a baseline with a name of its own."""

    name: str


class EvaluationRecord(Record):
    """`evaluation.json`."""

    split: str
    samples: Whole
    code_values: Whole
    code_bits: float
    model: ScoresRecord
    pca: ScoresRecord | None = None
    mean: ScoresRecord | None = None
    most_frequent: ScoresRecord | None = None
    plain: NamedScoresRecord | None = None
    tasks: dict[str, dict[str, float]] = {}

    def columns(self) -> Iterator[tuple[str, ScoresRecord]]:
        """The model, then the baselines that were judged beside it."""
        yield "model", self.model
        for name, scores in (("PCA", self.pca), ("mean", self.mean), ("most frequent token", self.most_frequent)):
            if scores is not None:
                yield name, scores
        if self.plain is not None:
            yield self.plain.name, self.plain


class PlanRecord(Record):
    """What a list of runs reads of `plan.json`."""

    name: str
    parameters: Whole
    code: str
    code_bits: float
    macs: Whole


@dataclass(frozen=True)
class RunFacts:
    """One run: what was trained on what, how it ended, and its figures; what is unknown is None.

    `score` is the validation score of the kept checkpoint, or of the last epoch where the last weights are kept; `seconds` is the time
    of the training, all resumes together; `reason` says why a run is not finished.
    """

    folder: Path
    state: State
    reason: str = ""
    spec: str | None = None
    data: str | None = None
    started: str | None = None
    parameters: int | None = None
    macs: int | None = None
    code: str | None = None
    code_bits: float | None = None
    score: float | None = None
    epochs: int | None = None
    steps: int | None = None
    seconds: float | None = None
    evaluation: EvaluationRecord | None = field(default=None, repr=False)

    @property
    def reconstruction(self) -> float | None:
        """The reconstruction term of the judged split."""
        value = None if self.evaluation is None else self.evaluation.model.terms.get("reconstruction")
        return value if value is not None and isfinite(value) else None

    @property
    def error_of_pca(self) -> float | None:
        """The squared error as a multiple of that of PCA with a code of the same size: below one is better than PCA."""
        found = self.evaluation
        if found is None or found.pca is None or not found.pca.mse or found.model.mse is None:
            return None
        ratio = found.model.mse / found.pca.mse
        return ratio if isfinite(ratio) else None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        told = {name: getattr(self, name) for name in ("state", "reason", "spec", "data", "started", "parameters", "macs", "code",
                                                       "code_bits", "score", "epochs", "steps", "seconds")}
        evaluation = None if self.evaluation is None else json.loads(self.evaluation.model_dump_json(exclude_none=True))     # no NaN
        return {"folder": str(self.folder), **told, "evaluation": evaluation}


def run_facts(folder: Path) -> RunFacts:
    """The facts of a run directory; whatever is wrong with it becomes the state `damaged` and its reason."""
    try:
        return _facts(Run.open(folder))
    except CheckpointError as error:
        return RunFacts(folder, "damaged", error.diagnostics[0].message, started=_started(folder))
    except OSError as error:
        return RunFacts(folder, "damaged", f"cannot read {error.filename or folder}: {error.strerror}")


def _facts(run: Run) -> RunFacts:
    told = record_in(run.folder / "plan.json", PlanRecord)
    record_in(run.folder / "data.json", DataRecord)
    records = run.journal.read()
    data, keep = _of_spec(run.spec)
    place = run.folder / "evaluation.json"
    evaluation = record_in(place, EvaluationRecord) if os.path.lexists(place) else None
    if evaluation is not None:
        evaluation = evaluation.model_copy(update={"tasks": evaluation.tasks | figures_of(run.folder)})
    state, reason = _state(run.folder, evaluation is not None)
    trained = [record for record in records if record.get("split") == "train"]
    return RunFacts(run.folder, state, reason, told.name, data, _started(run.folder), told.parameters, told.macs, told.code,
                    told.code_bits, _score(records, keep), len(trained) or None, _last(trained, "step"), _last(trained, "seconds"),
                    evaluation)


def _last(records: list[dict[str, Any]], name: str) -> Any:          # an int or a float, as it was written
    value = records[-1].get(name) if records else None
    return value if isinstance(value, int | float) and isfinite(value) else None


def _score(records: list[dict[str, Any]], keep: str) -> float | None:
    judged = [record for record in records if record.get("split") == "validation"]
    score: float | None = _last([record for record in judged if record.get("best")] if keep == "best" else judged, "score")
    return score


def _of_spec(text: str) -> tuple[str | None, str]:
    """The data as the spec names them, in a few words, and which checkpoint is kept."""
    from aebuild.lang.source import read

    tree = read(text, "spec.yaml")[0]
    plain = tree.plain() if tree is not None else {}
    spec: dict[str, Any] = plain if isinstance(plain, dict) else {}
    train = spec.get("train")
    keep = train.get("keep", "best") if isinstance(train, dict) else "best"
    data = spec.get("data")
    if isinstance(data, dict):
        words = [str(data.get("type", ""))] + ([Path(str(data["path"])).name] if "path" in data else [])
        return " ".join(filter(None, words)) or None, str(keep)
    return (None if data is None else str(data)), str(keep)


def _started(folder: Path) -> str | None:
    """When its training began for the first time, as log.txt tells."""
    try:
        with open_regular(folder / "log.txt") as stream:
            match = _EVENT.match(stream.readline(4096).decode("utf-8", "replace").rstrip("\n"))
    except OSError:
        return None
    return match[1] if match is not None else None


def _state(folder: Path, evaluated: bool) -> tuple[State, str]:
    """How the training ended, from the last event of its log; whether it goes on, from its lock."""
    event = _last_event(folder)
    if event is not None and event[4] is not None:
        message = event[4]
        state: State = "stopped" if message.startswith("AE506") else "diverged" if message.startswith("AE701") else "failed"
        return state, message
    finished = event is not None and event[3] is not None
    if finished and evaluated:
        return _weights(folder)
    if is_busy(folder):
        return "running", "being evaluated" if finished else ""
    return "died", f"ended without a word {'before it was evaluated' if finished else 'while it trained'}; it can be resumed"


def _last_event(folder: Path) -> re.Match[str] | None:
    try:
        with open_regular(folder / "log.txt") as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - TAIL))
            lines = stream.read(TAIL).decode("utf-8", "replace").splitlines()
    except OSError:
        return None
    return next((match for line in reversed(lines) if (match := _EVENT.match(line)) is not None), None)


def _weights(folder: Path) -> tuple[State, str]:
    """Finished, if a checkpoint has every file in its full size; contents are verified where they are loaded."""
    place, found = folder / "checkpoints", False
    for manifest in sorted(place.glob("*/manifest.json")):
        try:
            seals = record_in(manifest, Manifest).files
            found = found or all((manifest.parent / name).stat().st_size == seal.bytes for name, seal in seals.items())
        except (CheckpointError, OSError):
            continue
    return ("finished", "") if found else ("damaged", f"{place} holds no checkpoint whose files are all there in their full size")
