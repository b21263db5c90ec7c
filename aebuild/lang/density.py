"""The weights of learned univariate densities."""

from __future__ import annotations

from itertools import pairwise

WIDTHS = (1, 3, 3, 3, 1)         # of the network of a feature (Ballé et al., 2018)


def density_weights(features: int) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a `modules.entropy_models.UnivariateDensity`."""
    found: dict[str, tuple[int, ...]] = {}
    for k, (narrow, wide) in enumerate(pairwise(WIDTHS)):
        found |= {f"matrix_{k}": (features, wide, narrow), f"bias_{k}": (features, wide, 1)}
        if k < len(WIDTHS) - 2:
            found[f"factor_{k}"] = (features, wide, 1)
    return found
