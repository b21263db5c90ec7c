"""Rewrites the plan of each file of specs/ as text; read the difference before keeping it."""

from __future__ import annotations

from pathlib import Path

from aebuild.compile.front import load
from aebuild.compile.plan import Plan
from aebuild.lang.node import Node

HERE = Path(__file__).parent
SPECS = HERE.parent.parent / "specs"


def files() -> list[Path]:
    """Every shipped spec."""
    return sorted(SPECS.rglob("*.yaml"))


def golden_file(spec: Path) -> Path:
    """Where a spec's plan is kept."""
    return HERE / ("-".join(spec.relative_to(SPECS).with_suffix("").parts) + ".txt")


def plan_text(plan: Plan) -> str:
    """A plan as lines to compare: nodes, latent, terms, phases with their players."""
    lines = [f"data     {plan.input}, target {plan.target} in {plan.bounds}", f"params   {plan.params:,}", ""]
    for half in (plan.encoder, plan.latent.node, plan.decoder, *(head.node for head in plan.heads)):
        lines += [_row(node) for node in half.walk() if not node.silent]
    lines += ["", f"code     {plan.latent.code}, {plan.latent.values:,} values, {plan.latent.bits:,.1f} bits", ""]
    lines += [f"term     {term.name} of {term.player}, {term.elements:,} elements: {_part(term.config)}" for term in plan.terms]
    for phase in plan.phases:
        length = f"{phase.epochs} epochs" if phase.epochs else f"{phase.steps} steps"
        lines += ["", f"phase    {phase.name}, {length}, batches of {phase.batch_size}" + (f", pair {phase.pair}" if phase.pair else "")]
        lines += [f"  player {player.name}: {', '.join(player.modules)} minimise {', '.join(player.terms)} by {_part(player.optimizer)}, "
                  f"clip {player.clip}, {player.steps} a batch" for player in phase.players]
    lines += ["", *(f"dial     {dial}" for dial in plan.dials), *(f"skip     {tap}" for tap in plan.taps),
              *(f"refused  {name}: {reason}" for name, reason in plan.refusals.items())]
    return "\n".join(lines).rstrip().replace(f"{SPECS}/", "specs/") + "\n"          # files that a loss names


def _row(node: Node) -> str:
    marks = "inserted" if node.inserted else ""
    return f"{node.path:<32} {node.kind:<16} {f'{node.input} → {node.output}':<48} {node.own_params:>12,} {node.macs:>14,} {marks}".rstrip()


def _part(part: object) -> str:
    from aebuild.compile.canonical import plain

    return str(plain(part))  # type: ignore[arg-type]


def main() -> None:
    """Rewrites every file of this folder."""
    kept = {golden_file(spec): plan_text(load(spec).require()) for spec in files()}
    for old in set(HERE.glob("*.txt")) - set(kept):
        old.unlink()
    for path, text in kept.items():
        path.write_text(text, encoding="utf-8")
    print(f"{len(kept)} plans")


if __name__ == "__main__":
    main()
