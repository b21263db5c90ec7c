"""Codebooks that stay as they were drawn: transformed as a whole, or compared with random projections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from aebuild.modules.codebook import CodebookLatent


class SimVqLatent(CodebookLatent):
    """Entries are a learned linear map of a fixed random codebook, so that all move whenever one does (Zhu et al., 2024).

    `transform` is [H, d, d], for entries as rows; it begins as the identity.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, frozen=True, **options)
        self.transform = nn.Parameter(torch.eye(self.features).repeat(self.heads, 1, 1))
        self.trained = True

    def reset_parameters(self) -> None:
        """Entries of about length one, and the identity."""
        nn.init.normal_(self.codebook, std=self.features ** -0.5)
        if "transform" in self._parameters:
            with torch.no_grad():
                self.transform.copy_(torch.eye(self.features).expand_as(self.transform))

    def shaped(self, entries: Tensor) -> Tensor:
        """Stored entries as they are compared with vectors."""
        if entries.is_meta:                          # the product is of the codebook, not of a sample, whose cost is counted there
            return entries
        return entries @ self.transform

    def picked(self, indices: Tensor) -> Tensor:
        """The entries of indices, [N·P, 1, G, d], with the gradient of the map."""
        rows = super().picked(indices).flatten(0, 1).transpose(0, 1)                 # (G, N·P, d)
        return torch.matmul(rows, self.transform).transpose(0, 1).unsqueeze(1)


class RandomProjectionLatent(CodebookLatent):
    """The nearest of fixed random directions to a fixed random projection (Chiu et al., 2022); nothing of it learns.

    The vector at each place, `inputs` features, is set to mean zero and variance one, projected by a matrix of each group,
    `directions` [G, inputs, d], and compared by its cosine.
    """

    directions: Tensor

    def __init__(self, steps: Mapping[str, nn.Module], shape: Sequence[int], axis: int, codes: int, groups: int = 1, *,
                 inputs: int, **options: Any) -> None:
        super().__init__(steps, shape, axis, codes, groups, frozen=True, cosine=True, **options)
        self.register_buffer("directions", torch.empty(groups, inputs, self.features))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Both are drawn anew."""
        super().reset_parameters()
        if "directions" in self._buffers:
            for matrix in self.directions:
                nn.init.xavier_normal_(matrix)

    def normed(self, z: Tensor) -> Tensor:
        """[N, inputs at each place] to directions of length one, [N, *shape]."""
        if self.axis == 1 and z.ndim > 2:
            z = z.flatten(2).transpose(1, 2)
        flat = z.reshape(-1, z.shape[-1])                                            # (N·P, inputs)
        projected = torch.matmul(F.layer_norm(flat, flat.shape[-1:]), self.directions)        # (G, N·P, d)
        return self.joined(F.normalize(projected, dim=-1).transpose(0, 1))
