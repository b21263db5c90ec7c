"""The functions that train the phases in the ejected file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from aebuild.compile.plan import PhasePlan, Plan, PlayerPlan
from aebuild.lang.schedule import Ramp
from aebuild.lang.terms import Penalty
from aebuild.lang.training import LrSchedule
from aebuild.results.ejection.construction import NotWritableError
from aebuild.results.ejection.layout import indented, listed, quoted, tupled, word
from aebuild.results.ejection.loss_functions import dial, loss_name
from aebuild.trainer.phase import pass_size

INNER = " " * 12           # of what is done for a batch


@dataclass(frozen=True)
class Stretch:
    """A phase as the file has it: `name` is its functions', `number` its place, `fixed` are parameters that no phase trains."""

    plan: Plan
    phase: PhasePlan
    number: int
    name: str
    fixed: tuple[str, ...]

    @property
    def keeps_best(self) -> bool:
        """True if the weights of the best epoch are taken in the end: those of the last phase, as aebuild does."""
        return self.number + 1 == len(self.plan.phases) and self.plan.spec.train.keep == "best"

    @property
    def paired(self) -> bool:
        """True if it trains a pair of layers: such phases may share a function, which is told what differs."""
        return self.phase.pair is not None

    @property
    def moving(self) -> tuple[str, ...]:
        """The paths that it trains."""
        return tuple(dict.fromkeys(path for player in self.phase.players for path in player.modules))

    @property
    def frozen(self) -> tuple[str, ...]:
        """The paths under which it leaves everything as it is."""
        return tuple(dict.fromkeys((*self.phase.freeze, *self.fixed)))

    def loss(self, player: PlayerPlan, at: str) -> str:
        """The call of a player's loss at a step."""
        return f"{loss_name(self.plan, self.phase, player)}(terms, {at}, per_epoch, steps)"

    @property
    def forward(self) -> str:
        """The call that makes a pass."""
        if self.phase.data == "codes":
            return "Outputs(batch, model.latent.code_from(batch.x))"
        return "forward(model, batch)" if self.paired else "model.run(batch)"


def stretches(plan: Plan, fixed: tuple[str, ...]) -> list[Stretch]:
    """Every phase, under names of their own."""
    found: list[Stretch] = []
    for number, phase in enumerate(plan.phases):
        name, taken = word(phase.name), {each.name for each in found}
        found.append(Stretch(plan, phase, number, name if name not in taken else f"{name}_{number + 1}", fixed))
    return found


def left_out(plan: Plan) -> tuple[str, ...]:
    """What the loop cannot do; each is said once more at its place in the file."""
    starts = [f"the weights of the run {phase.start.run}, with which the phase {phase.name} begins" for phase in plan.phases
              if phase.start is not None]
    starts += [f"the encoder of the run {term.teacher}, of which the term {name} learns" for name, term in plan.spec.losses.terms.items()
               if isinstance(term, Penalty) and term.teacher is not None]
    averages = [f"averaging the weights in the phase {phase.name}" for phase in plan.phases if phase.average is not None]
    averages += [f"judging epochs by {phase.judge.by} in the phase {phase.name}" for phase in plan.phases if phase.judge is not None]
    rates = [f"learning rates of their own for {', '.join(phase.rates)} in the phase {phase.name}" for phase in plan.phases if phase.rates]
    return (*starts, *averages, *rates,
            *(["reading samples from disk batch by batch: it takes all of them at once"] if streamed(plan) else []))


def streamed(plan: Plan) -> bool:
    """True if the spec says that samples stay on disk."""
    return getattr(plan.spec.data, "stream", None) is True


def phase_functions(found: Sequence[Stretch]) -> tuple[list[str], list[str]]:
    """The functions that train the phases, and their calls in order."""
    functions: dict[str, str] = {}                  # the name, by all that follows it
    calls = []
    for each in found:
        body = "\n".join([*_signature(each), *_length(each), *_players(each), *_judged(each), *_epochs(each)])
        name = each.name if not each.paired else f"pairs{f'_{len(functions)}' if functions else ''}"
        name = functions.setdefault(body, f"train_{name}")
        more = f', {each.number}, "{each.phase.name}", {each.name}_pass, {tupled(each.moving)}' if each.paired else ""
        calls.append(f"{name}(model, data, validation, {'tick' if each.number else 0}{more})")
    return [f"def {name}{body}" for body, name in functions.items()], calls


def _signature(stretch: Stretch) -> list[str]:
    phase = stretch.phase
    if stretch.paired:
        return ["(model: Autoencoder, data: Batch, validation: Batch | None, tick: int, number: int, phase: str,",
                "                forward: Callable[[Autoencoder, Batch], Outputs], moving: tuple[str, ...]) -> int:",
                '    """A pair of layers is trained, the others are frozen; `tick` counts forward passes and is given back."""',
                *_begun(phase)]
    what = "the prior is trained, on the codes of the samples" if phase.data == "codes" else "the whole model is trained"
    what += ", but for what is frozen" if phase.freeze else ""
    lines = ["(model: Autoencoder, data: Batch, validation: Batch | None, tick: int) -> int:",
             f'    """Phase {phase.name}: {what}; `tick` counts forward passes and is given back."""', *_begun(phase)]
    if phase.data == "codes":
        lines += ["    codes = torch.cat(codes_of(model, data))", "    data = Batch(codes, codes)", "    if validation is not None:",
                  "        codes = torch.cat(codes_of(model, validation))", "        validation = Batch(codes, codes)"]
    return lines


def _begun(phase: PhasePlan) -> list[str]:
    """What is said where a phase should begin with the weights of another run."""
    lines = []
    if phase.start is not None:
        which = f" ({', '.join(map(ascii, phase.start.parts))} of it)" if phase.start.parts else ""
        run = ascii(phase.start.run)[1:-1]
        lines += [f"    # aebuild begins this phase with the weights of the run {run}{which}, where paths and shapes agree.",
                  "    # They are not in this file: load them here, or the phase goes on from the weights that the model has."]
    if phase.average is not None:
        lines.append("    # aebuild judges and keeps an average of the weights over the steps of this phase; here the last ones are kept.")
    if phase.judge is not None:
        lines.append(f"    # aebuild judges the epochs of this phase by {phase.judge.by}; here by the loss.")
    if phase.rates:
        told = ", ".join(f"{path}: {factor:g}" for path, factor in phase.rates.items())
        lines.append(f"    # aebuild multiplies the learning rate by factors in this phase ({told}); here all parts learn at one rate.")
    return lines


def _length(stretch: Stretch) -> list[str]:
    phase = stretch.phase
    if phase.steps is None:
        length = [f"    epochs = {phase.epochs}", "    steps = epochs * per_epoch"]
    else:
        length = [f"    steps = {phase.steps}", "    epochs = -(-steps // per_epoch)         # the last one may be cut short"]
    return [f"    bounds = batch_bounds(len(data.x), {phase.batch_size})", "    per_epoch = len(bounds)", *length]


def _players(stretch: Stretch) -> list[str]:
    """Each player's parameters, optimiser and schedule."""
    phase, moving, frozen = stretch.phase, stretch.moving, stretch.frozen
    lines = [] if stretch.paired else _tuple("moving = ", moving)
    lines += _tuple("frozen = ", frozen) if frozen else []
    for player in phase.players:
        lines += [] if player.modules == moving or stretch.paired else _tuple(f"{player.name}_paths = ", player.modules)
        paths = "moving" if player.modules == moving or stretch.paired else f"{player.name}_paths"
        lines += [f"    {player.name}_parameters = parameters_under(model, {paths}{', frozen' if frozen else ''})", *_optimizer(player)]
    if len(phase.players) == 1:
        lines.append(f"    train_only(model, {phase.players[0].name}_parameters)")
    return [*lines, "    randoms = random_modules(model)"]


def _tuple(opening: str, names: Sequence[str]) -> list[str]:
    return listed("    ", f"{opening}(", list(map(quoted, names)), ",)" if len(names) == 1 else ")")


def _optimizer(player: PlayerPlan) -> list[str]:
    """Torch's optimiser over its parameters with the options that torch would not take by itself, and torch's schedule of its rate."""
    made = player.optimizer.build_optimizer([torch.nn.Parameter(torch.zeros(1))])
    normal = type(made)([torch.nn.Parameter(torch.zeros(1))])
    own = {key: value for key, value in made.defaults.items() if normal.defaults.get(key) != value}
    schedule, name = player.optimizer.schedule, player.name
    rate = 1.0 if schedule is not None and _ramped(player) else made.defaults["lr"]       # what becomes of 1 multiplies a ramp
    options = [f"{key}={value!r}" for key, value in {"lr": rate, **{key: own[key] for key in own if key != "lr"}}.items()]
    lines = listed("    ", f"{name}_optimizer = torch.optim.{type(made).__name__}({name}_parameters, ", options, ")")
    if schedule is None:
        return lines
    if type(schedule).build_schedule is not LrSchedule.build_schedule:
        raise NotWritableError(f"the learning-rate schedule {schedule.variant_name()} is made in a way of its own")
    given = [f"{key}={value!r}" for key, value in schedule.options(rate, Variable("epochs"), Variable("steps")).items()]
    lines += listed("    ", f"{name}_schedule = torch.optim.lr_scheduler.{schedule.torch_class}({name}_optimizer, ", given, ")")
    if _ramped(player):
        lines.append(f'    {name}_factor = {name}_optimizer.param_groups[0]["lr"]       # what the schedule makes of the rate 1')
    return lines


class Variable(str):
    """The name of a variable among the options of a call."""

    __slots__ = ()
    __repr__ = str.__str__


def _ramped(player: PlayerPlan) -> bool:
    return isinstance(player.optimizer.lr, Ramp | list)


def _judged(stretch: Stretch) -> list[str]:
    """The function by which an epoch is judged: the first player's loss, under the weights that the phase ends with."""
    first = stretch.phase.players[0]
    looked = ".detached()" if stretch.phase.data == "codes" else ""
    return ["", "    def judged(batch: Batch) -> Tensor:",
            f"        outputs = {stretch.forward}{looked}", *_terms("outputs", first, "        "),
            f"        return {stretch.loss(first, 'steps')}", ""]


def _terms(outputs: str, player: PlayerPlan, indent: str = "") -> list[str]:
    return listed(indent, f"terms = model.terms({outputs}, [", list(map(quoted, player.terms)), "])")


def _epochs(stretch: Stretch) -> list[str]:
    plan, phase = stretch.plan, stretch.phase
    frozen = ", frozen" if stretch.frozen else ""
    cut = "" if phase.steps is None else "[:steps - epoch * per_epoch]"
    key, told = ('f"{number}.{phase}"', "phase") if stretch.paired else (f'"{stretch.number}.{phase.name}"', f'"{phase.name}"')
    lines = [*_watched(stretch), "    for epoch in range(epochs):", f"        set_modes(model, moving{frozen})",
             f"        order = shuffled(len(data.x), {key}, epoch)", "        total = 0.0",
             f"        for step, (start, stop) in enumerate(bounds{cut}, epoch * per_epoch):",
             "            batch = rows_of(data, order[start:stop])", *dials(plan, INNER)]
    for number, player in enumerate(phase.players):
        lines += _turn(stretch, player, number)
    lines += [f"            total += {phase.players[0].name}_value.detach() * (stop - start)",
              *(line for player in phase.players for line in _scheduled(player, "epoch", " " * 8)),
              f"        score = None if validation is None else score_of(model, validation, {pass_size(plan, phase)}, judged)",
              f"        tell({told}, epoch + 1, epochs, float(total) / stop, score)", *_chosen(stretch, told)]
    if plan.dials:
        lines += dials(plan, "    ", "step + 1")
    if stretch.keeps_best:
        lines += ["    if kept is not None:", "        model.load_state_dict(kept)"]
    return [*lines, "    return tick"]


def _watched(stretch: Stretch) -> list[str]:
    """The variables in which the best score is kept, and of which epoch it is."""
    patient = stretch.phase.patience is not None
    if not patient and not stretch.keeps_best:
        return []
    names, values = ["best"], ["math.inf"]
    for wanted, name, value in ((patient, "best_epoch", "0"), (stretch.keeps_best, "kept", "None")):
        if wanted:
            names.append(name)
            values.append(value)
    return [f"    {', '.join(names)} = {', '.join(values)}"]


def _chosen(stretch: Stretch, told: str) -> list[str]:
    """What a validation score decides."""
    patience = stretch.phase.patience
    if patience is None and not stretch.keeps_best:
        return []
    lines = ["        if score is not None and score < best:",
             "            best, best_epoch = score, epoch + 1" if patience is not None else "            best = score"]
    if stretch.keeps_best:
        lines.append("            kept = {name: value.clone() for name, value in model.state_dict().items()}")
    if patience is not None:
        epochs = f"{patience} epoch{'s'[:patience != 1]}"
        lines += [f"        if score is not None and epoch + 1 - best_epoch >= {patience}:",
                  f'            print({told}, "ends: no better validation score for {epochs}")', "            break"]
    return lines


def dials(plan: Plan, indent: str, at: str = "step") -> list[str]:
    """Sets the numbers inside modules that move while training to their values at a step."""
    return [line for each in plan.dials
            for line in dial(indent, f"model.get_submodule({quoted(each.path)}).{each.attribute} = ", each.dial, at=at)]


def _turn(stretch: Stretch, player: PlayerPlan, number: int) -> list[str]:
    """The updates of a player from a batch."""
    name, several = player.name, len(stretch.phase.players) > 1
    lines = [f"# {name}", f"train_only(model, {name}_parameters)"] if several else []
    again = player.steps > 1
    body = ["begin_noise(randoms, SEED, tick)", "tick += 1", *_losses(stretch, player, number),
            f"{name}_optimizer.zero_grad()", f"{name}_value.backward()"]
    if player.clip is not None:
        body.append(f"nn.utils.clip_grad_norm_({name}_parameters, {player.clip})")
    if _ramped(player):
        factor = f" * {name}_factor" if player.optimizer.schedule is not None else ""
        body += dial("", f'{name}_optimizer.param_groups[0]["lr"] = ', player.optimizer.lr, factor)
    body.append(f"{name}_optimizer.step()")
    lines += [f"for turn in range({player.steps}):", *indented(body, "    ")] if again else body
    return [*indented(lines, INNER), *_scheduled(player, "step", INNER)]


def _losses(stretch: Stretch, player: PlayerPlan, number: int) -> list[str]:
    """The forward pass of an update, or a look at the last one, and the loss."""
    value = f"{player.name}_value = {stretch.loss(player, 'step')}"
    if player.through:
        made = [f"outputs = {stretch.forward}", *_terms("outputs", player)]
        if number or player.steps > 1:
            learned = "with unlearned(model):" if number else "with unlearned(model) if turn else nullcontext():"
            made = [f"{learned:<48}# statistics are learned in a batch's first pass", *indented(made, "    ")]
        return [*made, value]
    if stretch.phase.data == "codes":
        return [f"outputs = {stretch.forward}.detached()", *_terms("outputs", player), value]
    first = [] if number else ["with torch.no_grad():", f"    outputs = {stretch.forward}"]
    return [*first, "seen = outputs.detached()                       # it only looks at the last pass", *_terms("seen", player), value]


def _scheduled(player: PlayerPlan, each: str, indent: str) -> list[str]:
    """A step of the player's schedule, if it counts epochs or steps like this."""
    schedule, name = player.optimizer.schedule, player.name
    if schedule is None or schedule.each != each:
        return []
    lines = [f"{name}_schedule.step()"]
    if _ramped(player):
        rate = f'{name}_optimizer.param_groups[0]["lr"]'
        lines = [f"{rate} = {name}_factor", *lines, f"{name}_factor = {rate}"]
    return indented(lines, indent)
