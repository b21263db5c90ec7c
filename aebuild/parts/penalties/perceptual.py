"""Distance in the features of a network that somebody trained."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from aebuild.lang.images import ReconstructionPenalty
from aebuild.lang.node import Node
from aebuild.lang.part import knob
from aebuild.lang.terms import ModelTypes

if TYPE_CHECKING:
    from aebuild.modules.losses import Loss


class Perceptual(ReconstructionPenalty):
    """Distance of image and reconstruction in the features of a program of your own, each brought to length 1 over its channels.

    The file is TorchScript (.pt, .ts) or what torch.export wrote (.pt2), takes samples as the model has them, [N, C, H, W], and gives
    features [N, F, ...] or a list of such, one a layer, as VGG's in LPIPS (Zhang et al., 2018; Johnson et al., 2016). Nothing is
    downloaded, nothing of the program trained; its SHA-256 is checked before a step is made, and kept in the run.
    """

    type: Literal["perceptual"] = "perceptual"
    example = "losses: {perceptual: {path: features.pt, weight: 3}}"
    also = ("lpips", "vgg", "feature_loss", "content")
    key = "perceptual"
    leads = True
    unit = "squared distance of directions of features"
    path: str = knob(..., "the file of the program, relative to the spec", examples=["vgg.pt"], affects="loss", min_length=1)
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = knob(
        None, "what the file must have, in 64 hexadecimal digits (default: what it has when a run begins)", affects="loss")

    def located(self, base: Path) -> Self:
        """With the file's absolute path."""
        return self.but(path=str((base / self.path).absolute()))

    def kept(self, base: Path) -> Self:
        """With its hash too."""
        found = self.located(base)
        if self.sha256 is not None or not Path(found.path).is_file():
            return found
        return found.but(sha256=hashlib.sha256(Path(found.path).read_bytes()).hexdigest())

    def files(self) -> tuple[tuple[str, Path], ...]:
        """The program."""
        return (("path", Path(self.path)),)

    def check(self, types: ModelTypes) -> str | None:
        """Numbers, in a file whose ending tells of what kind it is."""
        ending = Path(self.path).suffix
        return None if ending in (".pt", ".ts", ".pt2") else f"a program is a .pt, .ts or .pt2 file, not {ending or 'one without ending'}"

    def build_loss(self, node: Node) -> Loss:
        """The penalty's module."""
        from aebuild.modules.perceptual import Perceptual as PerceptualModule

        return PerceptualModule(self.path, self.sha256)
