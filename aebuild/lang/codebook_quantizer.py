"""What quantizers with a codebook share: the plan of their entries, their terms, and the options of all of them."""

from __future__ import annotations

from math import log2
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from aebuild.lang.diagnostics import Rule
from aebuild.lang.families import LatentPlan, Quantizer
from aebuild.lang.node import Node, Site
from aebuild.lang.part import Part, knob
from aebuild.lang.per_axis import largest_divisor
from aebuild.lang.projection import Projection
from aebuild.lang.terms import AUTOENCODER, Term, TermPlan
from aebuild.lang.values import Tokens, Value, elements

if TYPE_CHECKING:
    from torch import nn

    from aebuild.modules.codebook_updates import Restart

GROUPS = Rule("AE341", "groups do not divide the code", """\
`groups` cuts the features of the code into groups of equal size, each with a codebook of its own (`shared: true`: one for all).
So their number must divide `dim`, or what `project` makes of it. As many groups as features make scalar codebooks.

```yaml
latent: {type: codebook, codes: 512, dim: 20, groups: 8}     # 20 / 8 is not whole
```
```yaml
latent: {type: codebook, codes: 512, dim: 20, groups: 20}
```
""")

UNMOVED = Rule("AE382", "a term on entries that no gradient moves", """\
`orthogonal` is a term of the loss that pulls entries apart. Entries that are running averages follow their vectors and nothing else, so the
term would change nothing.

```yaml
latent: {type: codebook, codes: 64, dim: 16, update: ema, quantizer: {type: vq, orthogonal: true}}
```
```yaml
latent: {type: codebook, codes: 64, dim: 16, update: gradient, quantizer: {type: vq, orthogonal: true}}
losses: {orthogonal: 10}
```
""")

COUNTED = 1 << 20
MANY = Rule("AE374", "more codes than can be counted", f"""\
Where codes are combinations of levels or bits their number grows with the power of the features. How often each is used is counted, priors
give each a chance, so one group may have {COUNTED:,} codes at most. `groups` cuts the features into several indices with fewer codes each;
the bits of the code stay the same.

```yaml
latent: {{type: codebook, dim: 36, quantizer: lfq}}                # 2^36 codes
```
```yaml
latent: {{type: codebook, dim: 36, groups: 4, quantizer: lfq}}     # four indices below 2^9
```
""")


def check_groups(part: Part, size: int, groups: int, site: Site, name: str = "dim") -> None:
    """Refuses groups that do not divide so many features."""
    if size % groups:
        site.refuse(part, GROUPS, f"{groups} groups do not divide the {size} features of the code", "groups", name,
                    fix=f"groups: {largest_divisor(size, groups)}")


def check_codes(part: Part, classes: int, site: Site, name: str, fix: str | None = None) -> None:
    """Refuses more codes of a group than can be counted."""
    if classes > COUNTED:
        site.refuse(part, MANY, f"a group has {classes:,} codes, of which at most {COUNTED:,} can be counted", name, fix=fix)


class CommitmentTerm(Term):
    """The pull of the encoder's outputs towards the entries they choose."""

    example = ("encoder: {layer: conv, width: 4, stride: 2}\n"
               "latent: {type: codebook, codes: 4, dim: 4}\n"
               "losses: {commitment: {weight: 0.5}}")
    also = ("commitment_cost", "commitment_weight", "commitment_loss", "commit")


class CodebookQuantizer(Quantizer):
    """A quantizer that replaces vectors by the nearest of entries."""

    takes: ClassVar[tuple[str, ...]] = ("codes", "dim", "groups", "shared", "update", "init", "restart")
    needs = ("codes", "dim")
    terms = {"codebook": Term, "commitment": CommitmentTerm}
    meanings = {"codebook": "squared distance of the entries to the codes; lower is better",
                "commitment": "squared distance of the codes to their entries; lower is better",
                "orthogonal": "mean squared cosine of two different entries, less what right angles have; lower is better"}
    kind: ClassVar[str] = "codebook"          # what the summary calls it

    def entry_features(self, latent: Any) -> int:
        """Features of the entries of all groups together."""
        return int(latent.dim)

    def levels_of(self) -> int:
        """Entries that are added up for each vector."""
        return 1

    def books(self, latent: Any) -> int:
        """Codebooks there are."""
        return self.levels_of() * (1 if latent.shared else int(latent.groups))

    def features(self, latent: Any) -> int:
        """Those that entries are compared with."""
        return self.entry_features(latent)

    def trained(self, latent: Any) -> bool:
        """True if entries are moved by the term `codebook`."""
        return bool(latent.update.trained)

    def tensors(self, latent: Any, features: int) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
        """Weights and buffers besides those of the projections."""
        books, codes = self.books(latent), latent.codes
        book = {"codebook": (*((books,) if books > 1 else ()), codes, features)}
        buffers: dict[str, tuple[int, ...]] = {}
        if not latent.update.trained:
            buffers |= {**book, "update.counts": (books, codes), "update.sums": (books, codes, features)}
        if latent.restart is not None:
            buffers |= {"restart.usage": (books, codes), "restart.steps": ()}
        if latent.init == "kmeans":
            buffers["initialised"] = ()
        return (book if latent.update.trained else {}), buffers

    def costs(self, latent: Any, size: int, features: int) -> int:
        """Multiply-accumulates of a sample, of whose code `size` numbers are compared; scalars are looked up in sorted entries."""
        return size * latent.codes * self.levels_of() if features > 1 else 0

    def plan_quantizer(self, latent: Any, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """Codebooks as the latent's own weights, or buffers where no gradient moves them."""
        whole = self.entry_features(latent)
        check_groups(latent, whole, latent.groups, site)
        features = whole // latent.groups
        given = steps[-1].output.with_features(whole)
        size = elements(given)
        expand = (Projection(activation=None).plan(f"{site.path}.expand", given, latent.dim),) if whole != latent.dim else ()
        code = given.with_features(latent.dim)
        weights, buffers = self.tensors(latent, features)
        node = Node(site.path, self.kind, value, code, latent, children=(*steps, *expand), weights=weights, buffers=buffers,
                    macs=self.costs(latent, size, features))
        width = size // features * self.levels_of()
        return LatentPlan(node=node, code=code, values=elements(code), bits=log2(latent.codes) * width, codes=Tokens(width, latent.codes),
                          terms=tuple(self.planned_terms(latent, size)))

    def compared(self, node: Node) -> tuple[int, ...]:
        """The shape of the vectors that entries are compared with."""
        latent: Any = node.part
        return tuple(node.output.with_features(self.entry_features(latent)).shape)

    def planned_terms(self, latent: Any, size: int) -> list[TermPlan]:
        """`codebook` where a gradient moves the entries, and `commitment`."""
        commitment = TermPlan("commitment", AUTOENCODER, size * self.levels_of(), CommitmentTerm())
        return [TermPlan("codebook", AUTOENCODER, size * self.levels_of()), commitment] if self.trained(latent) else [commitment]


class LearnedCodebookQuantizer(CodebookQuantizer):
    """A quantizer whose entries are learned one by one."""

    terms = {"codebook": Term, "commitment": CommitmentTerm, "orthogonal": Term}

    project: int | None = knob(None, "features of the entries, from which a linear map makes the `dim` of the code again; by default "
                                     "entries have `dim` features (Yu et al., 2021)", affects="graph", ge=1)
    estimator: Literal["straight_through", "rotation"] = knob(
        "straight_through", "gradient of the encoder: that of the entry as it is, or turned and stretched as the vector is to become the "
                            "entry (Fifty et al., 2024)", affects="gradient")
    orthogonal: bool = knob(False, "a term `orthogonal` that keeps entries at right angles, by their squared cosines (Shin et al., 2021)",
                            affects="loss")

    def entry_features(self, latent: Any) -> int:
        """`project`, else the latent's `dim`."""
        return int(latent.dim if self.project is None else self.project)

    def plan_quantizer(self, latent: Any, value: Value, steps: tuple[Node, ...], site: Site) -> LatentPlan:
        """Refuses a term on running averages."""
        if self.orthogonal and not latent.update.trained:
            site.refuse(self, UNMOVED, "entries that are running averages cannot be kept at right angles by a term", "orthogonal",
                        fix="remove orthogonal")
        return super().plan_quantizer(latent, value, steps, site)

    def planned_terms(self, latent: Any, size: int) -> list[TermPlan]:
        """`orthogonal` too, where it is wanted."""
        extra = [TermPlan("orthogonal", AUTOENCODER, 1)] if self.orthogonal else []
        return [*super().planned_terms(latent, size), *extra]

    def built_options(self, latent: Any, steps: dict[str, nn.Module], prior: Any) -> dict[str, Any]:
        """The options of a `modules.codebook.CodebookLatent`; takes `expand` out of the steps."""
        books, features = self.books(latent), self.entry_features(latent) // latent.groups
        return {"prior": prior, "shared": latent.shared, "ema": latent.update.build_update(books, latent.codes, features),
                "restart": self._built_restart(latent), "initialise": latent.init == "kmeans", "rotation": self.estimator == "rotation",
                "orthogonal": self.orthogonal, "expand": steps.pop("expand", None)}

    def _built_restart(self, latent: Any) -> Restart | None:
        from aebuild.modules.codebook_updates import Restart

        restart = latent.restart
        return None if restart is None else Restart(self.books(latent), latent.codes, restart.below, restart.decay)
