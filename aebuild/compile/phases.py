"""Players and phases: which parameters minimise which terms, for how long."""

from __future__ import annotations

from collections.abc import Mapping

from aebuild.compile.plan import PhasePlan, PlayerPlan
from aebuild.compile.spec import Spec, StageSpec, Train
from aebuild.compile.wording import quoted_from
from aebuild.lang.diagnostics import Diagnostic, Rule
from aebuild.lang.families import LatentPlan
from aebuild.lang.node import Node
from aebuild.lang.suggest import closest
from aebuild.lang.terms import TermPlan
from aebuild.lang.training import PhasePart, Player

UNKNOWN_PLAYER = Rule("AE315", "a player that this model does not have", """\
Every model has the player `autoencoder`. An adversarial latent adds `generator` (the encoder, fooling) and `discriminator`.

```yaml
latent: {type: gaussian, dim: 8}
train: {players: {discriminator: {steps: 2}}}
```
```yaml
latent: {type: adversarial, dim: 8}
train: {players: {discriminator: {steps: 2}}}
```
""")

UNPAIRED = Rule("AE316", "greedy training needs halves of equal depth", """\
Greedy layer-wise training takes one layer of each half at a time, from the outside in, and each decoder layer must give back
exactly what its encoder layer took.

```yaml
encoder: [linear: 341, linear: 113]
decoder: [linear: 341]
train: {phases: [greedy]}
```
```yaml
decoder: mirror
```
""")

TWICE = Rule("AE317", "epochs and steps together", """\
The length of training is given either in epochs or in steps.

```yaml
train: {epochs: 10, steps: 1000}
```
```yaml
train: {steps: 1000}
```
""")

UNTRAINED = Rule("AE213", "a term that no phase minimises", """\
Greedy layer-wise training minimises the reconstruction of each pair of layers, and the latent's own terms with the innermost pair. Heads
and penalties act only while the whole model trains: without a phase `main` their weights do nothing, and heads keep the weights
they were drawn with.

```yaml
losses: {sparsity: {type: l1, weight: 0.1}}
train: {phases: [greedy]}
```
```yaml
losses: {sparsity: {type: l1, weight: 0.1}}
train: {phases: [greedy, main]}
```
""", "warning")


PATIENT = Rule("AE215", "patience that cannot run out", """\
`patience` ends a phase after so many epochs without a better validation score. The first epoch is always the best so far, so a
phase of `epochs` can be ended early only by a patience of at most `epochs` - 2.

```yaml
train: {epochs: 20, patience: 20}
```
```yaml
train: {epochs: 200, patience: 20}
```
""", "warning")


def plan_phases(spec: Spec, written: StageSpec, latent: LatentPlan | None, encoder: Node | None, decoder: Node | None,
                terms: tuple[TermPlan, ...], found: list[Diagnostic]) -> tuple[PhasePlan, ...]:
    """Every phase with its players; a greedy phase becomes one for each pair of layers."""
    _check_players(spec.train.players, spec, "train.players", found)
    phases: list[PhasePlan] = []
    for i, phase in enumerate(spec.train.phases):
        _check_players(phase.players, spec, f"train.phases.{i}.players", found)
        epochs, steps = _length(spec.train, phase, found)
        depth = len(spec.encoder.steps) + 1
        for name, pair in phase.stretches(depth):
            if pair is not None and not _paired(spec, written, encoder, decoder, latent, phase, found):
                break
            players = _pair_player(spec, phase, pair[0], depth, latent, terms) if pair else _players(spec, phase, latent, terms)
            phases.append(PhasePlan(name, players, epochs, steps, phase.batch_size or spec.train.batch_size, pair,
                                    phase.patience or spec.train.patience))
    _check_patience(spec, found)
    _check_trained(spec, terms, phases, found)
    return tuple(phases)


def _check_trained(spec: Spec, terms: tuple[TermPlan, ...], phases: list[PhasePlan], found: list[Diagnostic]) -> None:
    trained = {name for phase in phases for player in phase.players for name in player.terms}
    for term in terms:
        if phases and term.name not in trained:
            place = spec.losses.place(term.name) if term.name in spec.losses.terms else spec.train.place("phases")
            found.append(Diagnostic(UNTRAINED, f"no phase minimises {term.name}", place, "train: {phases: [greedy, main]}",
                                    f"losses.{term.name}"))


def _check_patience(spec: Spec, found: list[Diagnostic]) -> None:
    heirs = [phase for phase in spec.train.phases if phase.patience is None]
    owners: list[tuple[Train | PhasePart, str, list[PhasePart]]] = [
        (spec.train, "train", heirs), *((phase, f"train.phases.{i}", [phase]) for i, phase in enumerate(spec.train.phases))]
    for part, path, phases in owners:
        patience, lengths = part.patience, [_length(spec.train, phase, [])[0] for phase in phases]
        known = [epochs for epochs in lengths if epochs is not None]
        if patience is not None and known and len(known) == len(lengths) and max(known) < patience + 2:
            told = f"a patience of {patience} cannot end a phase of {max(known)} epoch{'s'[:max(known) != 1]} early"
            found.append(Diagnostic(PATIENT, told, part.place("patience"), "remove patience", f"{path}.patience"))


def _length(train: Train, phase: PhasePart, found: list[Diagnostic]) -> tuple[int | None, int | None]:
    own = phase if phase.epochs is not None or phase.steps is not None else train
    if own.epochs is not None and own.steps is not None:
        found.append(Diagnostic(TWICE, "epochs and steps are both given", own.place("steps"), "remove steps", "train.steps"))
    return (20, None) if own.epochs is None and own.steps is None else (own.epochs, own.steps)


def _check_players(players: Mapping[str, Player], spec: Spec, path: str, found: list[Diagnostic]) -> None:
    names = spec.latent.players
    for name, player in players.items():
        if name not in names:
            best, place = closest(name, names), player.place()
            found.append(Diagnostic(UNKNOWN_PLAYER, f"this model has no player {name!r}; it has {', '.join(names)}", place,
                                    f"{best}: {quoted_from(place)}" if best and place else f"remove {name}", f"{path}.{name}"))


def _player(name: str, modules: tuple[str, ...], terms: tuple[str, ...], spec: Spec, phase: PhasePart) -> PlayerPlan:
    options = [player for player in (phase.players.get(name), spec.train.players.get(name)) if player is not None]
    optimizer = next((p.optimizer for p in options if p.optimizer is not None), None) or phase.optimizer or spec.train.optimizer
    clips = [clip for clip in (*(player.clip for player in options), phase.clip, spec.train.clip) if clip is not None]
    return PlayerPlan(name, modules, terms, optimizer, clips[0] if clips else None, options[0].steps if options else 1)


def _players(spec: Spec, phase: PhasePart, latent: LatentPlan | None, terms: tuple[TermPlan, ...]) -> tuple[PlayerPlan, ...]:
    discriminator = latent.discriminator.path if latent and latent.discriminator else None
    code: tuple[str, ...] = ("latent",)
    if latent and discriminator:
        own = tuple(f"latent.{name}" for name in latent.node.weights)
        code = own + tuple(child.path for child in latent.node.children if child.path != discriminator)
    modules = {"autoencoder": ("encoder", *code, "decoder", "likelihood", "heads"), "generator": ("encoder", *code),
               "discriminator": (discriminator or "",)}
    return tuple(_player(name, modules[name], tuple(t.name for t in terms if t.player == name), spec, phase)
                 for name in spec.latent.players)


def _pair_player(spec: Spec, phase: PhasePart, at: int, depth: int, latent: LatentPlan | None,
                 terms: tuple[TermPlan, ...]) -> tuple[PlayerPlan, ...]:
    """Pair `at` of `depth`: the encoder's step (the latent for the last) and the decoder's step that undoes it."""
    last = at == depth - 1
    down = "latent" if last else f"encoder.{at}"
    up = "decoder.output" if at == 0 else f"decoder.{depth - 1 - at}"
    own = {name for name, player, _ in latent.terms if player == "autoencoder"} if latent and last else set()
    names = tuple(t.name for t in terms if t.name == "reconstruction" or t.name in own)
    return (_player("autoencoder", (down, up, "likelihood"), names, spec, phase),)


def _paired(spec: Spec, written: StageSpec, encoder: Node | None, decoder: Node | None, latent: LatentPlan | None, phase: PhasePart,
            found: list[Diagnostic]) -> bool:
    down, up = len(spec.encoder.steps), len(written.steps)
    if down != up:
        found.append(Diagnostic(UNPAIRED, f"the encoder has {down} layers and the decoder {up}", phase.place(), "decoder: mirror"))
        return False
    if not (encoder and decoder and latent):
        return False
    whole = next((node.kind for node in decoder.walk() if node.kind in ("skip", "unroll")), None)
    if whole is not None:
        found.append(Diagnostic(UNPAIRED, f"the decoder's {whole} ties its layers together, so they cannot be trained in pairs",
                                phase.place(), "phases: [main]"))
        return False
    befores = [*(_input_of(encoder, str(i)) for i in range(down)), encoder.output]
    afters = [decoder.output, *(_output_of(decoder, str(down - i)) for i in range(1, down + 1))]
    for i, (before, after) in enumerate(zip(befores[1:], afters[1:], strict=True), start=1):
        if before != after:
            found.append(Diagnostic(UNPAIRED, f"encoder layer {i} takes {before}, but the decoder layer that should undo it gives {after}",
                                    phase.place(), "decoder: mirror"))
            return False
    return True


def _input_of(stage: Node, index: str) -> object:
    return next(child.input for child in stage.children if child.name.split("_")[0] == index)


def _output_of(stage: Node, index: str) -> object:
    return next(child.output for child in reversed(stage.children) if child.name.split("_")[0] == index)
