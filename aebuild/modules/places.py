"""Codes as rows of features, one for each place, and back."""

from __future__ import annotations

from torch import Tensor


def to_rows(x: Tensor, axis: int) -> Tensor:
    """[N, ...] with features on `axis` to [N, places, features]; a vector has one place."""
    last = x.movedim(axis, -1)
    return last.reshape(len(x), -1, last.shape[-1])


def from_rows(rows: Tensor, like: Tensor, axis: int) -> Tensor:
    """[M, places, features] to [M, ...] with the places of `like`, [N, ...], and features on `axis`."""
    places = like.movedim(axis, -1).shape[1:-1]
    return rows.reshape(len(rows), *places, rows.shape[-1]).movedim(-1, axis)
