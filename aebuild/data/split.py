"""Who trains, validates and tests: counts from counts and shares, blocks of time for windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from aebuild.data.rules import TOO_FEW, UNFIT, WINDOWS
from aebuild.lang.dataset import Dataset, Division, Holdout, Portion, Window
from aebuild.lang.diagnostics import DataError, Diagnostic, Hint, Rule

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

USUAL = 0.1           # share that validates, and that tests
PARTS = ("train", "validation", "test")


def division_of(part: Dataset) -> Division | Holdout:
    """The part's `split`."""
    split = getattr(part, "split", None)
    return split if isinstance(split, Division | Holdout) else Division()


def amount(portion: Portion, of: int) -> int:
    """A count as it is, a share as a rounded count."""
    return portion if isinstance(portion, int) else round(portion * of)


def unwanted(part: Dataset, name: str) -> bool:
    """True if the spec asks for no samples in this part."""
    portion = getattr(division_of(part), name, None)
    return portion is not None and portion == 0


def refuse_split(part: Dataset, rule: Rule, message: str, *fields: str, fix: str | None = None) -> DataError:
    """An error about `split`, at the field that is at fault."""
    return DataError(Diagnostic(rule, message, division_of(part).place(*fields) or part.place("split"), fix))


def divide(part: Dataset, own: Mapping[str, int | None], divided: bool = False) -> dict[str, int | None]:
    """The samples in each part; `own` are the parts the data come in, unknown counts stay unknown."""
    if divided:
        return {name: own.get(name, 0) for name in PARTS}
    split, total = division_of(part), own["train"]
    for name in ("validation", "test"):
        if isinstance(split, Division) and name in own and getattr(split, name) is not None:
            raise refuse_split(part, UNFIT, f"the data bring their own {name} part, so `split.{name}` cannot choose another", name,
                               fix=f"remove {name}")
    if total is None:
        return {name: None if name == "train" else own.get(name) for name in PARTS}
    held: dict[str, int] = {}
    for name in ("validation", "test"):
        brought = own.get(name) if name in own else None
        portion = getattr(split, name, None)
        asked = max(1, amount(USUAL, total)) if portion is None else amount(portion, total)
        held[name] = asked if name not in own else brought or 0
    train = total - sum(held[name] for name in held if name not in own)
    _check_parts(part, {"train": train, **held}, total)
    return {"train": train, **held}


def rows_of(part: Dataset, sizes: Mapping[str, int], divided: bool = False) -> dict[str, tuple[str, NDArray[np.int64]]]:
    """The raw part and the rows in it of each part: a permutation of raw training data, cut; the other raw parts in their order."""
    import numpy as np

    # RandomState, because numpy promises its stream for good: the same seed is the same split in ten years.
    order = np.random.RandomState(division_of(part).seed).permutation(sizes["train"]).astype(np.int64)
    counts = divide(part, sizes, divided)
    rows, begun = {}, 0
    for name in PARTS:
        if name != "train" and name in sizes:
            rows[name] = (name, np.arange(sizes[name], dtype=np.int64))
            continue
        size = counts[name] or 0
        rows[name] = ("train", order[begun:begun + size])
        begun += size
    return rows


def _check_parts(part: Dataset, counts: Mapping[str, int], total: int) -> None:
    for name, count in counts.items():
        if count < 1 and not unwanted(part, name):
            written = name if name != "train" else "validation"
            usual = USUAL if total >= 20 else 1
            samples = "1 sample" if total == 1 else f"{total:,} samples"
            raise refuse_split(part, TOO_FEW, f"{samples} divided as asked leave no sample for the {name} part "
                               f"({', '.join(f'{key} {max(0, value):,}' for key, value in counts.items())})", written, "validation", "test",
                               fix=None if total < 3 else f"split: {{validation: {usual}, test: {usual}}}")


def windows_in(rows: int, window: Window) -> int:
    """How many whole windows stand in so many rows."""
    return 0 if rows < window.length else (rows - window.length) // window.stride + 1


def blocks(part: Dataset, rows: int, window: Window, runs: Sequence[tuple[int, int]] | None = None) -> dict[str, list[int]]:
    """The starts of the windows of each part: a block of time each, first train, then validation, then test.

    A share is one of rows; a count is one of windows. No row is in windows of two parts. Where `runs`, first rows and ends, are given,
    each window stands in one of them.
    """
    sizes = block_sizes(part, rows, window)
    begun, starts = 0, {}
    for name in PARTS:
        if windows_in(sizes[name], window) < 1 and not unwanted(part, name):
            raise _too_long(part, window, name, max(0, sizes[name]), rows)
        pieces = [(max(first, begun), min(end, begun + sizes[name])) for first, end in runs or [(0, rows)]]
        starts[name] = [start for first, end in pieces for start in windows_of_run(first, end, window)]
        if not starts[name] and not unwanted(part, name):
            raise DataError(Diagnostic(WINDOWS, f"no window of {window.length:,} fits between the gaps of the {name} block",
                                       window.place("length") or part.place("window"), Hint("a shorter window, or `gaps: ignore`")))
        begun += sizes[name]
    return starts


def windows_of_run(first: int, end: int, window: Window) -> range:
    """The starts of the windows in rows that follow each other."""
    return range(first, first + windows_in(max(0, end - first), window) * window.stride, window.stride)


def block_sizes(part: Dataset, rows: int, window: Window) -> dict[str, int]:
    """How many rows the block of each part has, one after the other; that of training is what the others leave."""
    split = division_of(part)
    held = {}
    for name in ("validation", "test"):
        portion = getattr(split, name, None)
        portion = USUAL if portion is None else portion
        counted = isinstance(portion, int) and portion > 0
        held[name] = window.length + (int(portion) - 1) * window.stride if counted else round(portion * rows)
    return {"train": rows - sum(held.values()), **held}


def _too_long(part: Dataset, window: Window, name: str, size: int, rows: int) -> DataError:
    return DataError(Diagnostic(
        WINDOWS, f"the {name} block has {size:,} of the series' {rows:,} rows, too few for a window of {window.length:,}",
        window.place("length") or part.place("window"),
        Hint("a shorter window, or larger shares under split" if rows >= 3 * window.length else "a shorter window")))
