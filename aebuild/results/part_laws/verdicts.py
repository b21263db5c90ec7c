"""A plug-in's parts before the laws, one verdict for each part and law."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from aebuild.compile.front import Loaded, load
from aebuild.compile.plugins import Plugin, within
from aebuild.lang.part import Part
from aebuild.results.part_laws.alive import DECLARED, LOCAL, Trials, dead_or_stray
from aebuild.results.part_laws.examples import own_example, specs_of
from aebuild.results.part_laws.knobs import knobs_of
from aebuild.results.part_laws.laws import LAWS, Shown

TOLD = ("export",)
EXACT = ["train.speed=exact", *LOCAL]


@dataclass(frozen=True)
class Verdict:
    """What one law says of one part: nothing wrong if `wrong` is empty; `place` is a line of the file, if one is to blame."""

    part: str
    law: str
    meaning: str
    wrong: tuple[str, ...] = ()
    place: str = ""

    @property
    def binding(self) -> bool:
        """False for what is only told: a model that cannot be exported trains all the same."""
        return self.law not in TOLD

    @property
    def holds(self) -> bool:
        """True if nothing is wrong."""
        return not self.wrong


def _sentence(doc: str | None) -> str:
    words = (doc or "").partition("\n")[0].rstrip(".")
    return words if words.startswith("torch") else words[:1].lower() + words[1:]


MEANINGS = {
    "class": "it has an example, and each number declares what it affects",
    "example": "its example validates without a finding, and it stands in it",
    "numbers": "each number changes what its field declares, and nothing outside it",
    **{name: _sentence(law.__doc__) for name, law in LAWS.items()},
}


def judged(plugin: Plugin) -> Iterator[Verdict]:
    """A verdict for each part of the plug-in and each law; a part without a proper example is judged by no further law."""
    for part in plugin.parts:
        name = f"{part.family} {part.variant_name()}"
        shown: list[Shown] = []
        for law, ask in (("class", lambda part=part: _declared(part)),
                         ("example", lambda part=part, shown=shown: _example(part, plugin.path, shown))):
            yield (verdict := _asked(plugin, name, law, ask))
            if not verdict.holds:
                break
        else:
            yield _asked(plugin, name, "numbers", lambda part=part: _numbers(part, plugin.path.parent))    # type: ignore[misc]
            for law, holds in LAWS.items():
                yield _asked(plugin, name, law, lambda holds=holds, shown=shown: [wrong for one in shown for wrong in holds(one)])  # type: ignore[misc]


def _asked(plugin: Plugin, name: str, law: str, ask: Callable[[], Sequence[str]]) -> Verdict:
    """The verdict; an exception of the part is one too, with its line."""
    try:
        return Verdict(name, law, MEANINGS[law], tuple(dict.fromkeys(ask())))
    except Exception as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(plugin.path)]
        said = next((line for line in str(error).splitlines() if line.strip()), "")
        return Verdict(name, law, MEANINGS[law], (f"{type(error).__name__}: {said}",), f"{plugin.path}:{lines[-1]}" if lines else "")


def _declared(part: type[Part]) -> list[str]:
    found = [] if own_example(part) else ["it has no `example`: a small spec, or the keys of one, in which it stands"]
    return found + [f"{knob.name} declares no `affects`; make it a knob(..., affects=...) of {', '.join(sorted(DECLARED))}"
                    for knob in knobs_of(part) if knob.affects not in DECLARED]


def _example(part: type[Part], file: Path, shown: list[Shown]) -> list[str]:
    """What is wrong with the example; specs that are right are added to `shown`."""
    found = []
    for text in specs_of(own_example(part)):
        loaded = load(file.parent / f"{file.stem}.yaml", EXACT, text=text)
        found += [f"line {each.span.line if each.span else 1} of the example: {each.code} {each.message}" for each in loaded.diagnostics]
        if loaded.plan is not None and not loaded.errors:
            if part not in _standing(loaded):
                found.append("it does not stand in its example")
            shown.append(Shown(part, loaded))
    return found


def _standing(loaded: Loaded) -> set[type]:
    assert loaded.plan is not None
    return {type(each) for each in (*within(loaded.plan.spec), *(node.part for node in loaded.plan.nodes()))}


def _numbers(part: type[Part], folder: Path) -> list[str]:
    trials = Trials(folder, specs_of(own_example(part)))
    return [f"{knob.name}: {wrong}" for knob in knobs_of(part) if (wrong := dead_or_stray(knob, trials))]
