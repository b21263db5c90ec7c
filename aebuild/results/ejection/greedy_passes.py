"""The forward passes of greedy phases in the ejected file: one pair of layers, through the frozen ones outside it."""

from __future__ import annotations

from torch import nn

from aebuild.compile.plan import Plan
from aebuild.lang.node import Node
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.likelihoods import Likelihood
from aebuild.modules.stage import Contextual, Stage
from aebuild.results.ejection.model_class import shape_of

Steps = list[list[str]]         # the lines of each written step, with the adapters in front of it


def pair_pass(plan: Plan, model: Autoencoder, pair: tuple[int, str], name: str) -> str:
    """The function that makes the pass of pair `depth`, and leaves the squared error of codes as its term where these are the target."""
    depth, codes = pair[0], pair[1] == "code" and pair[0] > 0
    start = "batch.context()" if plan.conditions else "{}"
    down = _steps("encoder", model.encoder, plan.encoder, "x", start)
    up = _steps("decoder", model.decoder, plan.decoder, "y", start)
    undo = len(up) - 1 - depth
    what = f"encoder step {depth}" if depth < len(down) else "the latent"
    lines = [f"def {name}_pass(model: Autoencoder, batch: Batch) -> Outputs:",
             f'    """{what[0].upper()}{what[1:]} and the step of the decoder that undoes it, inside the frozen layers."""',
             "    x = model.corrupt(batch.x, {})", *(line for step in down[:depth] for line in step)]
    if codes:
        lines.append("    clean = x")
        if len(model.corruptions):
            again = _steps("encoder", model.encoder, plan.encoder, "clean", start)
            lines += ["    if model.training:             # not the code of the corrupted sample is to be reproduced, but the sample's own",
                      "        clean = batch.x", *(f"    {line}" for step in again[:depth] for line in step)]
    latent = f"    code = model.latent(x{', batch.context()' if plan.conditions else ''})"
    lines += [*down[depth], "    code = Code(x)"] if depth < len(down) else [latent]
    lines += ["    y = code.value", *up[undo]]
    if codes:
        lines += ['    terms = {"reconstruction": (y - clean.detach()).square().flatten(1).sum(1), **code.terms}',
                  "    return Outputs(batch, code, terms=terms)"]
    else:
        lines += [*(line for step in up[undo + 1:] for line in step),
                  *(["    y = model.likelihood.linked(y, batch.context())"]
                    if type(model.likelihood).linked is not Likelihood.linked else []),
                  "    return Outputs(batch, code, params=y, mean=model.likelihood.mean, terms=dict(code.terms))"]
    return "\n".join(lines)


def _steps(half: str, stage: Stage, node: Node, name: str, start: str) -> Steps:
    found: dict[str, list[str]] = {}
    reads = {key.split("_")[0] for key, step in stage.named_children() if _reads(step)}
    for number, ((key, step), child) in enumerate(zip(stage.named_children(), node.children, strict=True)):
        group = key.split("_")[0]
        lines = found.setdefault(group, [f"    context = {start}"] if group in reads else [])
        call = f"    {name} = model.{half}[{number}]({name}{', context' if _reads(step) else ''})"
        lines.append(f"{call:<44}# {child.kind}: {shape_of(child)}")
    return list(found.values())


def _reads(step: nn.Module) -> bool:
    """True if the step takes the context; a stage of the file has its own where none is given."""
    return isinstance(step, Contextual) or (isinstance(step, Stage) and any(isinstance(each, Contextual) for each in step.modules()))
