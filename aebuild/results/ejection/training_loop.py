"""The losses and the training loop of the ejected file."""

from __future__ import annotations

from aebuild.compile.plan import PhasePlan, Plan, PlayerPlan
from aebuild.lang.schedule import Ramp, in_steps
from aebuild.lang.terms import Term, TermPlan
from aebuild.parts.latents.gaussian import KlTerm
from aebuild.results.ejection.construction import NotWritableError

RAMP = '''
def ramp(step: int, *pieces: tuple[float, float, int, str]) -> float:
    """A number that moves: each piece goes from one value to another in so many steps, `linear` or `cosine`, then it stays."""
    for start, end, steps, shape in pieces:
        if step < steps:
            share = step / steps
            return start + (end - start) * ((1 - math.cos(math.pi * share)) / 2 if shape == "cosine" else share)
        step -= steps
    return pieces[-1][1]
'''.strip()

SUMMED = '''
def summed(term: Tensor) -> Tensor:
    """A raw term [N, ...] summed over a sample and averaged over the batch; a scalar stays."""
    return term if term.ndim == 0 else term.sum() / term.shape[0]
'''.strip()


def losses(plan: Plan, phase: PhasePlan) -> list[str]:
    """A function for each player of the phase: its weighted terms added up."""
    if plan.spec.losses.bound.joined:
        raise NotWritableError(f"the bound {plan.spec.losses.bound.variant_name()} joins terms sample by sample")
    found = [_loss(plan, player) for player in phase.players]
    return [*([RAMP] if any("ramp(" in text for text in found) or _ramped(phase) else []),
            *([SUMMED] if any("summed(" in text for text in found) else []), *found]


def _loss(plan: Plan, player: PlayerPlan) -> str:
    optional = {head.name for head in plan.heads}
    lines = [f"def {player.name}_loss(terms: dict[str, Tensor], step: int, per_epoch: int, steps: int) -> Tensor:",
             f'    """What the player `{player.name}` minimises at `step` of `steps`, of which an epoch has `per_epoch`."""']
    for number, term in enumerate(map(plan.term, player.terms)):
        weighted = _weighted(term)
        if term.name in optional:
            lines += [f'    if "{term.name}" in terms:        # a batch without labels has none', f"        loss = loss + {weighted}"]
        else:
            lines.append(f"    loss = loss + {weighted}" if number else f"    loss = {weighted}")
    return "\n".join([*lines, "    return loss"])


def _weighted(term: TermPlan) -> str:
    config, raw = term.config, f'terms["{term.name}"]'
    if type(config).reduce not in (Term.reduce, KlTerm.reduce):
        raise NotWritableError(f"the term {term.name} is reduced in a way of its own")
    text = f"summed({raw})"
    if isinstance(config, KlTerm) and config.free_bits:
        floor = f"{config.free_bits} * ({term.elements} if {raw}.ndim == 1 else 1)"
        text = f"{raw}.mean(0).clamp(min={floor}).sum()"
    if config.reduction == "mean":
        text += f" / {term.elements}"
    weight = dial(config.weight)
    return text if weight == "1.0" else f"{text} * {weight}"


def dial(value: object) -> str:
    """A number, or the call that gives it at `step`."""
    if isinstance(value, Ramp):
        value = [value]
    if not isinstance(value, list):
        return repr(float(value))  # type: ignore[arg-type]
    pieces = [f'({piece.start!r}, {piece.to!r}, {_steps(piece.over)}, "{piece.shape}")' for piece in value]
    return f"ramp(step, {', '.join(pieces)})"


def _steps(duration: str) -> str:
    unit = duration.lstrip("0123456789. ")
    number = float(duration.removesuffix(unit))
    if unit.startswith("step"):
        return str(in_steps(duration, 1, 1))
    scale = "steps / 100" if unit == "%" else "per_epoch"
    return f"max(1, round({number} * {scale}))"


def _ramped(phase: PhasePlan) -> bool:
    return any(isinstance(player.optimizer.lr, Ramp | list) for player in phase.players)


def loop(plan: Plan, phase: PhasePlan) -> str:
    """The function that trains, and what runs it."""
    return "\n".join([*_train(plan, phase), "", "", *_main(plan, phase)])


def _train(plan: Plan, phase: PhasePlan) -> list[str]:
    dials = [f'        model.get_submodule("{each.path}").{each.attribute} = {dial(each.dial)}' for each in plan.dials]
    length = f"{phase.epochs} * per_epoch" if phase.epochs is not None else ""
    if phase.steps is not None:
        length = f"min({length}, {phase.steps})" if length else str(phase.steps)
    lines = ["def train(model: Autoencoder, x: Tensor, labels: Tensor | None = None) -> None:",
             f'    """Trains on samples x {_batch_shape(plan)}, scaled as the model wants them; labels [n] are -1 where unknown."""',
             f"    size = min({phase.batch_size}, len(x))", "    per_epoch = len(x) // size", f"    steps = {length}"]
    for player in phase.players:
        lines += _optimizer(player)
    lines += [f"    shuffle = torch.Generator().manual_seed({plan.spec.train.seed})", "    randoms, tick = random_modules(model), 0",
              "    model.train()", "    for step in range(steps):", "        if step % per_epoch == 0:",
              "            order = torch.randperm(len(x), generator=shuffle)", "        start = step % per_epoch * size",
              "        rows = order[start:start + size]",
              "        batch = Batch(x[rows], x[rows], None if labels is None else labels[rows])", *dials]
    for number, player in enumerate(phase.players):
        lines += _turn(plan, player, number, len(phase.players) > 1)
    first = phase.players[0].name
    lines += ["        if (step + 1) % per_epoch == 0 or step + 1 == steps:",
              f'            print(f"step {{step + 1:,}} of {{steps:,}}, loss {{{first}_value.item():.4g}}")', "    model.eval()"]
    return lines


def _batch_shape(plan: Plan) -> str:
    return f"[n, {', '.join(map(str, plan.input.shape))}]"


def _optimizer(player: PlayerPlan) -> list[str]:
    """Its parameters and torch's optimiser over them, with the options that torch would not take by itself."""
    import torch

    made = player.optimizer.build_optimizer([torch.nn.Parameter(torch.zeros(1))])
    normal = type(made)([torch.nn.Parameter(torch.zeros(1))])
    own = {key: value for key, value in made.defaults.items() if key not in ("fused", "foreach") and normal.defaults.get(key) != value}
    options = "".join(f", {key}={value!r}" for key, value in {"lr": made.defaults["lr"], **own}.items())
    name, paths = player.name, tuple(f"{path}." for path in player.modules)
    under = f"({', '.join(map(_quoted, paths))})" if len(paths) > 1 else _quoted(paths[0])
    return [f"    {name}_parameters = [p for name, p in model.named_parameters()",
            f"    {' ' * len(name)}               if name.startswith({under})]",
            f"    {name}_optimizer = torch.optim.{type(made).__name__}({name}_parameters{options})"]


def _quoted(text: str) -> str:
    return f'"{text}"'


def _turn(plan: Plan, player: PlayerPlan, number: int, several: bool) -> list[str]:
    name, terms = player.name, ", ".join(map(_quoted, player.terms))
    lines = [f"        for _ in range({player.steps}):"] if player.steps > 1 else []
    inner = "            " if player.steps > 1 else "        "
    lines += [f"{inner}reseed(randoms, {plan.spec.train.seed}, tick)", f"{inner}tick += 1"]
    if several:
        lines += [f"{inner}model.requires_grad_(False)", f"{inner}for parameter in {name}_parameters:",
                  f"{inner}    parameter.requires_grad_(True)"]
    if number and not player.through:
        lines.append(f"{inner}outputs = outputs.detached()                 # it only looks at the last pass")
    elif number:
        lines += [f"{inner}with unlearned(model):                         # statistics were learned in the first pass",
                  f"{inner}    outputs = model.run(batch)"]
    else:
        lines.append(f"{inner}outputs = model.run(batch)")
    lines += [f"{inner}{name}_value = {name}_loss(model.terms(outputs, [{terms}]), step, per_epoch, steps)",
              f"{inner}{name}_optimizer.zero_grad()", f"{inner}{name}_value.backward()"]
    if player.clip is not None:
        lines.append(f"{inner}nn.utils.clip_grad_norm_({name}_parameters, {player.clip})")
    if isinstance(player.optimizer.lr, Ramp | list):
        lines.append(f'{inner}{name}_optimizer.param_groups[0]["lr"] = {dial(player.optimizer.lr)}')
    return [*lines, f"{inner}{name}_optimizer.step()"]


def _main(plan: Plan, phase: PhasePlan) -> list[str]:
    return ['if __name__ == "__main__":', "    if len(sys.argv) not in (2, 3):",
            '        sys.exit(f"python {sys.argv[0]} SAMPLES.npy [LABELS.npy]")',
            f"    torch.manual_seed({plan.spec.train.seed})", "    network = Autoencoder()",
            '    samples = torch.from_numpy(np.load(sys.argv[1], allow_pickle=False))',
            "    known = torch.from_numpy(np.load(sys.argv[2], allow_pickle=False)) if len(sys.argv) > 2 else None",
            f"    train(network, samples{'' if plan.input.kind == 'tokens' else '.float()'}, known)",
            '    save_file(network.state_dict(), "model.safetensors")']
