"""Which columns of a table are inputs, targets and label, which are categories, and which are set aside."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from aebuild.data.categories import MOST_GUESSED, TableColumn, category, is_flag, listed_categories, numbered, repeats
from aebuild.data.conditions import NOTHING, Offered
from aebuild.data.errors import fault, listed, shown
from aebuild.data.formats.empty_cells import GAPS
from aebuild.data.index_columns import Axis, is_date, is_timestamp
from aebuild.data.labels import check_words
from aebuild.data.missing import check_missing
from aebuild.data.probe import plural
from aebuild.data.rules import UNFIT
from aebuild.data.table_conditions import asked_places, check_names, of_sheet, time_of
from aebuild.data.tables import Sheet, inputs, is_identifier, numbers_only, open_sheet, quoted, row_numbers
from aebuild.lang.columns import Field
from aebuild.lang.dataset import Columned


@dataclass(frozen=True)
class Selection:
    """The columns of a table that are used; `flagged` are the inputs whose empty cells get a flag.

    `offered` are the conditions that it could give, `time` is the column of dates that clocks are read from.
    """

    sheet: Sheet
    inputs: tuple[TableColumn, ...]
    targets: tuple[TableColumn, ...]
    label: int | None
    flagged: tuple[str, ...] = ()
    offered: Offered = NOTHING
    time: int | None = None

    @property
    def used(self) -> tuple[TableColumn, ...]:
        """Inputs, then targets."""
        return (*self.inputs, *self.targets)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The features of a sample by column; empty where all are plain numbers."""
        return _fields(self.inputs, self.flagged)

    @property
    def target_fields(self) -> tuple[Field, ...]:
        """The features of a target by column; empty where all are plain numbers."""
        return _fields(self.targets, ())

    @property
    def words(self) -> int:
        """How many of the inputs and targets are no plain numbers."""
        return sum(column.kind != "number" for column in self.used)


def _fields(columns: Sequence[TableColumn], flagged: Sequence[str]) -> tuple[Field, ...]:
    if all(column.kind == "number" for column in columns) and not flagged:
        return ()
    fields: list[Field] = []
    for column in columns:
        offset = fields[-1].offset + fields[-1].width if fields else 0
        fields.append(Field(column.name, column.kind, offset, len(column.words) if column.kind == "category" else 1, column.words))
    end = fields[-1].offset + fields[-1].width
    return (*fields, *(Field(name, "missing", end + place) for place, name in enumerate(flagged)))


def select(path: Path, part: Columned) -> Selection:
    """The columns that the spec asks for; of others that hold words those are taken that can be inputs."""
    check_missing(part)
    sheet = row_numbers(open_sheet(path, part), part, part.columns)
    check_names(sheet, part)
    given, asked = listed_categories(sheet, part)
    label = None if part.label is None else sheet.find(part.label, part, "label")
    targets = sheet.find_all(part.targets, part, "target")
    told = [place for place in asked_places(sheet, part).values() if place not in targets and place != label]
    time = time_of(sheet) if part.asked else None
    if part.columns is None:
        kept = {*asked, *targets, *told, *([] if label is None else [label])}
        sheet = set_aside(sheet, kept, first=part.index is None, words=given is None)
    chosen, targets, label = inputs(sheet, part, part.columns, part.targets, part.label, [*sheet.left, *told])
    used = [*chosen, *targets]
    offered = of_sheet(sheet, part, [sheet.names[place] for place in asked], time is not None) if part.asked else NOTHING
    asked = [place for place in asked if place in used or place not in told]
    _among(sheet, asked, used, part)
    asked += [place for place in sheet.flags if place in used and place not in asked and given is None]
    coded = [place for place in used if place in asked or (given is None and not sheet.numeric[place] and _can_be(sheet, place))]
    numbers_only(sheet, [place for place in used if place not in coded], part)
    if label is not None:
        check_words(sheet.sample(label), f"{shown(sheet.path)}, column {shown(sheet.names[label])}")
    gaps = chosen if part.missing == "indicator" and part.indicators is None else []
    found, empty = sheet.survey([place for place in coded if given is None], gaps)
    words = dict(zip(coded, found, strict=True)) if given is None else given
    columns = {place: category(sheet, place, words[place], part, guessed=place not in asked) if place in coded else
               TableColumn(place, sheet.names[place]) for place in used}
    for place in coded:
        numbered(sheet.sample(place), columns[place], shown(path), part)                    # what is wrong there is said before all is read
    if given is not None and (more := [name for place, name in enumerate(sheet.names) if place not in (*used, *told, label)]):
        sheet = sheet.told(f"no inputs are {listed(more)}")
    flagged = tuple(sheet.names[place] for place in chosen if place in empty) if part.indicators is None else tuple(
        sheet.names[place] for place in _among(sheet, sheet.find_all(part.indicators, part, "indicators"), chosen, part, "indicators"))
    return Selection(_told(sheet, [columns[place] for place in used if place in coded]), tuple(columns[place] for place in chosen),
                     tuple(columns[place] for place in targets), label, flagged, offered, time)


def _told(sheet: Sheet, coded: Sequence[TableColumn]) -> Sheet:
    """The sheet with a sentence about its columns of categories."""
    if not coded:
        return sheet
    told = [f"{shown(column.name)} ({f'{len(column.words):,} words' if column.kind == 'category' else 'a flag'})" for column in coded[:8]]
    more = f" and {len(coded) - 8} more" if len(coded) > 8 else ""
    return sheet.told(f"{', '.join(told)}{more} {'is' if len(coded) == 1 else 'are'} read as categories, one-hot")


def _can_be(sheet: Sheet, place: int) -> bool:
    """True for words that the spec names among its columns and that can be categories."""
    known = [cell.strip() for cell in sheet.sample(place) if cell.strip() not in GAPS]
    return is_flag(known) or repeats(known)


def _among(sheet: Sheet, places: Collection[int], used: Collection[int], part: Columned, field: str = "categories") -> list[int]:
    for place in places:
        if place not in used:
            what = "input or target" if field == "categories" else "input"
            raise fault(UNFIT, f"`{field}` names the column {sheet.names[place]!r}, which is no {what}", part=part, at=(field,))
    return list(places)


def set_aside(sheet: Sheet, kept: Collection[int], *, first: bool, words: bool) -> Sheet:
    """The sheet without columns that are no inputs: times, names and texts, ids; says which.

    Without `first` the first column stays, whatever it holds; without `words` no words become categories.
    """
    for place, name in enumerate(sheet.names):
        if place in kept or place in sheet.left or (place == 0 and not first):
            continue
        cells = [cell.strip() for cell in sheet.sample(place)]
        known = [cell for cell in cells if cell not in GAPS]
        key = f"`columns` can name it, or `categories: [{quoted(name)}]`"
        if not known:
            why, key = "is empty as far as was looked", "`columns` can name it"
        elif is_timestamp(Axis(place, name), known) or (not sheet.numeric[place] and is_date(known)):
            why, key = "holds times", "`columns` can name it" if sheet.numeric[place] else "times are no inputs"
        elif sheet.numeric[place]:
            if not is_identifier(name, known):
                continue
            why, key = "is an id, a different number in each row", "`columns` can name it"
        elif words and (is_flag(known) or repeats(known)):
            continue
        else:
            why = _words(known) if words else "holds words"
        sheet = replace(sheet, left=(*sheet.left, place)).told(f"column {shown(name)} {why}, and is left out ({key})")
    return sheet


def _words(known: Sequence[str]) -> str:
    """What is said of words that are no categories."""
    different, rows = len(set(known)), plural(len(known), "row")
    if different == 1:
        return f"holds the same word in {rows}"
    if 2 * different <= len(known):
        return f"holds {different:,} different words in {rows}, more than the {MOST_GUESSED} that are taken for categories unasked"
    return f"holds {different:,} different words in {rows}, like a name or a text"
