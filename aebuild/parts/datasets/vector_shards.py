"""Vectors in a folder of array files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from aebuild.data.errors import blamed, must_fit, shown
from aebuild.data.probe import Outline, declared, describe, plural
from aebuild.lang.dataset import DataInfo, Divided, OnDisk, Sampled, Streamable, Where
from aebuild.lang.part import knob
from aebuild.lang.values import Value, Vector

if TYPE_CHECKING:
    from aebuild.data.formats.vector_shards import Shard
    from aebuild.data.raw_samples import Raw


class VectorShards(Sampled, Divided, Streamable, OnDisk):
    """Vectors in a folder of .npy and .safetensors files, such as activations of a language model; read from disk batch by batch.

    Each file holds an array [..., D]: its last axis are the D values of a vector, all others count vectors. With `axes: 2` arrays
    [..., L, D] are vectors of L·D values: streams beside each other, as a crosscoder wants them. The types are those of numpy, and
    bfloat16. Vectors are taken as they are where no `scale` is written.
    """

    type: Literal["vector_shards"] = "vector_shards"
    example = ("data: {type: vector_shards, path: shards, limit: 20, split: {validation: 6, test: 0.2, seed: 1}}\n"
               "---\n"
               "data: {type: vector_shards, path: shards, shape: [6], stream: true}\n"
               "---\n"
               "data: {type: vector_shards, path: shards, axes: 2}")
    also = ("activation_shards", "cached_activations", "activations_store")
    array: str | None = knob(None, "name of the tensor in .safetensors files (default: the only one)", affects="data", min_length=1)
    axes: int = knob(1, "axes at an array's end whose values make one vector", affects="data", ge=1)

    def probe(self, where: Where) -> DataInfo:
        """Type and counts from the files' headers."""
        if self.shape is not None:
            return declared(self)
        with blamed(self, "path"):
            return describe(self, self._outline(where, self._shards(where)))

    def read(self, where: Where) -> Raw:
        """Vectors [n, D]."""
        from aebuild.data.formats.vector_shards import VectorShards as Reader
        from aebuild.data.raw_samples import Raw
        from aebuild.data.streamed import sentence, streams

        with blamed(self, "path"):
            shards = self._shards(where)
            outline = self._outline(where, shards)
            size = 8 * sum(shard.rows for shard in shards) * outline.value.features
            streamed = streams(self, size)
            if streamed:
                outline = outline.told(sentence(self, size))
            else:
                must_fit(size, shown(where.base / self.path), "stream: true")
            return Raw(outline, {"train": Reader(shards)}, streamed=streamed)

    def usual_scale(self, value: Value) -> str:
        """As they are: directions keep their angles."""
        return "none"

    def _shards(self, where: Where) -> list[Shard]:
        from aebuild.data.formats.vector_shards import shards_of

        return shards_of(where.base / self.path, self.array, self.axes)

    def _outline(self, where: Where, shards: list[Shard]) -> Outline:
        rows, width = sum(shard.rows for shard in shards), shards[0].shape[-1]
        kinds = sorted({"bfloat16" if shard.brain else shard.dtype.lstrip("<>|=") for shard in shards})
        return Outline(Vector(width), {"train": rows}, f"{shown(where.base / self.path)}: {plural(len(shards), 'file')} with {rows:,} "
                       f"vectors of {width:,} values, stored as {', '.join(kinds)}")
