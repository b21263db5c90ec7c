"""A size for images that differ or are large."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from aebuild.data.image_decoding import Picture, opened
from aebuild.lang.suggestion import Suggestion

LOOKED_AT = 200       # headers
LARGEST = 64          # side in pixels to which larger images are brought: a first model of them trains in minutes
STEP = 8              # sizes are multiples of it, which layers can halve thrice


def suggest_size(pictures: Iterable[Picture]) -> Suggestion:
    """`size`, where the images differ in size or are larger than a first model should see."""
    sizes = [_size(picture) for picture in islice(pictures, LOOKED_AT)]
    smallest = min(min(size) for size in sizes)
    equal = len(set(sizes)) == 1
    if equal and max(sizes[0]) <= LARGEST:
        return Suggestion()
    side = max(STEP, min(LARGEST, smallest // STEP * STEP))
    seen = f"all are {sizes[0][0]}×{sizes[0][1]}" if equal else f"they differ, from {min(sizes)} to {max(sizes)} in height and width"
    return Suggestion({"size": side}, {"size": f"{seen}; the middle is cut out and scaled to {side}×{side}, which trains in minutes: "
                                               "raise it when the first results please"})


def _size(picture: Picture) -> tuple[int, int]:
    with opened(picture) as image:
        return image.height, image.width
