"""One number for all axes of a grid, or one number for each."""

from __future__ import annotations

from math import gcd
from typing import Annotated

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.node import Site
from aebuild.lang.part import Part

MOST = 65_535        # far beyond any use; torch ends the process at strides near 2^31
Places = Annotated[int, Field(ge=1, le=MOST)]
Blank = Annotated[int, Field(ge=0, le=MOST)]
Size = Places | Annotated[list[Places], Field(min_length=1, max_length=3)]
Margin = Blank | Annotated[list[Blank], Field(min_length=1, max_length=3)]

AXES = Rule("AE322", "one number for each axis", """\
A kernel, stride or size is one number for all axes of the grid, or a list with one number for each axis: one for a waveform, two for an
image, three for a volume.

```yaml
encoder: [conv: {width: 64, kernel: [3, 5, 7]}]     # an image has two axes
```
```yaml
encoder: [conv: {width: 64, kernel: [3, 5]}]
```
""")


def per_axis(part: Part, name: str, rank: int, site: Site) -> tuple[int, ...]:
    """The field's value for each of `rank` axes, or a refusal."""
    value = getattr(part, name)
    if isinstance(value, int):
        return (value,) * rank
    if len(value) != rank:
        site.refuse(part, AXES, f"{name} has {len(value)} numbers but the grid has {rank} axes", name,
                    fix=f"{name}: {value[0] if len(set(value)) == 1 else [*value, *value[-1:] * rank][:rank]}")
    return tuple(value)


def spread(value: int | list[int], rank: int) -> tuple[int, ...]:
    """The same without a check, for a first look; a list of another length is cut or filled."""
    return (value,) * rank if isinstance(value, int) else tuple([*value, *value[-1:] * rank][:rank])


def largest_divisor(number: int, most: int) -> int:
    """The largest divisor of `number` up to `most`, or a smaller one where the numbers are too large to search."""
    top = min(number, most)
    return next((d for d in range(top, max(0, top - 1000), -1) if number % d == 0), gcd(number, most))
