"""Texts held as numbers: one for each character, in the smallest type that has room for all characters that occur."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 1 << 20           # characters that are Python's text at a time
POINTS = 0x110000         # characters that Unicode has room for


class Letters:
    """Texts one after the other: `codes` [characters], the `symbols` that they number, and where each text begins and the last one ends.

    A text of one byte a letter stays one, in whatever script it is while it has 256 different characters.
    """

    def __init__(self, codes: NDArray[Any], symbols: str, borders: NDArray[np.int64]) -> None:
        import numpy as np

        self.codes, self.symbols, self.borders = codes, symbols, borders
        self._points = np.frombuffer(symbols.encode("utf-32-le", "surrogatepass"), np.uint32)

    @classmethod
    def of(cls, texts: Iterable[str]) -> Letters:
        """The letters of texts in memory."""
        writer = LetterWriter()
        writer.add(list(texts))
        return writer.done()

    def __len__(self) -> int:
        return len(self.borders) - 1

    def text(self, row: int, most: int | None = None) -> str:
        """One of the texts, or so many characters of it."""
        begun, end = int(self.borders[row]), int(self.borders[row + 1])
        return self._spelled(begun, end if most is None else min(end, begun + most))

    def part(self, begun: int, end: int) -> Letters:
        """The characters between two places as one text."""
        import numpy as np

        return Letters(self.codes[begun:end], self.symbols, np.asarray([0, end - begun], np.int64))

    def counted(self, rows: NDArray[np.int64] | None = None) -> dict[str, int]:
        """How often each character occurs in all texts, or in some."""
        import numpy as np

        chosen = np.ones(len(self), bool) if rows is None else np.isin(np.arange(len(self)), rows)
        total = np.zeros(max(1, len(self.symbols)), np.int64)
        row = 0
        while row < len(self):
            last = self._behind(row, int(self.borders[row]))
            held = self.codes[self.borders[row]:self.borders[last]]
            for begun in range(0, len(held), CHUNK) if last == row + 1 and chosen[row] else ():          # one long text
                total += np.bincount(held[begun:begun + CHUNK], minlength=len(total))
            if last > row + 1:
                total += np.bincount(held[np.repeat(chosen[row:last], np.diff(self.borders[row:last + 1]))], minlength=len(total))
            row = last
        return {symbol: count for symbol, count in zip(self.symbols, total.tolist(), strict=False) if count}

    def lines(self) -> Iterator[str]:
        """All as one text, line by line, with the ends of lines."""
        carried: list[str] = []
        for begun in range(0, len(self.codes), CHUNK):
            *whole, last = ("".join(carried) + self._spelled(begun, begun + CHUNK)).splitlines(keepends=True)
            yield from whole
            carried = [last]
        yield from carried

    def batches(self, *, cut: bool = True) -> Iterator[tuple[list[str], bool]]:
        """The texts, so many at a time as make up a chunk, and whether the first of them goes on with the last of those before.

        Longer texts are cut in front of a blank behind a letter, unless they must not be `cut`.
        """
        row, begun = 0, 0
        while row < len(self):
            end = int(self.borders[row + 1])
            if end - begun > CHUNK and cut:
                stop = self._blank(begun, end)
                yield [self._spelled(begun, stop)], begun > self.borders[row]
                begun = stop
                row += begun == end
                continue
            last = self._behind(row, begun)
            held = self._spelled(begun, int(self.borders[last]))
            starts = [0, *(self.borders[row + 1:last + 1] - begun).tolist()]
            yield [held[start:stop] for start, stop in pairwise(starts)], begun > self.borders[row]
            row, begun = last, int(self.borders[last])

    def _behind(self, row: int, begun: int) -> int:
        """The text behind those that make up a chunk from a place in this one on; at least the next."""
        import numpy as np

        return max(row + 1, int(np.searchsorted(self.borders, begun + CHUNK, side="right")) - 1)

    def _blank(self, begun: int, end: int) -> int:
        """The place of the last blank behind a letter within a chunk, or within the next ones where none is; else the end."""
        for start in range(begun, end, CHUNK):
            held = self._spelled(start, min(start + CHUNK, end))
            found = next((place for place in range(len(held) - 1, 0, -1) if held[place] in " \n" and not held[place - 1].isspace()), None)
            if found is not None:
                return start + found
        return end

    def _spelled(self, begun: int, end: int) -> str:
        points: NDArray[Any] = self._points[self.codes[begun:end]]
        return points.astype("<u4", copy=False).tobytes().decode("utf-32-le", "surrogatepass")


class LetterWriter:
    """Takes texts as they are read, and forgets them: what is held grows by their numbers alone."""

    def __init__(self) -> None:
        import numpy as np

        self._numbers = np.full(POINTS, -1, np.int32)          # of each character of Unicode, as far as it has occurred
        self._symbols: list[str] = []
        self._held, self._type = bytearray(), np.dtype(np.uint8)
        self._borders = array("q", [0])

    def add(self, texts: Sequence[str]) -> None:
        """Further texts."""
        self._write("".join(texts))
        end = self._borders[-1]
        for text in texts:
            end += len(text)
            self._borders.append(end)

    def extend(self, text: str) -> None:
        """More of the one text that all is."""
        self._write(text)
        self._borders = array("q", [0, (self._borders[1] if len(self._borders) > 1 else 0) + len(text)])

    def done(self) -> Letters:
        """What was written."""
        import numpy as np

        return Letters(np.frombuffer(self._held, self._type), "".join(self._symbols), np.frombuffer(self._borders, np.int64))

    def _write(self, text: str) -> None:
        import numpy as np

        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        new = np.unique(points[self._numbers[points] < 0])
        self._numbers[new] = np.arange(len(self._symbols), len(self._symbols) + len(new))
        self._symbols += map(chr, new.tolist())
        wanted = np.min_scalar_type(max(0, len(self._symbols) - 1))
        if wanted.itemsize > self._type.itemsize:
            self._held = bytearray(np.frombuffer(self._held, self._type).astype(wanted).tobytes())
            self._type = wanted
        self._held += self._numbers[points].astype(self._type).tobytes()
