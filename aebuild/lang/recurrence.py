"""What recurrent layers can be asked for, and where."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Literal

from pydantic import Field, field_validator

from aebuild.lang.diagnostics import Hint, Rule
from aebuild.lang.families import Layer
from aebuild.lang.lint import Finding, Surroundings, warning
from aebuild.lang.node import Node, Site
from aebuild.lang.part import knob
from aebuild.lang.schedule import Dial, numbers
from aebuild.lang.values import Value

FEED = Rule("AE361", "a feed where no code becomes a sequence", """\
`feed` says what a recurrent decoder gets at each position when all it is given is one code: the code itself (`repeat`, the
default), its own last output (`previous`), or nothing but a first state made from the code (`none`). It belongs to the first
recurrent step of the decoder's own list, in front of which the code is still a vector. Recurrent steps behind it read its
outputs; they may repeat its `feed`, as they do in block form, but not differ. In an encoder, or on codes that are sequences
already, it would do nothing.

```yaml
data: ecg5000
encoder: {layer: lstm, width: 64, feed: previous}
latent: {type: continuous, dim: 8}
```
```yaml
encoder: {layer: lstm, width: 64}
latent: {type: continuous, dim: 8}
decoder: {layer: lstm, width: 64, feed: previous}
```
""")

TEACHER = Rule("AE362", "teacher forcing without feedback", """\
`teacher_forcing` is the probability that a decoder in training is fed the true value of the position before in place of its own
output. Only a decoder with `feed: previous` is fed anything of the kind.

```yaml
data: ecg5000
decoder: {layer: gru, width: 64, teacher_forcing: 0.5}
```
```yaml
decoder: {layer: gru, width: 64, feed: previous, teacher_forcing: 0.5}
```
""")

BOTH_WAYS = Rule("AE363", "a direction for a layer that goes both ways", """\
A bidirectional layer goes from first to last and from last to first; `reverse` would only swap its halves. And a decoder that is
fed its own last output must go one way, because at each position it needs the outputs of those before.

```yaml
encoder: {layer: lstm, width: 64, bidirectional: true, reverse: true}
```
```yaml
encoder: {layer: lstm, width: 64, bidirectional: true}
```
""")

SERIES = Rule("AE364", "feedback where the data are no series", """\
`feed: previous` makes the data one position at a time, so the data must be a series: one vector of values for each position.

```yaml
data: mnist
decoder: {layer: lstm, width: 64, feed: previous}
```
```yaml
data: mnist
decoder: {layer: lstm, width: 64}
```
""")

LOOP = Rule("AE365", "a step that cannot stand in the loop", """\
With `feed: previous` all of the decoder behind the recurrent step runs position by position, because its last output is the next
input. What stands there must therefore treat each position and each sample on its own (activations, layer normalisation, dropout)
or go forward in the same direction (recurrent steps). Convolutions, attention, flattening, batch normalisation and skips look at
other positions or samples.

```yaml
data: ecg5000
decoder:
  - lstm: {width: 64, feed: previous}
  - transformer: {width: 64}
```
```yaml
decoder:
  - lstm: {width: 64, feed: previous}
  - lstm: 64
```
""")

DROPPED = Rule("AE859", "dropout behind the last recurrent layer", """\
`dropout` of a recurrent layer is that of the field's libraries: in training it sets a share of the layer's outputs to zero on their way to
the recurrent layer behind it. Behind the last one, or the only one, nothing is dropped. In block form all layers carry the number, and the
last may repeat it. In front of another kind of layer write a step: `dropout: 0.2`.

```yaml
data: ecg5000
encoder: {layer: gru, width: 64, dropout: 0.2}
```
```yaml
encoder: {layer: gru, depth: 2, width: 64, dropout: 0.2}
```
""")


LONG = 2000      # positions
LONG_RECURRENCE = warning("AE206", "a recurrent layer over a very long sequence", """\
A recurrent layer works one step after the other: over thousands of steps it is slow, and gradients vanish on the way. A strided convolution
in front shortens the sequence.

```yaml
data: {type: series, path: sound.npz, shape: [8000, 1]}     # 8,000 samples of sound
encoder: [lstm: 64]
decoder: [linear: 64]
```
```yaml
encoder: [conv: {width: 32, kernel: 9, stride: 8}, conv: {width: 64, kernel: 9, stride: 8}, lstm: 64]
```
""")


class Recurrence(Layer):
    """The options of a recurrent layer and the places where they mean something."""

    width: int = knob(..., "features of the state, for each direction", examples=[64], affects="graph", ge=1)
    bidirectional: bool = knob(False, "a second layer reads from last to first; twice as many features come out", affects="graph")
    returns: Literal["last", "mean", "sequence"] | None = Field(
        None, description="the last state, the mean of all states, or all of them; by default the last one at the end of an "
        "encoder whose latent wants one vector, and all of them elsewhere", json_schema_extra={"affects": "graph"})
    reverse: bool = knob(False, "go from the last position to the first", affects="graph")
    feed: Literal["auto", "repeat", "previous", "none"] = knob(
        "auto", "what a decoder gets at each position when it starts from one code: the code again (repeat, which auto means), "
        "its own last output (previous), or nothing but a first state made from the code (none)", affects="graph")
    teacher_forcing: Dial | None = knob(
        None, "with feed: previous, the probability in training of getting the true last value instead; a number or a schedule; "
        "1 by default", affects="training")
    dropout: float = knob(0.0, "share of outputs set to zero in training on their way to the recurrent layer behind this one",
                          affects="gradient", ge=0, lt=1)

    scalar = "width"
    wants = ("sequence",)

    def lint(self, node: Node | None, around: Surroundings) -> Iterator[Finding]:
        """Over thousands of positions it is slow, and gradients vanish."""
        length = (node.input.series_length or 0) if node is not None and node.kind in ("rnn", "lstm", "gru") else 0
        if node is not None and length > LONG:
            yield LONG_RECURRENCE, f"{node.path} steps through {length:,} positions one by one", self, Hint("a strided conv in front")

    @field_validator("teacher_forcing")
    @classmethod
    def _probability(cls, dial: Dial | None) -> Dial | None:
        if dial is not None and not all(0 <= number <= 1 for number in numbers(dial) or [-1]):
            raise ValueError("a probability lies between 0 and 1")
        return dial

    @property
    def captures(self) -> bool:
        """True if the rest of the decoder runs inside this step."""
        return self.feed == "previous"

    @property
    def forcing(self) -> Dial:
        """The probability of a true value in the loop."""
        return 1.0 if self.teacher_forcing is None else self.teacher_forcing

    def dials(self) -> dict[str, Dial]:
        """The share of true values that the loop is fed."""
        return {"teacher_forcing": self.forcing} if self.captures else {}

    def kinds(self, value: Value, site: Site) -> tuple[str, ...]:
        """A sequence; or the code itself where that only sets the first state.

        The first step that meets a code settles the stage's `feed`.
        """
        if site.stage.up and not value.places:
            site.stage.agreed["feed"] = self
            if self.feed in ("previous", "none"):
                return ("vector",)
        return self.wants

    def mirrored_before(self, behind: Layer | None) -> Layer:
        """With the dropout that stood between the two in the encoder, whose place is behind the other one there."""
        reader = None if behind is None else behind.entrance
        return self.but(dropout=reader.dropout if isinstance(reader, Recurrence) else 0.0)

    def drops(self, site: Site) -> bool:
        """Whether dropout stands behind this layer: where it returns all states, and a recurrent layer reads them."""
        behind = site.between[1]
        return self.dropout > 0 and self.returns in (None, "sequence") and behind is not None and isinstance(behind.entrance, Recurrence)

    def check(self, value: Value, site: Site) -> None:
        """Refuses options that would do nothing, or contradict each other, in front of this value."""
        self._check_dropout(site)
        if self.reverse and self.bidirectional:
            site.refuse(self, BOTH_WAYS, "a bidirectional layer has no direction to reverse", "reverse", fix="remove reverse")
        if self.teacher_forcing is not None and self.feed != "previous":
            site.refuse(self, TEACHER, f"with feed: {self._feed} there is no true value to feed", "teacher_forcing",
                        fix="feed: previous")
        if self.feed == "auto":
            return
        if not site.stage.up:
            site.refuse(self, FEED, f"feed: {self.feed} is for decoders, which start from a code", "feed", fix="remove feed")
        if not value.places:
            if self.feed == "previous":
                site.refuse(self, FEED, "feed: previous takes the rest of the decoder into its loop, so it cannot stand inside "
                            "another step", "feed", fix=Hint("move the step to the decoder's own list"))
            return
        first = site.stage.agreed.get("feed")
        if not isinstance(first, Recurrence):
            site.refuse(self, FEED, f"this step gets {value}, a sequence already, so nothing is left to feed", "feed",
                        fix="remove feed")
        if first._feed != self.feed or self.teacher_forcing not in (None, first.teacher_forcing):
            site.refuse(self, FEED, "only the decoder's first recurrent step starts from the code; this one reads its outputs",
                        "feed", "teacher_forcing", fix=Hint("remove feed and teacher_forcing here"))
        if first is self and self.feed == "repeat" and site.stage.adapter not in (None, "repeat"):
            site.refuse(self, FEED, f"feed: repeat contradicts adapter: {site.stage.adapter}", "feed", fix="remove feed")

    def _check_dropout(self, site: Site) -> None:
        before, name = site.between[0], self.variant_name()
        giver = None if before is None else before.exit
        repeated = isinstance(giver, Recurrence) and giver.dropout == self.dropout
        if self.dropout > 0 and not self.drops(site) and not repeated:
            site.refuse(self, DROPPED, f"no recurrent layer reads the outputs of this {name}", "dropout", fix="remove dropout")

    @property
    def _feed(self) -> str:
        return "repeat" if self.feed == "auto" else self.feed

    def check_loop(self, value: Value, site: Site) -> None:
        """Refuses what a step that is fed its own output cannot do."""
        self._check_dropout(site)
        if self.bidirectional:
            site.refuse(self, BOTH_WAYS, "a decoder that is fed its own last output cannot be bidirectional", "bidirectional",
                        fix="remove bidirectional")
        if self.returns not in (None, "sequence"):
            site.refuse(self, LOOP, f"returns: {self.returns} looks at all positions, but the loop makes one after the other",
                        "returns", fix="returns: sequence")
        if value.places:
            site.refuse(self, FEED, f"feed: previous starts from one code but this step gets {value}", "feed",
                        fix=Hint("remove feed, or put a `flatten` step before it"))

    def check_tail(self, node: Node, length: int, site: Site) -> None:
        """Refuses a step that cannot stand in the loop behind this one."""
        culprit = _strayer(node, length, self.reverse)
        if culprit is not None:
            where = replace(site, path=culprit.path)
            where.refuse(culprit.part if culprit.part.place() is not None else self, LOOP,
                         f"{culprit.kind} cannot stand behind feed: previous, because it does not go position by position in "
                         "the same direction", fix=Hint(f"write `feed: repeat` at the {self.variant_name()}"))


def _strayer(node: Node, length: int, reverse: bool) -> Node | None:
    """The first node that does not keep to one position and sample, or to the loop's direction."""
    if any(value.series_length != length for value in (node.input, node.output)):
        return node
    if isinstance(node.part, Recurrence):
        return node if node.part.bidirectional or node.part.reverse != reverse else None
    if node.children:
        inner = (_strayer(child, length, reverse) for child in node.children)
        return next((found for found in inner if found), None) if node.sequential or node.kind == "residual" else node
    if node.kind == "linear":
        return None
    local = node.window is not None and all(window == (1, 1.0) for window in node.window)
    return None if local and not node.buffers and node.kind != "skip" else node
