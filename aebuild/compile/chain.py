"""Planning a list of layers: one after another, with adapters where types differ."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence as Seq
from dataclasses import replace

from aebuild.compile.joins import join_behind, join_input
from aebuild.lang.dataset import Dataset
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Adapter, Layer
from aebuild.lang.node import Node, Refusal, Site, Stage
from aebuild.lang.values import Value

NO_ADAPTER = Rule("AE303", "types that do not fit together", """\
A layer needs another kind of value than the one before it gives, and no standard adapter leads from one to the other.
Put the step between them that you mean: `flatten` gives up the places, `unflatten` makes new ones.
""")

UNKNOWN_ADAPTER = Rule("AE304", "no such adapter here", """\
`adapter` on a stage replaces the standard adapter that the compiler would insert. It must name one that can do the job at a place where
the stage needs one; otherwise it would do nothing.

```yaml
encoder: {layer: conv, width: 32, adapter: repeat}      # nothing to repeat: the image goes straight into the convolution
```
```yaml
encoder: {layer: conv, width: 32, adapter: mean}        # averaged over all places in front of the code, instead of flattened
```
""")


def site_for(path: str, stage: Stage, final: bool = True) -> Site:
    """A site with the compiler's services."""
    return Site(path, stage, final, chain, adapt)


def chain(steps: Seq[Layer], value: Value, site: Site, first: int = 0, before: Layer | None = None, behind: Layer | None = None
          ) -> tuple[tuple[Node, ...], Value]:
    """Nodes of the steps at `site.path`.0, .1, … (or from `first` on), adapters between; the type at the end.

    `before` and `behind` are the steps between which all of them stand.
    """
    nodes: list[Node] = []
    last = first + len(steps) - 1
    for i, (step, between) in enumerate(with_neighbours(steps, before, behind), start=first):
        planned, value = plan_step(step, value, site.at(str(i), final=site.final and i == last, between=between))
        nodes += planned
    if not steps and site.path == site.stage.top:
        joined, value = join_input(value, site, f"{site.path}.")
        nodes += joined
    return tuple(nodes), value


def with_neighbours(steps: Seq[Layer], before: Layer | None = None, behind: Layer | None = None
                    ) -> Iterator[tuple[Layer, tuple[Layer | None, Layer | None]]]:
    """Each step, and the two between which it stands; `before` the first and `behind` the last of them."""
    return zip(steps, zip((before, *steps), (*steps[1:], behind), strict=False), strict=False)


def plan_step(step: Layer, value: Value, here: Site) -> tuple[list[Node], Value]:
    """The step at its site, behind the adapters it needs, which stand beside it as `<index>_<adapter>`; and what conditions add."""
    base, top = f"{here.path}_", here.path.rpartition(".")[0] == here.stage.top
    before, value = join_input(value, here, base) if top and value.kind == "vector" else ([], value)
    adapters, value = _adapted(value, step.kinds(value, here), here, step, base)
    between, value = join_input(value, here, base) if top else ([], value)
    node = step.plan(value, here)
    _keep_tap(here.path, node.output, here.stage)
    following = here.between[1]
    behind, value = join_behind(node, following is not None and following.follower, here, base) if top else ([], node.output)
    return [*before, *adapters, *between, node, *behind], value


def _keep_tap(path: str, value: Value, stage: Stage) -> None:
    if not stage.up and path.count(".") == 1:
        stage.taps[path] = value


def adapt(value: Value, kinds: tuple[str, ...], site: Site, layer: Layer | None) -> tuple[tuple[Node, ...], Value]:
    """Adapter nodes below `site.path` that make the value one of these kinds."""
    return _adapted(value, kinds, site, layer, f"{site.path}.")


def _adapted(value: Value, kinds: tuple[str, ...], site: Site, layer: Layer | None, base: str) -> tuple[tuple[Node, ...], Value]:
    if value.kind in kinds:
        return (), value
    stage = site.stage
    if not value.places and stage.seeds:
        stage.size = stage.seeds.popleft()
    for kind in kinds:
        adapter = _choose(value, kind, site)
        if adapter is not None:
            node = adapter.plan(value, kind, replace(site, path=f"{base}{adapter.variant_name()}"), layer).marked_inserted()
            return (node,), node.output
    by_way = _choose(value, "sequence", site)           # tokens become a sequence before they become anything else
    if by_way is not None:
        node = by_way.plan(value, "sequence", replace(site, path=f"{base}{by_way.variant_name()}"), layer).marked_inserted()
        rest, out = _adapted(node.output, kinds, site, layer, base)
        return (node, *rest), out
    name = layer.variant_name() if layer is not None else "the latent"
    raise Refusal(Diagnostic(NO_ADAPTER, f"{name} wants a {' or '.join(kinds)} but gets {value}, and nothing leads from one to the other",
                             layer.place() if layer is not None else None, _way_out(value, kinds), site.path))


def _choose(value: Value, kind: str, site: Site) -> Adapter | None:
    wanted = site.stage.adapter
    if wanted is not None:
        adapter = Adapter.named(wanted)
        if adapter.fits(value, kind, site):
            site.stage.adapted = True
            return adapter
    for name in Adapter.variants:
        adapter = Adapter.named(name)
        if kind in adapter.standard and adapter.fits(value, kind, site):
            return adapter
    return None


def _way_out(value: Value, kinds: tuple[str, ...]) -> str | None:
    if not value.places:
        return Hint("put an `unflatten` step before it")
    return Hint("put a `flatten` step before it") if "vector" not in kinds else None


def read_otherwise(data: Dataset, finding: Diagnostic) -> Diagnostic:
    """The finding with the `data` that would give the layer what it wants, where it says that vectors are what it does not."""
    kind = {"AE302": "grid", "AE360": "sequence"}.get(finding.code) if finding.path.startswith("encoder.0") else None
    fix = data.instead(kind) if kind else None
    return finding if fix is None else replace(finding, fix=fix)
