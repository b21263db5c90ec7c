"""Players and phases: which parameters minimise which terms, for how long."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Sequence as Seq
from itertools import chain

from aebuild.compile.greedy_pairs import paired
from aebuild.compile.losses import providers
from aebuild.compile.plan import PhasePlan, PlayerPlan
from aebuild.compile.spec import Spec, StageSpec, Train
from aebuild.compile.wording import quoted_from
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import LatentPlan
from aebuild.lang.node import Node
from aebuild.lang.suggest import closest
from aebuild.lang.terms import AUTOENCODER, Contribution, Role, TermPlan
from aebuild.lang.training import Judge, PhasePart, Player, Start

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


NOBODY = Rule("AE352", "a phase in which nobody plays", """\
A phase trains the players that belong into it. The phase `prior` trains a prior that is learned from the codes of the trained model; other
priors are fixed, fitted afterwards, or trained together with the model.

```yaml
train: {phases: [main, prior]}
```
```yaml
train: {phases: [main]}
```
""")

NO_PATH = Rule("AE353", "a path that is not in the model", """\
`freeze` names what a phase leaves as it is by paths of the model, as `aebuild summary` shows them: a half, a layer, or the latent. So do
`rates`, factors of the learning rate, and the `parts` of a `start`.

```yaml
encoder: [linear: 64]
train: {phases: [main, main: {freeze: [encoder.7]}]}
```
```yaml
encoder: [linear: 64]
train: {phases: [main, main: {freeze: [encoder.0]}]}
```
""")

UNKNOWN_FIGURE = Rule("AE387", "judged by a figure that the model does not have", """\
`judge` names the term or metric of the validation split by which epochs are judged, as the log has it.

```yaml
latent: {type: gaussian, dim: 8}
train: {judge: usage}
```
```yaml
latent: {type: gaussian, dim: 8}
train: {judge: active_units}
```
""")

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
                penalties: Mapping[str, Contribution], terms: tuple[TermPlan, ...], usual: int, found: list[Diagnostic]
                ) -> tuple[PhasePlan, ...]:
    """Every phase with its players; a greedy phase becomes one for each pair of layers. `usual` are the epochs of one without a length."""
    roles = (Role(AUTOENCODER, ()),) if latent is None else roles_of(latent, penalties)
    names = [role.name for role in roles] if latent is not None else [AUTOENCODER, *known_players()]
    _check_players(spec.train.players, names, "train.players", found)
    tops: tuple[Node, ...] = ()
    if encoder and decoder and latent:
        tops = (encoder, latent.node, decoder, *(penalty.node for penalty in penalties.values()))
    phases: list[PhasePlan] = []
    for i, phase in enumerate(spec.train.phases):
        _check_players(phase.players, [*names, *(role.name for role in phase.roles(roles) if role.of is not None)],
                       f"train.phases.{i}.players", found)
        frozen = _known(phase, "freeze", phase.freeze, f"train.phases.{i}", tops, spec, found)
        _known(phase, "rates", phase.rates, f"train.phases.{i}", tops, spec, found)
        if phase.start is not None:
            _known(phase.start, "parts", phase.start.parts, f"train.phases.{i}.start", tops, spec, found)
        epochs, steps = _length(spec.train, phase, usual, found)
        depth = len(spec.encoder.steps) + 1
        for name, pair in phase.stretches(depth):
            if pair is not None and not paired(spec, written, encoder, decoder, latent, phase, found):
                break
            players = _pair_player(spec, phase, pair[0], depth, latent, terms) if pair else _players(spec, phase, roles, terms)
            learning = not tops or any(_learns(player, tops, frozen, heads=bool(spec.heads)) for player in players)
            if pair and not learning:
                continue                                    # dropout and its mirror have nothing to learn
            if not learning:
                found.append(Diagnostic(NOBODY, f"nobody trains anything in this phase `{phase.variant_name()}`", phase.place(),
                                        Hint("leave it out"), f"train.phases.{i}"))
            phases.append(PhasePlan(name, players, epochs, steps, phase.batch_size or spec.train.batch_size, pair,
                                    phase.patience or spec.train.patience, phase.data, frozen, phase.start,
                                    phase.average or spec.train.average, phase.rates, _judge(spec, phase, i, players, found)))
    _check_patience(spec, usual, found)
    _check_trained(spec, terms, phases, found)
    return tuple(phases)


def _check_trained(spec: Spec, terms: tuple[TermPlan, ...], phases: list[PhasePlan], found: list[Diagnostic]) -> None:
    trained = {name for phase in phases for player in phase.players for name in player.terms}
    for term in terms:
        if phases and term.name not in trained:
            place = spec.losses.place(term.name) if term.name in spec.losses.terms else spec.train.place("phases")
            found.append(Diagnostic(UNTRAINED, f"no phase minimises {term.name}", place, "train: {phases: [greedy, main]}",
                                    f"losses.{term.name}"))


def _check_patience(spec: Spec, usual: int, found: list[Diagnostic]) -> None:
    heirs = [phase for phase in spec.train.phases if phase.patience is None]
    owners: list[tuple[Train | PhasePart, str, list[PhasePart]]] = [
        (spec.train, "train", heirs), *((phase, f"train.phases.{i}", [phase]) for i, phase in enumerate(spec.train.phases))]
    for part, path, phases in owners:
        patience, lengths = part.patience, [_length(spec.train, phase, usual, [])[0] for phase in phases]
        known = [epochs for epochs in lengths if epochs is not None]
        if patience is not None and known and len(known) == len(lengths) and max(known) < patience + 2:
            told = f"a patience of {patience} cannot end a phase of {max(known)} epoch{'s'[:max(known) != 1]} early"
            found.append(Diagnostic(PATIENT, told, part.place("patience"), "remove patience", f"{path}.patience"))


def _length(train: Train, phase: PhasePart, usual: int, found: list[Diagnostic]) -> tuple[int | None, int | None]:
    own = phase if phase.epochs is not None or phase.steps is not None else train
    if own.epochs is not None and own.steps is not None:
        found.append(Diagnostic(TWICE, "epochs and steps are both given", own.place("steps"), "remove steps", "train.steps"))
    return (usual, None) if own.epochs is None and own.steps is None else (own.epochs, own.steps)


def _check_players(players: Mapping[str, Player], names: list[str], path: str, found: list[Diagnostic]) -> None:
    for name, player in players.items():
        if name not in names:
            best, place = closest(name, names), player.place()
            found.append(Diagnostic(UNKNOWN_PLAYER, f"this model has no player {name!r}; it has {', '.join(names)}", place,
                                    f"{best}: {quoted_from(place)}" if best and place else f"remove {name}", f"{path}.{name}"))


def known_players() -> list[str]:
    """The players that some part may bring along."""
    return [player for part in providers() for player in part.players]


def roles_of(latent: LatentPlan, penalties: Mapping[str, Contribution]) -> tuple[Role, ...]:
    """Every player of the model: the autoencoder, who trains all that no other keeps to himself, and those that parts bring along."""
    contributions = (latent, *penalties.values())
    roles = [role for contribution in contributions for role in contribution.players]
    apart = frozenset(path for role in roles if role.apart for path in role.modules)
    losses = [path for penalty in penalties.values() if penalty.node.params for path in _without(penalty.node, apart)]
    return (Role(AUTOENCODER, ("encoder", *_without(latent.node, apart), "decoder", "likelihood", "heads", *losses)), *roles)


def _without(node: Node, apart: frozenset[str]) -> tuple[str, ...]:
    """The paths of a node and all below it but those apart."""
    if node.path in apart:
        return ()
    if not any(path.startswith(f"{node.path}.") for path in apart):
        return (node.path,)
    shown = [child for child in node.children if not child.silent]
    return (*(f"{node.path}.{name}" for name in node.weights), *(path for child in shown for path in _without(child, apart)))


def _player(name: str, modules: tuple[str, ...], terms: tuple[str, ...], spec: Spec, phase: PhasePart, *, through: bool = True,
            steps: int = 1) -> PlayerPlan:
    options = [player for player in (phase.players.get(name), spec.train.players.get(name)) if player is not None]
    optimizer = next((p.optimizer for p in options if p.optimizer is not None), None) or phase.optimizer or spec.train.optimizer
    clips = [clip for clip in (*(player.clip for player in options), phase.clip, spec.train.clip) if clip is not None]
    return PlayerPlan(name, modules, terms, optimizer, clips[0] if clips else None, options[0].steps if options else steps, through)


def _judge(spec: Spec, phase: PhasePart, i: int, players: tuple[PlayerPlan, ...], found: list[Diagnostic]) -> Judge | None:
    """By what the phase is judged, with its direction; reports a figure that the model does not have.

    What `train` says is for phases that have the figure.
    """
    terms = ["loss", *(name for player in players for name in player.terms)]
    parts = (spec.latent, *spec.latent.parts())
    metrics = [name for part in parts for name in part.meanings if name not in terms]
    metrics += [f"{name}_accuracy" for name in spec.heads]
    metrics += [f"{name}_{each}" for name, term in spec.losses.terms.items() for each in getattr(term, "metrics", ())]
    judge = phase.judge or spec.train.judge
    if judge is None or (phase.judge is None and judge.by not in (*terms, *metrics) and phase.data == "codes"):
        return None
    if judge.by not in (*terms, *metrics):
        best, path = closest(judge.by, [*terms, *metrics]), "train" if phase.judge is None else f"train.phases.{i}"
        diagnostic = Diagnostic(UNKNOWN_FIGURE, f"nothing here is called {judge.by!r}; there are {', '.join([*terms, *metrics])}",
                                judge.place("by"), f"by: {best}" if best and "by" in judge._origin.fields else None, f"{path}.judge")
        if all(diagnostic.path != each.path for each in found):
            found.append(diagnostic)
        return None
    return judge.but(best=judge.best or ("highest" if judge.by in metrics else "lowest"))


def _players(spec: Spec, phase: PhasePart, roles: tuple[Role, ...], terms: tuple[TermPlan, ...]) -> tuple[PlayerPlan, ...]:
    return tuple(_player(role.name, role.modules, tuple(t.name for t in terms if t.player == (role.of or role.name)), spec, phase,
                         through=role.through, steps=role.steps) for role in phase.roles(roles))


def _learns(player: PlayerPlan, tops: Seq[Node], frozen: tuple[str, ...] = (), *, heads: bool = False) -> bool:
    """True if there are weights under the player's modules that are not frozen; of heads it is enough that they are there."""
    paths = (node.path for top in tops for node in top.walk() if node.own_params)
    return any(_under(path, player.modules) and not _under(path, frozen) for path in chain(("heads",) if heads else (), paths))


def _under(path: str, names: Iterable[str]) -> bool:
    return any(path == name or path.startswith(f"{name}.") for name in names)


def _known(part: PhasePart | Start, field: str, named: Collection[str], path: str, tops: Seq[Node], spec: Spec, found: list[Diagnostic]
           ) -> tuple[str, ...]:
    """The paths of the model that a field names; reports those that are none."""
    if not tops or not named:
        return ()
    paths = dict.fromkeys(node.path for top in tops for node in top.walk())
    paths |= dict.fromkeys(("likelihood", *(f"heads.{name}" for name in spec.heads)))
    for each in named:
        if each not in paths:
            best = closest(each, paths)
            what = {"freeze": "to freeze", "rates": "to learn at another rate"}.get(field, "to begin with")
            fix = None if best is None else f"{field}: {{{best}: 0.1}}" if field == "rates" else f"{field}: [{best}]"
            found.append(Diagnostic(NO_PATH, f"there is nothing at {each!r} {what}", part.place(field), fix, f"{path}.{field}"))
    return tuple(named)


def _pair_player(spec: Spec, phase: PhasePart, at: int, depth: int, latent: LatentPlan | None,
                 terms: tuple[TermPlan, ...]) -> tuple[PlayerPlan, ...]:
    """Pair `at` of `depth`: the encoder's step (the latent for the last) and the decoder's step that undoes it."""
    last = at == depth - 1
    down = "latent" if last else f"encoder.{at}"
    up = "decoder.output" if at == 0 else f"decoder.{depth - 1 - at}"
    own = {term.name for term in latent.terms if term.player == AUTOENCODER} if latent and last else set()
    names = tuple(t.name for t in terms if t.name == "reconstruction" or t.name in own)
    return (_player(AUTOENCODER, (down, up, "likelihood"), names, spec, phase),)
