"""A first spec for a user's data: what they are, a model that fits them, and why."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.compile.front import Loaded, load
from aebuild.data.assemble import assemble
from aebuild.data.detect import is_path
from aebuild.lang.dataset import Dataset, Sampled, Where
from aebuild.lang.diagnostics import AebuildError, DataError, Diagnostic, Hint, Rule, UsageError
from aebuild.lang.emit import emit
from aebuild.lang.suggestion import Suggestion
from aebuild.parts import discover
from aebuild.results.advising.candidates import WEIGHTS, Goal
from aebuild.results.advising.commented_yaml import commented
from aebuild.results.advising.model_choice import Choice, choose
from aebuild.results.advising.sample_statistics import SampleStatistics, statistics_of

if TYPE_CHECKING:
    from aebuild.data.raw_samples import Raw

SPEC_EXISTS = Rule("AE553", "a file of this name is already there", """
`aebuild init` writes a fresh spec, and a spec that was edited since is worth keeping. Choose another name, or say `--force`.

```console
$ aebuild init sensors.csv -o sensors.yaml            # it is there already: refused
$ aebuild init sensors.csv -o sensors.yaml --force    # replaces it
```
""")
TOO_LITTLE = Rule("AE554", "data from which no code can be learned", """
An autoencoder finds what many samples have in common. There must be some samples, they must differ, and a sample must have more than
one number, else no code is smaller than it.

```console
$ aebuild init one_column.csv         # rows of one number: refused
$ aebuild init sensors.csv            # a time column and several measurements: windows over time
```
""")
UNSERVED = Rule("AE555", "a goal that no autoencoder of these data serves", """
Some goals ask for what a kind of data does not have: symbols are names, so no noise can be added to them that a model could learn to take
away. `aebuild advise` lists why each family was left out.

```console
$ aebuild advise notes.txt --goal denoise         # refused: letters have no noise
$ aebuild advise notes.txt --goal represent
```
""")
LOOKED_AT = 2_000       # training samples
LEAST = 20              # samples of all
_KEY = re.compile(r"[a-z_]+: ")
_NAME = re.compile(r"[^A-Za-z0-9_-]+")


@dataclass(frozen=True)
class Seen:
    """Data that were looked at: what to write under `data`, why, and their figures."""

    data: Any
    suggestion: Suggestion
    part: Dataset
    statistics: SampleStatistics
    detected: str


@dataclass(frozen=True)
class Written:
    """A spec that was written for data: what they are, what was chosen for them, and the text."""

    goal: Goal
    seen: Seen
    choice: Choice
    text: str


def init_spec(data: str, goal: Goal | None = None, folder: Path = Path(), say: Callable[[str], None] = lambda message: None) -> str:
    """The text of a spec that lies in `folder`, over data that are a path from here or the name of a known data set.

    DataError where the data cannot be read, nothing can be learned from them, or no family serves the goal.
    """
    return write(data, goal, folder, say).text


def write(data: str, goal: Goal | None = None, folder: Path = Path(), say: Callable[[str], None] = lambda message: None, *,
          verb: str = "init") -> Written:
    """The same spec with what it was chosen by."""
    discover()
    wanted = goal or "represent"
    with _no_spec_yet():
        seen = look_at(data, folder, say)
    choice = choose(seen.statistics, wanted)
    if choice.chosen.rejected:
        others = ", ".join(other for other in WEIGHTS if other != wanted)
        raise DataError(Diagnostic(UNSERVED, f"no autoencoder of these data serves the goal {wanted}: {choice.chosen.rejected}",
                                   fix=Hint(f"another --goal: {others}")))
    spec: dict[str, Any] = {"name": _name(data), "data": seen.data, **choice.spec}
    reasons = {**{f"data.{key}": why for key, why in seen.suggestion.reasons.items()}, **choice.reasons}
    if wanted == "anomaly" and seen.statistics.classes:
        _without_anomalies(spec, reasons, seen)
    ordered = [key for key in ("name", "data", "corrupt", "encoder", "latent", "decoder", "losses", "train", "allow") if key in spec]
    text = commented({key: spec[key] for key in ordered}, reasons, _head(data, goal, seen, verb))
    load(folder / "spec.yaml", text=text).require()
    return Written(wanted, seen, choice, text)


@contextmanager
def _no_spec_yet() -> Iterator[None]:
    """What is wrong with the data, without places in a spec that nobody has: what is to be changed there is said to belong there."""
    try:
        yield
    except AebuildError as error:
        raise type(error)(*map(_unplaced, error.diagnostics)) from error


def _unplaced(found: Diagnostic) -> Diagnostic:
    fix = found.fix
    if fix is not None and not isinstance(fix, Hint) and _KEY.match(fix):
        fix = Hint(f"a spec of your own, with {fix} under data")
    return replace(found, span=None, path="", fix=fix)


def look_at(data: str, folder: Path, say: Callable[[str], None]) -> Seen:
    """Finds out what the data are, by the kind that reads them, and reads some."""
    named = not os.path.exists(data) and not is_path(data)             # whether there is one of that name is for the binder to say
    keys: dict[str, Any] = {} if named else {"path": _beside(data, folder)}
    where, suggestion = Where(folder, say=say), Suggestion()
    part = _part(data if named else keys, folder)
    for _ in range(2):                                   # a table that turns out to be a series is asked again as one
        suggestion = suggestion.joined(part.suggestion(where))
        if not suggestion.keys:
            break
        part = _part({**keys, **suggestion.keys}, folder)
        if "type" not in suggestion.keys:
            break
    raw = part.read(where)
    statistics, detected = _statistics(part, raw, say)
    written = data if named and not suggestion.keys else {**({"type": data} if named else keys), **suggestion.keys}
    return Seen(_typed_first(written), suggestion, part, statistics, detected)


def _typed_first(written: Any) -> Any:
    return written if isinstance(written, str) or "type" not in written else {"type": written["type"], **written}


def _part(data: Any, folder: Path) -> Dataset:
    """The data part of a spec; its own error where it cannot be."""
    text = emit({"data": data, "encoder": [], "latent": {"type": "continuous", "dim": 1}})
    loaded: Loaded = load(folder / "spec.yaml", text=text)
    if loaded.spec is None:
        raise loaded.error(*loaded.diagnostics)
    return loaded.spec.data


def _statistics(part: Dataset, raw: Raw, say: Callable[[str], None]) -> tuple[SampleStatistics, str]:
    """Figures of at most LOOKED_AT training samples."""
    whole = len(raw.x["train"])
    if whole < LEAST:
        raise _too_little(f"{whole:,} sample{'s'[:whole != 1]}, fewer than {LEAST}")
    limited = part.but(limit=min(LOOKED_AT, part.limit or LOOKED_AT)) if isinstance(part, Sampled) else part
    splits = assemble(limited, raw, say)
    held = sum(len(split) for name, split in (("validation", splits.validation), ("test", splits.test)) if name not in raw.x)
    seen = statistics_of(splits, max(len(splits.train), whole - held))
    if seen.size < 2:
        raise _too_little("a sample is one number")
    if not seen.spectrum and seen.value.dtype == "float32":
        raise _too_little("all samples that were looked at are the same")
    return seen, splits.info.detected


def _too_little(why: str) -> DataError:
    return DataError(Diagnostic(TOO_LITTLE, f"no code can be learned from these data: {why}", fix=Hint("give more data, or more columns")))


def _without_anomalies(spec: dict[str, Any], reasons: dict[str, str], seen: Seen) -> None:
    """Leaves the class out of training that is the anomaly, where a name or its rarity tells."""
    classes = seen.statistics.classes
    whole = sum(count for _, count in classes)
    named = [name for name, _ in classes if re.search(r"abnormal|anomal|outlier|fault|fraud|attack|defect", name.lower())]
    rare = [name for name, count in classes if len(classes) == 2 and count <= 0.3 * whole]
    odd = named or rare
    if len(odd) != 1 or "exclude" not in type(seen.part).model_fields:
        return
    data = spec["data"]
    spec["data"] = {**({"type": data} if isinstance(data, str) else data), "exclude": {"label": odd[0]}}
    reasons["data.exclude"] = f"training never sees the class {odd[0]}, which is the anomaly by its {'name' if named else 'rarity'}; " \
                              "it stays in the test split, where scores are judged by it"
    spec["allow"] = {"AE702": "the test split holds anomalies, which are meant to be reconstructed badly"}
    reasons["allow"] = "a model that does not know the anomalies may reconstruct the whole test split worse than PCA does"


def _beside(data: str, folder: Path) -> str:
    """The path as the spec writes it: from its own folder, and never a bare word."""
    path = data if os.path.isabs(data) or folder == Path() else os.path.relpath(data, folder)
    ending = "/" if data.endswith("/") and not path.endswith("/") else ""
    return path + ending if "/" in path or "." in path else f"./{path}"


def _name(data: str) -> str:
    stem = Path(data.rstrip("/")).name.split(".")[0]
    return _NAME.sub("_", stem).strip("_")[:40] or "model"


def _head(data: str, goal: Goal | None, seen: Seen, verb: str) -> list[str]:
    asked = f" --goal {goal}" if goal else ""
    counted = f"{seen.statistics.looked_at:,} of the {seen.statistics.samples:,} training samples were looked at" \
        if seen.statistics.looked_at < seen.statistics.samples else f"all {seen.statistics.samples:,} training samples were looked at"
    return [f"Written by `aebuild {verb} {data}{asked}`. Train it with `aebuild train` and this file's name.",
            f"{seen.detected}; {counted}."]


def write_spec(text: str, place: Path, *, force: bool) -> None:
    """Puts the text into a file; UsageError if there is one already."""
    check_free(place, force=force)
    place.write_text(text, encoding="utf-8")


def check_free(place: Path, *, force: bool) -> None:
    """UsageError if the file is there and may not be replaced."""
    if not force and os.path.lexists(place):
        raise UsageError(Diagnostic(SPEC_EXISTS, f"{place} is already there", fix=Hint("give another name, or --force to replace it")))
