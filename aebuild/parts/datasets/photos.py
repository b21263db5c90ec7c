"""Patches of the two photographs that come with scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.condition_arrays import array_condition, with_conditions
from aebuild.data.conditions import Offered
from aebuild.data.probe import Outline, describe
from aebuild.data.rules import TOO_FEW
from aebuild.data.split import PARTS, divide, refuse_split
from aebuild.lang.dataset import DataInfo, Divided, Sampled, Where
from aebuild.lang.part import knob
from aebuild.lang.values import Grid

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from aebuild.data.raw_samples import Raw

HEIGHT, WIDTH = 427, 640
GRAY = "gray"
LUMA = (299, 587, 114)        # thousandths of red, green and blue, as ITU-R BT.601 weighs them


class Photos(Sampled, Divided):
    """Square colour patches of two photographs, a temple and a flower.

    They come with scikit-learn. A `condition: {gray: ...}` tells the grey of each patch. Each part draws its patches from its own
    upright strip of both photographs, so that no two parts share a pixel.
    """

    type: Literal["photos"] = "photos"
    example = "data: {type: photos, patch: 6, count: 60, limit: 30}"
    patch: int = knob(32, "height and width of a patch, in pixels", affects="data", ge=1, le=HEIGHT)
    count: int = knob(2000, "patches in all parts together", affects="data", ge=3, le=1_000_000)

    def probe(self, where: Where) -> DataInfo:
        """Known without reading."""
        self._strips()
        return describe(self, self._outline())

    def read(self, where: Where) -> Raw:
        """Patches [n, 3, patch, patch]."""
        from aebuild.data.axes import Layout
        from aebuild.data.raw_samples import Raw, Stored
        from aebuild.data.sklearn_datasets import photographs

        places = self._places()
        pictures = photographs()
        layout = Layout(Grid(3, (self.patch, self.patch)), (-1, 1))
        patches = {part: _cut(pictures, chosen, self.patch) for part, chosen in places.items()}
        told = {GRAY: {part: Stored(_gray(held), Layout(Grid(1, (self.patch, self.patch))), "photos") for part, held in patches.items()}}
        return with_conditions(self, Raw(self._outline(), {part: Stored(held, layout, "photos") for part, held in patches.items()}),
                               told if GRAY in self.told else {})

    def _counts(self) -> dict[str, int]:
        return {part: count or 0 for part, count in divide(self, {"train": self.count}).items()}

    def _outline(self) -> Outline:
        return Outline(Grid(3, (self.patch, self.patch)), dict(self._counts()),
                       f"photos: {self.count:,} colour patches of {self.patch}×{self.patch} from two photographs, no file needed",
                       bounds=(0.0, 255.0), divided=True, offered=Offered(
                           (array_condition(self, GRAY, Grid(1, (self.patch, self.patch)), "uint8"),), (GRAY,)))

    def _strips(self) -> dict[str, tuple[int, int]]:
        """The columns of pixels of each part: strips from left to right, as wide as the parts are large."""
        counts, strips, begun, left = self._counts(), {}, 0, 0
        for part in PARTS:
            begun += counts[part]
            right = WIDTH * begun // self.count
            if counts[part] and right - left < self.patch:
                raise refuse_split(self, TOO_FEW, f"the {part} part has {right - left} of the photographs' {WIDTH} columns, too few for "
                                   f"patches of {self.patch}", part, fix="a smaller patch, or larger shares under split")
            strips[part] = (left, right)
            left = right
        return strips

    def _places(self) -> dict[str, NDArray[np.int64]]:
        """Photograph, top and left of every patch [n, 3], by the seed."""
        import numpy as np

        draw, counts, places = np.random.RandomState(self.split.seed), self._counts(), {}
        for part, (left, right) in self._strips().items():
            size = counts[part]
            if not size:
                places[part] = np.zeros((0, 3), np.int64)
                continue
            places[part] = np.stack([draw.randint(0, 2, size), draw.randint(0, HEIGHT - self.patch + 1, size),
                                     draw.randint(left, right - self.patch + 1, size)], axis=1)
        return places


def _gray(patches: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The grey of patches [n, patch, patch, 3], [n, 1, patch, patch]."""
    import numpy as np

    weighed = (patches.astype(np.uint32) * np.asarray(LUMA, np.uint32)).sum(3)
    gray: NDArray[np.uint8] = ((weighed + 500) // 1000).astype(np.uint8)[:, None]
    return gray


def _cut(pictures: list[NDArray[np.uint8]], places: NDArray[np.int64], patch: int) -> NDArray[np.uint8]:
    """Patches [n, patch, patch, 3]."""
    import numpy as np

    return np.array([pictures[which][top:top + patch, left:left + patch] for which, top, left in places.tolist()],
                    dtype=np.uint8).reshape(-1, patch, patch, 3)
