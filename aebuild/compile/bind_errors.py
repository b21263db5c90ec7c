"""What can be wrong with keys and values, in the user's terms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from aebuild.compile import unknown_words
from aebuild.compile.annotations import Shape, fields
from aebuild.compile.spec import Losses
from aebuild.compile.wording import family_name, is_whole, listed, mended, number_text, owner_of, what, written
from aebuild.lang.diagnostics import Diagnostic, Hint, Rule
from aebuild.lang.families import Latent, Layer
from aebuild.lang.part import Part
from aebuild.lang.source import Tree
from aebuild.lang.suggest import bare, closest

UNKNOWN_KEY = Rule("AE101", "unknown key", """\
A key that no part knows would silently do nothing, so it is refused. Often it is a misspelling, or an option of another variant.

```yaml
encoder: {layer: conv, widht: 64}
```
```yaml
encoder: {layer: conv, width: 64}
```
""")

MISSING = Rule("AE102", "a key is missing", """\
Some keys have no sensible default: `encoder` and `latent` of a spec, the `width` of a layer, the `dim` of a code.

```yaml
latent: {type: gaussian}
```
```yaml
latent: {type: gaussian, dim: 20}
```
""")

UNKNOWN_VARIANT = Rule("AE103", "no such variant", """\
`type` (and `layer` in block form) chooses among the variants of a part by name.

```yaml
latent: {type: vae, dim: 20}
```
```yaml
latent: {type: gaussian, dim: 20}
```
""")

NO_TYPE = Rule("AE104", "which variant?", """\
Where several variants exist and none is the obvious one, `type` must choose.

```yaml
latent: {dim: 20}
```
```yaml
latent: {type: continuous, dim: 20}
```
""")

WRONG_KIND = Rule("AE105", "a value of the wrong kind", """\
Each key takes one kind of value: a whole number, a number, text, true or false, a list, or a mapping.

```yaml
train: {epochs: many}
```
```yaml
train: {epochs: 10}
```
""")

OUT_OF_BOUNDS = Rule("AE106", "a value out of bounds", """\
Each number has the bounds within which it means something.

```yaml
train: {epochs: 0}
```
```yaml
train: {epochs: 20}
```
""")

NOT_A_CHOICE = Rule("AE107", "not one of the choices", """\
Some keys take one word out of a few.

```yaml
train: {keep: newest}
```
```yaml
train: {keep: last}
```
""")

CONTRADICTION = Rule("AE108", "values that contradict each other", """\
Values that are fine alone can contradict each other, or break a rule of their part.

```yaml
corrupt: [gaussian: {std: 0.5, clip: [1, 0]}]
```
```yaml
corrupt: [gaussian: {std: 0.5, clip: [0, 1]}]
```
""")

_RULES = {"bound": OUT_OF_BOUNDS, "kind": WRONG_KIND, "choice": NOT_A_CHOICE, "rule": CONTRADICTION}

_KINDS = {"int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "bool_type": "true or false",
          "string_type": "text", "list_type": "a list", "tuple_type": "a list", "dict_type": "a mapping", "none_required": "none",
          "is_instance_of": "another kind of part", "model_type": "a mapping", "finite_number": "a finite number"}


class Blame:
    """Collects diagnostics; each method reports one kind of mistake and returns BAD."""

    BAD = object()

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []
        self._meant: set[tuple[str, str]] = set()     # (path of a part, key that a misspelt one was meant to be)
        self._guesses: dict[tuple[str, Shape, bool], tuple[str, str | None, type[Part] | None]] = {}

    def report(self, rule: Rule, message: str, tree: Tree, path: str, fix: str | None = None, *, at_key: bool = False) -> object:
        """One diagnostic at the tree's value, or at its key."""
        span = tree.key if at_key and tree.key is not None else tree.span
        self.found.append(Diagnostic(rule, message, span, fix, path))
        return self.BAD

    def say(self, kind: str, message: str, tree: Tree, path: str, fix: str | None) -> object:
        """A report under the rule of that kind: bound, kind, choice or rule."""
        return self.report(_RULES[kind], message, tree, path, fix)

    def unknown_key(self, tree: Tree, key: str, cls: type[Part], path: str, extra: list[str] | None = None,
                    beside: Collection[str] = ()) -> object:
        """A key that the part does not have; `beside` are all that are written there."""
        names = extra if extra is not None else [*fields(cls)]
        above = path.rpartition(".")[0]
        meant = unknown_words.key(key, cls, above, written(tree), names, beside)
        if meant and meant.key:
            self._meant.add((above, meant.key))
        message = f"{owner_of(cls)} has no key {key!r}; " + (meant.reason if meant and meant.reason else f"it has {listed(names)}")
        return self.report(UNKNOWN_KEY, message, tree, path, meant.fix if meant else f"remove {key}", at_key=True)

    def missing(self, tree: Tree, key: str, cls: type[Part], path: str) -> object:
        """A required key that is not there, unless it is there misspelt."""
        if self._meant and any((above, key) in self._meant for above in _ways_up(path)):
            return self.BAD
        field = cls.model_fields[fields(cls)[key][0]]
        fix = _spelled_out(tree, f"{key}: {field.examples[0]}", path) if field.examples else Hint(f"{key}: ...")
        return self.report(MISSING, f"{owner_of(cls)} needs {key!r}: {field.description}", tree, f"{path}.{key}" if path else key, fix,
                           at_key=True)

    def forget_missing(self, path: str, since: int) -> None:
        """Takes back that keys are missing, of the findings from `since` on: which part it was meant to be is only a guess."""
        self.found[since:] = [found for found in self.found[since:] if found.rule is not MISSING or found.path.rpartition(".")[0] != path]

    def unknown_variant(self, tree: Tree, shape: Shape, path: str) -> type[Part] | None:
        """A `type` that names nothing; the class that was likely meant."""
        in_list = shape.part is Layer and not path.endswith(".layer")
        known = what(tree), shape, in_list
        if known not in self._guesses:
            self._guesses[known] = _guessed(tree, shape, in_list)
        words, fix, meant = self._guesses[known]
        self.report(UNKNOWN_VARIANT, words, tree, path, fix)
        return meant

    def no_type(self, tree: Tree, shape: Shape, path: str) -> object:
        """A mapping that does not choose a variant."""
        assert shape.part is not None
        known = list(shape.variants)
        written_keys = tree.value if isinstance(tree.value, dict) else {}
        beside = next((key for key in written_keys if key in shape.variants), None)
        if beside is not None:
            own = written_keys[beside].value
            inside = own if isinstance(own, dict) else {}
            options = ", ".join(f"{key}: {written(child)}" for key, child in (*inside.items(), *written_keys.items()) if key != beside)
            message = f"the options of {beside} stand beside it; they belong below it, indented further"
            return self.report(NO_TYPE, message, tree, path, f"{beside}: {{{options}}}")
        misspelt = next((key for key in written_keys if closest(key, ["type"])), None)
        if misspelt is not None:
            child = written_keys[misspelt]
            return self.report(UNKNOWN_KEY, f"{family_name(shape)} has no key {misspelt!r}; `type` chooses which one it is", child,
                               f"{path}.{misspelt}", f"type: {written(child)}", at_key=True)
        hint = self._owner_of(tree, shape.variants)
        return self.report(NO_TYPE, f"which {family_name(shape)}? `type` chooses one of {listed(known)}", tree, path,
                           f"type: {hint}" if hint else None)

    def no_layer(self, tree: Tree, path: str) -> object:
        """A stage that is neither a list, nor a block, nor has steps."""
        chosen = tree.value.get("type") if isinstance(tree.value, dict) else None
        name = unknown_words.layer(chosen.value) if chosen else None
        if chosen and name:
            return self.report(NO_TYPE, "a stage chooses its layers with `layer`, not with `type`", chosen, path, f"layer: {name}",
                               at_key=True)
        return self.report(NO_TYPE, "a stage is a list of layers, or a block with `layer`", tree, path, "layer: linear")

    def kind(self, tree: Tree, wanted: str, path: str, shape: Shape) -> object:
        """A value where a part, list or mapping should stand."""
        fix: str | None = None
        if shape.kind == "family" and tree.value is None and shape.part is not None:
            fix = Hint(f"one of {listed(shape.variants)}")
        elif shape.kind == "family" and shape.part is Layer and is_whole(tree):
            fix = f"linear: {tree.value}"
        elif shape.part is Latent and is_whole(tree):
            fix = f"{{type: continuous, dim: {tree.value}}}"
        elif shape.kind in ("stage", "stage_or_family") and (name := unknown_words.layer(tree.value)):
            fix = f"{{layer: {name}, width: 64}}"
        elif shape.kind in ("stage", "stage_or_family") and is_whole(tree):
            fix = f"{{layer: linear, width: {tree.value}}}"
        elif shape.kind == "list":
            fix = f"[{written(tree)}]"
        elif shape.part is Losses and isinstance(tree.value, str) and (name := unknown_words.likelihood(tree.value)):
            fix = f"{{reconstruction: {name}}}"
        return self.report(WRONG_KIND, f"this must be {wanted}, not {what(tree)}", tree, path, fix)

    def _owner_of(self, tree: Tree, variants: Mapping[str, type[Part]]) -> str | None:
        keys = set(tree.value) if isinstance(tree.value, dict) else set()
        owners = [name for name, cls in variants.items() if keys and keys <= set(fields(cls))]
        return owners[0] if len(owners) == 1 else None

    def invalid(self, error: ValidationError, tree: Tree, cls: type[Part], path: str, only: set[str] | None = None) -> None:
        """What pydantic found, once for each field."""
        by_field: dict[str, list[Any]] = {}
        for problem in error.errors(include_url=False):
            by_field.setdefault(str(problem["loc"][0]) if problem["loc"] else "", []).append(problem)
        names = {name: key for key, (name, _) in fields(cls).items()}
        for field, problems in by_field.items():
            key = names.get(field, field)
            if only is not None and key not in only:
                continue
            child = tree.value.get(key) if isinstance(tree.value, dict) else None
            problem = _fitting(problems, child)
            place = _descend(child or tree, problem["loc"][1:])
            in_list = child is not None and isinstance(child.value, tuple) and place is not child
            self._translate(problem, place, key, f"{path}.{key}" if path else key, cls, in_list)

    def _translate(self, problem: Any, place: Tree, key: str, path: str, cls: type[Part], in_list: bool) -> None:
        kind, context = problem["type"], problem.get("ctx", {})
        if kind in _KINDS:
            self.say("kind", f"{key} must be {_KINDS[kind]}, not {what(place)}", place, path, mended(key, _KINDS[kind], place))
        elif kind in _BOUNDS:
            words, bound, nearest = _BOUNDS[kind]
            limit = context[bound]
            if isinstance(place.value, list | tuple | dict | str) and bound in ("min_length", "max_length"):
                self.say("bound", f"{key} must have {words} {limit} {'entry' if limit == 1 else 'entries'}", place, path, None)
            else:
                legal = number_text(_percent(limit, place.value) or nearest(limit, place.value))
                self.say("bound", f"{key} must be {words} {limit:g}, not {what(place)}", place, path,
                         legal if in_list else f"{key}: {legal}")
        elif kind == "literal_error":
            choices = [word.strip(" '") for word in str(context["expected"]).replace(" or ", ", ").split(",")]
            word = str(place.value)
            meant = unknown_words.foreign_keys(cls).get(bare(word))
            best = meant if meant in choices else closest(word, choices)
            fix = f"{key}: {best}" if best else None
            self.say("choice", f"{key} must be one of {listed(choices)}, not {what(place)}", place, path, fix)
        else:
            text = str(context["error"]) if "error" in context else str(problem["msg"])
            self.say("rule", f"{key}: {text}" if key else text, place, path, None)


def _guessed(tree: Tree, shape: Shape, in_list: bool) -> tuple[str, str | None, type[Part] | None]:
    """What is said of a variant that there is not, what to write instead, and the class that was meant."""
    assert shape.part is not None
    words = f"there is no {family_name(shape)} {what(tree)}; there are {listed(shape.variants)}"
    best = unknown_words.variant(str(tree.value), shape.variants)
    return words, unknown_words.step(str(tree.value)) if in_list else best, shape.variants.get(best or "")


def _ways_up(path: str) -> Iterator[str]:
    """The path of a part, those of the parts that it is in, and that of the whole."""
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ""


def _spelled_out(tree: Tree, option: str, path: str) -> str:
    """An option to add to a part; the whole part where only its name is written."""
    chosen = tree.get("type")
    if chosen is None or chosen.span != tree.span:
        return option
    in_list = path.rpartition(".")[2].isdecimal()
    return f"{chosen.value}: {{{option}}}" if in_list else f"{{type: {chosen.value}, {option}}}"


def _percent(limit: float, value: Any) -> float | None:
    """A share that was written in percent."""
    return value / 100 if limit == 1 and 1 < value < 100 else None


def _above(limit: float, value: Any) -> float:
    return limit + 1 if isinstance(value, int) else limit + (abs(limit) or 1) * 1e-3


def _below(limit: float, value: Any) -> float:
    return limit - 1 if isinstance(value, int) and abs(limit) > 1 else limit - (abs(limit) or 1) * 1e-3


_Nearest = Callable[[float, Any], float]
_BOUNDS: dict[str, tuple[str, str, _Nearest]] = {
    "greater_than_equal": ("at least", "ge", lambda limit, _: limit),
    "greater_than": ("more than", "gt", _above),
    "less_than_equal": ("at most", "le", lambda limit, _: limit),
    "less_than": ("less than", "lt", _below),
    "too_short": ("at least", "min_length", lambda limit, _: limit),
    "too_long": ("at most", "max_length", lambda limit, _: limit),
}


def _fitting(problems: list[Any], child: Tree | None) -> Any:
    """Of a union's alternatives, the one that the written value tried to be."""
    wants_list = child is not None and isinstance(child.value, tuple)
    for problem in problems:
        tag = str(problem["loc"][1]) if len(problem["loc"]) > 1 else ""
        if len(problems) == 1 or (tag.startswith(("list", "tuple")) == wants_list and (not wants_list or len(problem["loc"]) > 1)):
            return problem
    return problems[0]


def _descend(tree: Tree, loc: tuple[Any, ...]) -> Tree:
    """The deepest part of the tree that the location names; pydantic's union tags are not in the tree."""
    for step in loc:
        if step == "[key]" and tree.key is not None:
            return Tree(tree.value, tree.key, tree.key)
        below: dict[Any, Tree] = dict(enumerate(tree.value)) if isinstance(tree.value, tuple) else {}
        if isinstance(tree.value, dict):
            below.update(tree.value)
        tree = below.get(step, tree)
    return tree
