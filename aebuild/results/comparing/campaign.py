"""A campaign: a folder of trainings that belong together, with a record of what was asked.

`KIND.json` is the record, `specs/NAME.yaml` each contestant's whole spec, `runs/NAME-SEED` an ordinary run directory for each training,
`logs/NAME-SEED.jsonl` what its process told.
"""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from aebuild.lang.diagnostics import CheckpointError, Diagnostic, Hint, Rule, UsageError
from aebuild.lang.printable import clean
from aebuild.results.run_facts import RunFacts, run_facts
from aebuild.trainer.run_dir.atomic_files import replace_file, replace_json, storing
from aebuild.trainer.run_dir.folder import Lock, is_run, reserved
from aebuild.trainer.run_dir.records import Name, Record, Whole, record_in

LONGEST = 60          # characters of a value in a message
Kind = Literal["bakeoff", "sweep"]
OTHER = Rule("AE606", "the folder holds another comparison", """
A bakeoff or a sweep goes on in the folder where it began: the same command with the same `-o` does it, or `--resume FOLDER`, which needs
nothing else. Specs, data and budget stay what they were, for else finished runs would not compare with new ones. More seeds and further
tasks may be asked for.

```console
$ aebuild bakeoff vae vqvae -o runs/two                    # begins, or goes on
$ aebuild bakeoff vae vqvae --epochs 50 -o runs/two        # another budget: refused
$ aebuild bakeoff --resume runs/two --seeds 10             # the same with more seeds
```
""")
NO_CAMPAIGN = Rule("AE607", "there is nothing to go on with in this folder", """
A bakeoff is recognised by its `bakeoff.json`, a sweep by its `sweep.json`. The folder has none, or not one that aebuild wrote.

```console
$ aebuild bakeoff --resume runs                            # the folder above: refused
$ aebuild bakeoff --resume runs/bakeoff-20260102-030405
```
""")
CHANGED = Rule("AE875", "a spec of the comparison that is not as it was", """
The folder of a bakeoff or sweep keeps the whole spec of each contestant under `specs/`, and trains further seeds with it. One that was
edited there would stand in the same row as the runs of the old one. Whoever wants another spec begins another comparison with it. One
that was lost is written anew by the command that began it, with the same `-o`.

```console
$ aebuild bakeoff --resume runs/two                  # specs/vae.yaml was edited: refused
$ aebuild bakeoff vae vqvae -o runs/two              # writes it as it was, and goes on
```
""")


class MatchRecord(Record):
    """How the widths of a contestant were changed to reach a budget."""

    measure: str
    reference: str
    target: float
    before: float
    reached: float
    settings: dict[str, int]
    reason: str = ""          # why it could not be reached


class ContestantRecord(Record):
    """One spec of the comparison; `values` are those that a sweep varied."""

    name: Name
    values: dict[str, Any] = {}
    matched: MatchRecord | None = None
    refused: str = ""         # why its spec cannot be built
    sha256: str = ""          # of its spec; older records do not know it


class CampaignRecord(Record):
    """`bakeoff.json` or `sweep.json`."""

    kind: Kind
    contestants: list[ContestantRecord]
    seeds: Annotated[list[Whole], Field(min_length=1)]
    tasks: list[str] = []
    asked: dict[str, Any] = {}
    text: str = ""            # what the trials of a sweep change, in a form in which its paths can be set
    base: str = ""            # where the paths in it begin


@dataclass(frozen=True)
class Training:
    """One contestant trained with one seed."""

    contestant: str
    seed: int

    def __str__(self) -> str:
        return f"{self.contestant}-{self.seed}"


class Campaign:
    """A folder that this process writes: its record, its specs, and where its runs are."""

    def __init__(self, folder: Path, record: CampaignRecord, lock: Lock) -> None:
        self.folder, self.record, self._lock = folder, record, lock

    def __enter__(self) -> Campaign:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Leaves the folder to others if something goes wrong within."""
        try:
            yield
        except BaseException:
            self.__exit__()
            raise

    @property
    def file(self) -> Path:
        """Its record."""
        return self.folder / f"{self.record.kind}.json"

    @property
    def resume_command(self) -> str:
        """What goes on with it."""
        return f"aebuild {self.record.kind} --resume {shlex.quote(str(self.folder))}"

    def spec_file(self, contestant: str) -> Path:
        """The whole spec of a contestant."""
        return self.folder / "specs" / f"{contestant}.yaml"

    def run(self, training: Training) -> Path:
        """The run directory of a training."""
        return self.folder / "runs" / str(training)

    def log(self, training: Training) -> Path:
        """What its process told, as JSON lines."""
        return self.folder / "logs" / f"{training}.jsonl"

    def trainings(self) -> list[Training]:
        """Every contestant with every seed, all contestants with the first seed before the second begins."""
        return [Training(each.name, seed) for seed in self.record.seeds for each in self.record.contestants if not each.refused]

    def facts(self, training: Training) -> RunFacts | None:
        """What its run directory tells; None where there is none yet."""
        folder = self.run(training)
        return run_facts(folder) if is_run(folder) else None

    def clear(self, training: Training) -> None:
        """Takes away what a process left that died while it made the run directory: nothing was trained in it."""
        folder = self.run(training)
        with storing(folder):
            if folder.exists() and not is_run(folder):
                shutil.rmtree(folder)

    def write(self, record: CampaignRecord, texts: Mapping[str, str]) -> None:
        """Keeps a record and specs that are new."""
        for place in ("specs", "runs", "logs"):
            with storing(self.folder / place):
                (self.folder / place).mkdir(exist_ok=True)
        for name, text in texts.items():
            replace_file(self.spec_file(name), text.encode())
        sealed = [each if each.name not in texts else each.model_copy(update={"sha256": _digest(texts[each.name])})
                  for each in record.contestants]
        self.record = record.model_copy(update={"contestants": sealed})
        replace_json(self.file, self.record.model_dump(mode="json"))

    def check_specs(self) -> None:
        """UsageError where a spec is gone or not as it was."""
        for each in self.record.contestants:
            if each.refused:
                continue
            text = _read(self.spec_file(each.name))
            if text is None or each.sha256 not in ("", _digest(text)):
                raise UsageError(Diagnostic(CHANGED, f"{self.spec_file(each.name)} is {'gone' if text is None else 'not as it was'}",
                                            fix=Hint(f"put it back, or repeat the command that began the {self.record.kind}, with "
                                                     f"-o {shlex.quote(str(self.folder))}: it writes its specs again")))


def begin(record: CampaignRecord, texts: Mapping[str, str], output: Path | None) -> Campaign:
    """A new campaign, or the one in `output` gone on with, if the same was asked; UsageError if another is there."""
    if output is not None and (output / f"{record.kind}.json").is_file():
        campaign = _opened(output, record.kind)
        with campaign.kept():
            _check_same(campaign, record, texts)
            campaign.write(extended(campaign.record, record.seeds, record.tasks), texts)
            campaign.check_specs()
        return campaign
    folder, _ = reserved(record.kind, output, Path("runs"))
    campaign = Campaign(folder, record, Lock(folder / "lock"))
    campaign.write(record, texts)
    return campaign


def reopen(folder: Path, kind: Kind) -> Campaign:
    """The campaign in a folder; UsageError if there is none or its specs were changed, BusyError if another process works on it."""
    campaign = _opened(folder, kind)
    with campaign.kept():
        campaign.check_specs()
    return campaign


def _opened(folder: Path, kind: Kind) -> Campaign:
    try:
        record = record_in(folder / f"{kind}.json", CampaignRecord)
        if kind == "bakeoff" and not record.contestants:
            raise CheckpointError(Diagnostic(NO_CAMPAIGN, f"{folder / 'bakeoff.json'} names no spec"))
    except CheckpointError as error:
        raise UsageError(Diagnostic(NO_CAMPAIGN, f"{folder} holds no {kind}: {error.diagnostics[0].message}",
                                    fix=Hint(f"give the folder that `aebuild {kind}` made"))) from error
    return Campaign(folder, record, Lock(folder / "lock"))


def extended(record: CampaignRecord, seeds: list[int], tasks: list[str]) -> CampaignRecord:
    """The record with the seeds and tasks that are new."""
    return record.model_copy(update={"seeds": list(dict.fromkeys([*record.seeds, *seeds])),
                                     "tasks": list(dict.fromkeys([*record.tasks, *tasks]))})


def _check_same(campaign: Campaign, record: CampaignRecord, texts: Mapping[str, str]) -> None:
    held = campaign.record
    differs = [f"{key} was {_short(held.asked.get(key))} and is {_short(record.asked.get(key))}" for key in {**held.asked, **record.asked}
               if held.asked.get(key) != record.asked.get(key)]
    old, new = ([each.name for each in one.contestants] for one in (held, record))
    if held.kind == "bakeoff" and old != new:
        differs.append(f"its specs are {', '.join(old)}, not {', '.join(new)}")
    else:
        known = {each.name: each.sha256 for each in held.contestants}
        differs += [f"the spec {name} is another one" for name, text in texts.items()
                    if (_digest(text) != known[name] if known.get(name) else _read(campaign.spec_file(name)) != text)]
    if differs:
        raise UsageError(Diagnostic(OTHER, f"{campaign.folder} holds another {held.kind}: {'; '.join(differs[:3])}",
                                    fix=f"{campaign.resume_command}, or give another path"))


def _short(value: object) -> str:
    text = clean(repr(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _read(path: Path) -> str | None:
    return path.read_bytes().decode("utf-8", "replace") if path.is_file() else None


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
