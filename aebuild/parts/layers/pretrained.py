"""A program that somebody else trained, as a layer."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import Layer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.program_files import NO_LAYER
from aebuild.lang.values import Value, of_shape

if TYPE_CHECKING:
    from torch import nn

    from aebuild.modules.pretrained import ProgramFacts

NO_MIRROR = Rule("AE855", "a pretrained layer in a decoder", """\
A program goes one way. What undoes it has to be learned: write the decoder out in place of `mirror`.

```yaml
encoder: [linear: 16]
decoder: [pretrained: {path: features.pt2}]
```
```yaml
encoder: [linear: 16]
decoder: [linear: 16]
```
""")
SUFFIXES = (".pt", ".ts", ".pt2")


class Pretrained(Layer):
    """A program of your own in front of or between layers, as features that need not be learned; nothing is downloaded.

    TorchScript (.pt, .ts) or what torch.export wrote (.pt2), which takes samples [N, ...] to features [N, ...]. Its weights are part of the
    model and of its checkpoints; what it computes is read from the file, whose SHA-256 a run keeps.
    """

    type: Literal["pretrained"] = "pretrained"
    also = ("torchscript", "backbone", "torch_export", "timm", "foundation")
    example = ("encoder: [pretrained: {path: features.pt, freeze: false}, linear: 6]\n"
               "decoder: [linear: 8]")
    path: str = knob(..., "the file of the program, relative to the spec", examples=["model.pt2"], affects="graph", min_length=1)
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = knob(
        None, "what the file must have, in 64 hexadecimal digits (default: what it has when a run begins)", affects="data")
    freeze: bool = knob(True, "whether its weights stay as they are; false: they are trained with the rest", affects="training")

    def located(self, base: Path) -> Self:
        """With the file's absolute path."""
        return self.but(path=str((base / self.path).absolute()))

    def kept(self, base: Path) -> Self:
        """With its hash too."""
        found = self.located(base)
        if self.sha256 is not None or not Path(found.path).is_file():
            return found
        return found.but(sha256=hashlib.sha256(Path(found.path).read_bytes()).hexdigest())

    def plan(self, value: Value, site: Site) -> Node:
        """Any type to what the program gives for a few samples of zeros."""
        if site.stage.up:
            site.refuse(self, NO_MIRROR, "a pretrained program cannot be turned round: write a decoder that is learned", "type")
        facts = self._facts(value, site)
        weights, buffers = ({f"program.{name}": shape for name, shape in held.items()} for held in (facts.parameters, facts.buffers))
        return Node(site.path, "pretrained", value, of_shape(facts.output), self, {}, weights, buffers, facts.macs, window=None)

    def _facts(self, value: Value, site: Site) -> ProgramFacts:
        from aebuild.modules.pretrained import facts_of

        path = Path(self.path)
        if path.suffix not in SUFFIXES:
            site.refuse(self, NO_LAYER, f"a program is a .pt, .ts or .pt2 file, not {path.suffix or 'one without ending'}", "path")
        try:
            return facts_of(self.path, self.sha256, path.stat().st_mtime if path.is_file() else 0.0, value.shape)
        except ValueError as error:
            wrong = self.sha256 is not None and "has SHA-256" in str(error)
            site.refuse(self, NO_LAYER, str(error), "sha256" if wrong else "path")

    def mirrored(self) -> Layer | None:
        """Itself, which is refused there: nobody knows what undoes it."""
        return self

    def build(self, node: Node, children: dict[str, nn.Module]) -> nn.Module:
        """The program, read from its file."""
        from aebuild.modules.pretrained import Pretrained as PretrainedModule

        return PretrainedModule(self.path, self.sha256, self.freeze)
