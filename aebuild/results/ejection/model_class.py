"""The classes of the ejected file that are this model's own: its halves, and the whole."""

from __future__ import annotations

from collections.abc import Iterable
from types import MethodType

from torch import nn

from aebuild.compile.build import initial
from aebuild.compile.plan import Plan
from aebuild.lang.node import Node
from aebuild.modules.autoencoder import Autoencoder
from aebuild.modules.children import Children
from aebuild.modules.forming import Forming
from aebuild.modules.latent import Latent
from aebuild.modules.likelihoods import Likelihood
from aebuild.modules.masks import Hiding
from aebuild.modules.normalised_weight import NormalisedWeight
from aebuild.modules.posteriors import Distribution
from aebuild.modules.priors import Prior
from aebuild.modules.stage import Contextual, Stage
from aebuild.results.ejection.construction import NotWritableError, Writer

AFTER = (", encode=encode, parameters_of=parameters_of,\n                       judge=self.likelihood.loss, "
         "decoder=self.decoder.parameters, draw=draw")
SEEN = "\n        seen = dict(context)"
DRAWN = '\n        context.setdefault("draw", self.likelihood.draw)'
AGAIN = '''
        def encode(x: Tensor) -> Code:
            again = batch.context()
            with unlearned(self):
                found: Code = self.latent(self.encoder(x, again), again)
            return found

        def parameters_of(value: Tensor) -> Tensor:
            with unlearned(self):
                return self.parameters_of(value, dict(seen))

        def draw(count: int) -> Tensor:
            return self.latent.draw(count, dict(seen))
'''.removeprefix("\n")


def shape_of(node: Node) -> str:
    """What comes out of a node, like (N, 32, 14, 14)."""
    return f"(N, {', '.join(map(str, node.output.shape))})" if len(node.output.shape) != 1 else f"(N, {node.output.shape[0]})"


def half(name: str, stage: Stage, node: Node, writer: Writer) -> str:
    """The class of an encoder or decoder: its layers, and a forward pass with the shape after each."""
    start = f"(N, {', '.join(map(str, node.input.shape))})"
    steps = dict(stage.named_children())
    layers = writer.lines(steps)
    lines = [f"class {name}(nn.Sequential):", f'    """{node.input} to {node.output}."""', "",
             "    def __init__(self) -> None:",
             *(_indented_call("super().__init__(OrderedDict", layers) if steps else ["        super().__init__()"]),
             "", "    def forward(self, x: Tensor, context: dict[str, Any]) -> Tensor:", f'        """{start} to {shape_of(node)}."""']
    for number, ((key, step), child) in enumerate(zip(steps.items(), node.children, strict=True)):
        more = ", context" if isinstance(step, Contextual) or (isinstance(step, Stage) and writer.contextual) else ""
        call = f"        x = self[{number}](x{more})"
        lines.append(f"{call:<48}# {child.kind}: {shape_of(child)}")
        if key in stage.taps:
            lines.append(f'        context["{stage.taps[key]}"] = x        # for a skip of the decoder')
    return "\n".join([*lines, "        return x"])


def _indented_call(opening: str, lines: list[str]) -> list[str]:
    return [f"        {opening}({lines[0]}", *(f"        {line}" for line in lines[1:-1]), f"        {lines[-1]}))"]


def whole(plan: Plan, model: Autoencoder, writer: Writer, terms: Iterable[str]) -> str:
    """The class of the model."""
    parts = ["class Autoencoder(nn.Module):",
             f'    """{plan.input} → {plan.latent.code} → {plan.target}, {plan.params:,} parameters."""', "",
             *_constructor(model, writer), *_initial(plan, model), *_meeting(model), "", *_met(model), *_corrupt(model), "",
             *_passes(model, plan), "",
             *_terms(model, terms)]
    return "\n".join(parts)


def _constructor(model: Autoencoder, writer: Writer) -> list[str]:
    found = ["    def __init__(self) -> None:", "        super().__init__()", "        self.encoder = Encoder()",
             *_assigned("latent", writer.lines(model.latent)), "        self.decoder = Decoder()",
             *_assigned("likelihood", writer.lines(model.likelihood)), *_judging(model, writer)]
    for name, children in (("heads", model.heads), ("penalties", model.penalties)):
        if children.items():
            writer.classes.add(Children)
            found += _assigned(name, _called("Children", writer.lines(dict(children.items()))))
    if len(model.corruptions):
        found += _assigned("corruptions", _called("nn.ModuleList", writer.lines(list(model.corruptions))))
    if _encoding(model):
        writer.classes.add(Distribution)
        found.append("        self.latent.prior.meet(self.posterior_of)")
    return found


def _judging(model: Autoencoder, writer: Writer) -> list[str]:
    """What says which elements the loss is of, and in which scale."""
    found = ["        self.likelihood.masked = True"] if model.likelihood.masked else []
    return found + ([] if model.likelihood.patches is None else _assigned("likelihood.patches", writer.lines(model.likelihood.patches)))


def _linked(model: Autoencoder) -> bool:
    """True if the decoder's output is not yet the likelihood's parameters."""
    return type(model.likelihood).linked is not Likelihood.linked or model.likelihood.patches is not None


def _encoding(model: Autoencoder) -> bool:
    """True if the prior is made of posteriors, so that it needs the encoder."""
    return type(model.latent.prior).meet is not Prior.meet


def _met(model: Autoencoder) -> list[str]:
    """What gives a prior the posteriors that it is made of."""
    if not _encoding(model):
        return []
    return ["    def posterior_of(self, x: Tensor) -> Distribution:", '        """The posteriors of samples as the encoder takes them."""',
            "        context: dict[str, Any] = {}",
            "        posterior: Distribution = self.latent.posterior(self.latent.project(self.encoder(x, context), context))",
            "        return posterior", ""]


def _initial(plan: Plan, model: Autoencoder) -> list[str]:
    """The end of the constructor: weights drawn to suit the nonlinearity behind them."""
    drawn = [(node.path, *initial(model.get_submodule(node.path).weight, node)) for node in plan.nodes()  # type: ignore[arg-type]
             if node.init is not None]
    if not drawn:
        return []
    settled = any(isinstance(module, NormalisedWeight) for module in model.modules())
    return ["        for path, kind, spread in (",
            *(f'                ("{path}", "{kind}", {spread:.6g}),' for path, kind, spread in drawn), "        ):",
            "            layer: Any = self.get_submodule(path)",
            '            (nn.init.normal_(layer.weight, 0, spread) if kind == "normal"',
            "             else nn.init.uniform_(layer.weight, -spread, spread))",
            "            if layer.bias is not None:", "                nn.init.zeros_(layer.bias)",
            *(["            if isinstance(layer, NormalisedWeight):", "                layer.settle()"] if settled else [])]


def _meeting(model: Autoencoder) -> list[str]:
    """The line that shows a latent the decoder that it shares weights with."""
    return [] if type(model.latent).meet is Latent.meet else ["        self.latent.meet(self.decoder)"]


def _called(name: str, lines: list[str]) -> list[str]:
    return [f"{name}({lines[0]}", *lines[1:-1], f"{lines[-1]})"] if len(lines) > 1 else [f"{name}({lines[0]})"]


def _assigned(name: str, lines: list[str]) -> list[str]:
    return [f"        self.{name} = {lines[0]}", *(f"        {line}" for line in lines[1:])]


def _corrupt(model: Autoencoder) -> list[str]:
    hides = model.likelihood.masked
    told = ", judged: bool = False" if hides else ""
    found = [f"    def corrupt(self, x: Tensor, context: dict[str, Any]{told}) -> Tensor:",
             '        """The input as the encoder gets it."""']
    for number, (module, always) in enumerate(zip(model.corruptions, model.corrupts_always, strict=True)):
        call = f"x = self.corruptions[{number}](x{', context' if isinstance(module, Contextual) else ''})"
        when = "self.training or judged" if hides and isinstance(module, Hiding) else "self.training"
        found += [f"        {call}"] if always else [f"        if {when}:", f"            {call}"]
    return [*found, "        return x"]


def _formed(model: Autoencoder) -> str:
    """The input after what changes its type."""
    found = "x"
    for number, module in enumerate(model.corruptions):
        found = f"self.corruptions[{number}]({found})" if isinstance(module, Forming) else found
    return found


def _passes(model: Autoencoder, plan: Plan) -> list[str]:
    linked = _linked(model)
    drawing = any(node.kind == "autoregression" for node in plan.decoder.walk())
    paired = any(getattr(module, "reads", None) == "pair" for module in model.modules())
    views = any(part.views > 1 for term in plan.terms if (part := term.config) and hasattr(part, "views"))
    view = ", view=view" if views else ""
    viewed = ["        def view() -> Code:", f"            known = {known_of(plan)}", "            with unlearned(self):",
              "                return self.encode(batch.x, known)", ""]
    again = plan.calls_again
    made = [*(viewed if views else []), *(AGAIN.replace("self.encoder(x,", f"self.encoder({_formed(model)},").split("\n") if again else [])]
    view += AFTER if again else ""
    told = ", conditions: Tensor" if plan.conditions else ""
    known = ", ".join([*(['"input": x'] if linked else []), *(['"conditions": conditions'] if plan.conditions else [])])
    text = f'''
    def encode(self, x: Tensor, context: dict[str, Any] | None = None) -> Code:
        """The code of a batch."""
        context = {{}} if context is None else context
        code: Code = self.latent(self.encoder(self.corrupt(x, context), context), context)
        return code

    def parameters_of(self, value: Tensor, context: dict[str, Any] | None = None) -> Tensor:
        """The likelihood's parameters for the decoder's input; it does not see the lengths of series, which no code holds."""
        context = {{}} if context is None else context
        context.setdefault("mean", self.likelihood.mean){DRAWN if drawing else ""}
        seen = {{key: held for key, held in context.items() if key != "lengths"}}
        params: Tensor = {"self.likelihood.linked(self.decoder(value, seen), seen)" if linked else "self.decoder(value, seen)"}
        context.update(seen)
        return params

    def forward(self, x: Tensor{told}) -> Tensor:
        """The reconstruction: {"data drawn" if drawing else "the expected data"} for what the code keeps of the input."""
        context: dict[str, Any] = {{{known}}}
        code = self.encode(x, context)
{_made("mean", "code.value, context", "context", drawing)}
        return mean

    def run(self, batch: Batch) -> Outputs:
        """One forward pass, which all losses read."""
        context = batch.context()
        given{' = context["given"]' if paired else ""} = self.corrupt(batch.x, context{", judged=True" if model.likelihood.masked else ""})
        features = self.encoder(given, context)
        code = self.latent(features, context){SEEN if again else ""}
        params = self.parameters_of(code.value, context)

{_indented(made)}        return Outputs(batch, code, features, params, context, mean=self.likelihood.mean{view},
                       terms=dict(code.terms), metrics=dict(code.metrics))
'''.strip("\n").replace("context)\n\n        return Outputs", "context)\n        return Outputs")
    found = text.split("\n")
    more, given = (", known", '"conditions": conditions') if plan.conditions else ("", "")
    if not {"decode", "sample"} & set(model.refusals):
        found += ["", f"    def sample(self, count: int{told}) -> Tensor:", '        """New data: codes drawn from the prior, decoded."""',
                  *([f"        known: dict[str, Any] = {{{given}}}"] if plan.conditions or drawing else []),
                  _made("new", f"self.latent.draw(count{more}){', known' if drawing else more}", "known", drawing),
                  "        return new"]
    return found


def _made(name: str, given: str, context: str, drawing: bool) -> str:
    """The lines that make data of a code: the expected ones, or those that the decoder draws on its way."""
    if not drawing:
        return f"        {name}: Tensor = self.likelihood.mean(self.parameters_of({given}))"
    return f'        self.parameters_of({given})\n        {name}: Tensor = {context}["generated"]'


def known_of(plan: Plan) -> str:
    """What of a batch an encoder of the file is told besides its samples, as Python."""
    if plan.conditions:
        return '{name: held for name, held in batch.context().items() if name in ("lengths", "conditions")}'
    return '{} if batch.lengths is None else {"lengths": batch.lengths}'


def _indented(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def _terms(model: Autoencoder, names: Iterable[str]) -> list[str]:
    functions = model.loss_functions()
    cases = [(name, _maker(model, name, functions[name])) for name in dict.fromkeys(names) if name in functions]
    return ['    def terms(self, outputs: Outputs, names: Iterable[str]) -> dict[str, Tensor]:',
            '        """The raw terms of these names: [N, ...] to be summed over a sample, or scalars."""',
            "        for name in names:", "            if name not in outputs.terms and (term := self._term(name, outputs)) is not None:",
            "                outputs.terms[name] = term",
            "        return {name: outputs.terms[name] for name in names if name in outputs.terms}", "",
            "    def _term(self, name: str, outputs: Outputs) -> Tensor | None:",
            *(line for number, (name, maker) in enumerate(cases)
              for line in (f'        if name == "{name}":', f"            return {maker}(outputs)")),
            '        raise KeyError(name)']


def _maker(model: nn.Module, name: str, function: object) -> str:
    """The method that makes a term, as the model's own."""
    if isinstance(function, MethodType):
        for path, module in model.named_modules():
            if module is function.__self__:
                first, _, rest = path.partition(".")
                owner = f'self.{first}["{rest}"]' if first in ("heads", "penalties") else f"self.{path}"
                return f"{owner}.{function.__name__}"
    raise NotWritableError(f"the term {name} is made by no method of the model's modules")
