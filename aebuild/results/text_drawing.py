"""Texts as small pictures: letters of one width in lines, marked where they are wrong."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from aebuild.lang.samples import Form

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDE, HIGH, ROOM = 9, 17, 6      # of a letter, and around the text, in pixels
LETTERS = 32                     # in a line
BREAK, BLANK = "¶", "·"          # what is drawn for the end of a line, and for a wrong space


def text_size(tokens: int, form: Form) -> tuple[int, int]:
    """Width and height of the cell of a text of so many tokens."""
    letters = tokens * form.letters
    return min(letters, LETTERS) * WIDE + 2 * ROOM, ceil(letters / LETTERS) * HIGH + 2 * ROOM


def draw_text(sample: NDArray[Any], size: tuple[int, int], form: Form, behind: NDArray[Any] | None = None) -> Image.Image:
    """The text of tokens [T]; letters of a token that is not the one `behind` it are red. What does not fit is left out."""
    picture = Image.new("RGB", size, "#f6f7f9")
    pen, font = ImageDraw.Draw(picture), ImageFont.load_default(14)
    columns = (size[0] - 2 * ROOM) // WIDE
    for place, (letter, wrong) in enumerate(_letters(sample, form, behind)):
        left, top = ROOM + place % columns * WIDE, ROOM + place // columns * HIGH
        if top + HIGH > size[1]:
            break
        shown = BREAK if letter == "\n" else BLANK if wrong and letter == " " else letter
        pen.text((left + WIDE / 2, top + HIGH / 2), shown, fill="#d1495b" if wrong else "#11151c", font=font, anchor="mm")
    return picture


def _letters(sample: NDArray[Any], form: Form, behind: NDArray[Any] | None) -> list[tuple[str, bool]]:
    """Each letter, and whether its token is wrong; nothing behind the end of the text."""
    found: list[tuple[str, bool]] = []
    for place in range(len(sample)):
        said = form.spelled(sample[place:place + 1])
        if not said:
            break
        found += [(letter, behind is not None and bool(sample[place] != behind[place])) for letter in said]
    return found
