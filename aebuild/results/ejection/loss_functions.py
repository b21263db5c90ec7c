"""The losses of the ejected file: a function for each player."""

from __future__ import annotations

from aebuild.compile.plan import PhasePlan, Plan, PlayerPlan
from aebuild.lang.schedule import Dial, Ramp, in_steps
from aebuild.lang.terms import Term, TermPlan
from aebuild.lang.variational import KlTerm
from aebuild.results.ejection.construction import NotWritableError
from aebuild.results.ejection.layout import listed, quoted, word

RAMP = '''
def ramp(step: int, *pieces: tuple[float, float, int, str, int, float]) -> float:
    """A number that moves: each piece from one value to another in so many steps, `linear` or `cosine`, in cycles that rise and hold."""
    for start, end, steps, shape, cycles, rise in pieces:
        if step < steps:
            share = min(step / steps * cycles % 1 / rise, 1.0)
            return start + (end - start) * ((1 - math.cos(math.pi * share)) / 2 if shape == "cosine" else share)
        step -= steps
    return pieces[-1][1]
'''.strip()

SUMMED = '''
def summed(term: Tensor) -> Tensor:
    """A raw term [N, ...] summed over a sample and averaged over the batch; a scalar stays."""
    return term if term.ndim == 0 else term.sum() / term.shape[0]
'''.strip()


def loss_name(plan: Plan, phase: PhasePlan, player: PlayerPlan) -> str:
    """The function of what a player minimises; it has its phase's name where the player minimises something else in another phase."""
    every = [(each, other) for each in plan.phases for other in each.players if other.name == player.name]
    first = next(each for each, other in every if other.terms == player.terms)
    alike = all(other.terms == player.terms for _, other in every)
    return f"{player.name}_loss" if alike else f"{word(first.name)}_{player.name}_loss"


def losses(plan: Plan) -> list[str]:
    """A function for each player and what it minimises: its weighted terms added up."""
    if plan.spec.losses.bound.joined and any(phase.pair is None for phase in plan.phases):
        raise NotWritableError(f"the bound {plan.spec.losses.bound.variant_name()} joins terms sample by sample")
    if plan.spec.losses.bound.balances:
        raise NotWritableError("the terms are balanced by their gradients")
    if any(head.columns for head in plan.heads):
        raise NotWritableError("a head predicts columns, which the ejected training does not read")
    return list({name: _loss(plan, player, name) for phase in plan.phases for player in phase.players
                 for name in (loss_name(plan, phase, player),)}.values())


def _loss(plan: Plan, player: PlayerPlan, function: str) -> str:
    optional = {head.name for head in plan.heads} | {term.name for term in plan.terms if getattr(term.config, "needs_labels", False)
                                                     or getattr(term.config, "optional", False)}
    lines = [f"def {function}(terms: dict[str, Tensor], step: int, per_epoch: int, steps: int) -> Tensor:",
             f'    """What the player `{player.name}` minimises at `step` of `steps`, of which an epoch has `per_epoch`."""']
    for number, term in enumerate(map(plan.term, player.terms)):
        if term.name in optional:
            lines.append(f"    if {quoted(term.name)} in terms:        # there are batches that have none")
            lines += _added(term, "        ", "loss + ")
        else:
            lines += _added(term, "    ", "loss + " if number else "")
    return "\n".join([*lines, "    return loss"])


def _added(term: TermPlan, indent: str, before: str) -> list[str]:
    """The lines that add a weighted term to the loss."""
    config, raw = term.config, f"terms[{quoted(term.name)}]"
    if type(config).reduce not in (Term.reduce, KlTerm.reduce):
        raise NotWritableError(f"the term {term.name} is reduced in a way of its own")
    lines, text = [], f"summed({raw})"
    if isinstance(config, KlTerm) and config.free_bits:
        floor = f"{config.free_bits} * ({term.elements} if {raw}.ndim == 1 else 1)"
        lines = [f"{indent}floor = {floor}        # nats, which the KL counts as where it is below them"]
        text = f"{raw}.mean(0).clamp(min=floor).sum()"
    if isinstance(config, KlTerm) and config.capacity is not None:
        lines = dial(indent, "capacity = ", config.capacity)
        text = f"({raw}.reshape(len({raw}), -1).sum(1) - capacity).abs().mean()"
    if config.reduction == "mean":
        text += f" / {term.elements}"
    if isinstance(config.weight, Ramp | list):
        lines += dial(indent, "weight = ", config.weight)
        text += " * weight"
    elif config.weight != 1:
        text += f" * {float(config.weight)!r}"
    return [*lines, f"{indent}loss = {before}{text}"]


def dial(indent: str, opening: str, value: Dial, closing: str = "", at: str = "step") -> list[str]:
    """A number between an opening and a closing, or the call that gives it at a step, on one line or several."""
    if not isinstance(value, Ramp | list):
        return [f"{indent}{opening}{float(value)!r}{closing}"]
    pieces = [f'({piece.start!r}, {piece.to!r}, {_steps(piece.over)}, "{piece.shape}", {piece.cycles}, {piece.rise!r})'
              for piece in ([value] if isinstance(value, Ramp) else value)]
    return listed(indent, f"{opening}ramp(", [at, *pieces], f"){closing}")


def _steps(duration: str) -> str:
    unit = duration.lstrip("0123456789. ")
    number = float(duration.removesuffix(unit))
    if unit.startswith("step"):
        return str(in_steps(duration, 1, 1))
    scale = "steps / 100" if unit == "%" else "per_epoch"
    return f"max(1, round({number} * {scale}))"
