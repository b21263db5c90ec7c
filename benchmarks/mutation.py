"""Mutation testing: one small fault at a time is put into a file, and the tests that answer for the file should fail.

    python benchmarks/mutation.py                                        # 40 mutants of each file, drawn with seed 0
    python benchmarks/mutation.py aebuild/modules/bounds.py --sample 0   # all mutants of one file
    python benchmarks/mutation.py aebuild/modules/bounds.py --list       # only says what they would be

A mutant changes a comparison, an operator, a number, a truth value, a condition, a method of tensors (`detach` dropped, `mean` for
`sum`) or drops a statement. Nothing on disk is changed: a process that has imported torch is forked for each mutant and imports the
changed text in place of the file. A mutant that runs past the limit counts as killed. Mutants that survive are printed, to be read:
they ask for a test, or change nothing that anyone could see.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
UNIT, LAWS = "tests/unit", "tests/laws"
BOOK = [f"{UNIT}/test_codebook.py", f"{UNIT}/test_codebook_updates.py", f"{LAWS}/test_losses.py"]
CODE = [f"{LAWS}/test_losses.py", f"{UNIT}/test_posteriors.py", f"{UNIT}/test_latents.py"]
DATA = [f"{UNIT}/test_likelihoods.py", f"{UNIT}/test_tokens.py", f"{UNIT}/test_lengths.py"]
TESTS: dict[str, list[str]] = {          # the tests that answer for a file, the likeliest first
    "aebuild/modules/bounds.py": [f"{UNIT}/test_bounds.py"],
    "aebuild/modules/divergences.py": [f"{UNIT}/test_divergences.py"],
    "aebuild/modules/dropout.py": [f"{UNIT}/test_dropout.py"],
    "aebuild/modules/corruptions.py": [f"{UNIT}/test_corruptions.py"],
    "aebuild/modules/shapes.py": [f"{UNIT}/test_shapes.py"],
    "aebuild/modules/penalties.py": [f"{UNIT}/test_penalties.py"],
    "aebuild/modules/posteriors.py": [f"{UNIT}/test_posteriors.py", *CODE],
    "aebuild/modules/priors.py": [f"{UNIT}/test_priors.py", *CODE],
    "aebuild/modules/codebook_updates.py": BOOK,
    "aebuild/modules/codebook.py": [*BOOK, f"{UNIT}/test_latents.py"],
    "aebuild/modules/discrete.py": [*BOOK, f"{UNIT}/test_latents.py"],
    "aebuild/modules/nearest_code.py": BOOK,
    "aebuild/modules/likelihoods.py": DATA,
    "aebuild/modules/latent.py": CODE,
    "aebuild/modules/latent_gaussian.py": CODE,
    "aebuild/modules/latent_adversarial.py": CODE,
    "aebuild/modules/critics.py": [f"{UNIT}/test_critics.py"],
    "aebuild/modules/autoencoder.py": [f"{LAWS}/test_passes.py", f"{LAWS}/test_modes.py", f"{UNIT}/test_train.py"],
    "aebuild/modules/convolution.py": [f"{LAWS}/test_execution.py::test_the_adjoint_of_a_convolution"],
    "aebuild/modules/recurrent.py": [f"{UNIT}/test_recurrent.py"],
    "aebuild/modules/transformer.py": [f"{UNIT}/test_transformer.py"],
    "aebuild/modules/autoregression.py": [f"{UNIT}/test_autoregression.py"],
    "aebuild/modules/causal.py": [f"{UNIT}/test_autoregression.py"],
    "aebuild/results/inference/chunks.py": [f"{UNIT}/test_streams.py"],
    "aebuild/results/inference/series_stream.py": [f"{UNIT}/test_streams.py"],
    "aebuild/metrics/classifiers.py": [f"{UNIT}/test_task_probe.py"],
    "aebuild/metrics/code_statistics.py": [f"{UNIT}/test_code_measures.py", f"{UNIT}/test_latent_tasks.py"],
    "aebuild/metrics/detection.py": [f"{UNIT}/test_anomaly.py", f"{UNIT}/test_task_anomaly.py"],
    "aebuild/metrics/dictionaries.py": [f"{UNIT}/test_dictionaries.py"],
    "aebuild/metrics/disentanglement.py": [f"{UNIT}/test_disentanglement.py"],
    "aebuild/metrics/entropy_coding.py": [f"{UNIT}/test_compression.py", f"{UNIT}/test_code_measures.py"],
    "aebuild/metrics/nearest.py": [f"{UNIT}/test_sample_distance.py"],
    "aebuild/metrics/neighbourhoods.py": [f"{UNIT}/test_code_measures.py"],
    "aebuild/metrics/ngrams.py": [f"{UNIT}/test_sample_distance.py"],
    "aebuild/metrics/outliers.py": [f"{UNIT}/test_task_anomaly.py", f"{UNIT}/test_results.py"],
    "aebuild/metrics/reconstruction.py": [f"{UNIT}/test_tasks.py", f"{UNIT}/test_reconstruction_penalties.py"],
    "aebuild/metrics/sample_distance.py": [f"{UNIT}/test_sample_distance.py"],
    "aebuild/metrics/walks.py": [f"{UNIT}/test_tasks.py"],
    "aebuild/lang/terms.py": [f"{UNIT}/test_terms.py", f"{LAWS}/test_losses.py", f"{LAWS}/test_passes.py", f"{UNIT}/test_penalties.py", f"{UNIT}/test_likelihoods.py"],
    "aebuild/parts/latents/adversarial.py": [f"{UNIT}/test_latents.py"],
    "aebuild/parts/latents/codebook.py": [f"{UNIT}/test_latents.py"],
    "aebuild/parts/latents/continuous.py": [f"{UNIT}/test_latents.py"],
    "aebuild/parts/latents/gaussian.py": CODE,
    "aebuild/parts/likelihoods/bernoulli.py": DATA,
    "aebuild/parts/likelihoods/categorical.py": DATA,
    "aebuild/parts/likelihoods/gaussian.py": DATA,
    "aebuild/parts/likelihoods/l1.py": DATA,
    "aebuild/parts/likelihoods/mse.py": DATA,
    "aebuild/trainer/objective.py": [f"{UNIT}/test_objective.py", f"{LAWS}/test_passes.py", f"{LAWS}/test_losses.py"],
    "aebuild/trainer/players.py": [f"{LAWS}/test_passes.py", f"{LAWS}/test_losses.py", f"{LAWS}/test_modes.py", f"{UNIT}/test_train.py"],
}

COMPARED = {ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE), ast.GtE: (ast.Gt, ast.Lt),
            ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,), ast.NotIn: (ast.In,)}
COUNTED = {ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Mult, ast.Mod: ast.Mult,
           ast.Pow: ast.Mult, ast.BitOr: ast.BitAnd, ast.BitAnd: ast.BitOr}
DROPPED = {"detach", "clamp", "clamp_", "abs", "exp", "log", "sqrt", "square", "contiguous", "masked_fill"}
SWAPPED = {"mean": "sum", "sum": "mean", "min": "max", "max": "min", "amax": "amin", "amin": "amax", "argmax": "argmin",
           "argmin": "argmax", "zeros": "ones", "ones": "zeros", "log1p": "log", "expm1": "exp"}


def changes(node: ast.AST) -> Iterator[ast.AST | None]:
    """What may stand in a node's place; None for nothing."""
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        for kind in COMPARED[type(node.ops[0])]:
            yield ast.Compare(node.left, [kind()], node.comparators)
    elif isinstance(node, ast.BinOp) and type(node.op) in COUNTED:
        yield ast.BinOp(node.left, COUNTED[type(node.op)](), node.right)
    elif isinstance(node, ast.AugAssign) and type(node.op) in COUNTED:
        yield ast.AugAssign(node.target, COUNTED[type(node.op)](), node.value)
        yield None
    elif isinstance(node, ast.BoolOp):
        yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from map(ast.Constant, others(node.value))
    elif isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    elif isinstance(node, ast.If):
        yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in DROPPED:
            yield node.args[0] if ast.unparse(node.func.value) in ("math", "torch", "F") else node.func.value
        if node.func.attr in SWAPPED:
            yield ast.Call(ast.Attribute(node.func.value, SWAPPED[node.func.attr], ast.Load()), node.args, node.keywords)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and "__init__" not in ast.unparse(node):
        yield None


def others(value: object) -> list[object]:
    """Other constants of the same type."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int):
        return [value - 1 if value else 1]
    return [value * 0.5 if value else 1.0] if isinstance(value, float) else []


def left_out(node: ast.AST) -> Iterator[ast.AST]:
    """What of a node is no behaviour: annotations, and branches for type checkers."""
    for name in ("annotation", "returns"):
        if isinstance(found := getattr(node, name, None), ast.AST):
            yield found
    if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
        yield node


def places(tree: ast.AST) -> Iterator[tuple[ast.AST, str, int | None, ast.AST]]:
    """Every node with its parent, the field it stands in, and its number where that is a list; the same order each time."""
    for name, value in ast.iter_fields(tree):
        for number, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and child not in left_out(tree) and child not in left_out(child):
                yield tree, name, number, child
                yield from places(child)


class Mutant:
    """One fault: what stands there and what is put in its place."""

    def __init__(self, file: str, source: str, place: int, variant: int) -> None:
        self.file = file
        tree = ast.parse(source)
        parent, name, number, node = list(places(tree))[place]
        self.line, before = node.lineno, ast.unparse(node)              # type: ignore[attr-defined]
        new = deepcopy(list(changes(node))[variant])
        filled = ast.Pass() if new is None else new
        if number is None:
            setattr(parent, name, filled)
        else:
            getattr(parent, name)[number] = filled
        self.text = ast.unparse(ast.fix_missing_locations(tree))
        self.told = f"{file}:{self.line}: {short(before)}  →  {short('nothing' if new is None else ast.unparse(filled))}"


def short(text: str) -> str:
    """The beginning of it, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= 90 else f"{line[:87]}..."


def mutants(file: str) -> list[Mutant]:
    """All mutants of a file, in the order of its text."""
    source = (ROOT / file).read_text()
    tree = ast.parse(source)
    return [Mutant(file, source, place, variant) for place, (*_, node) in enumerate(places(tree))
            for variant in range(len(list(changes(node))))]


class Changed(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports a text in place of a module's file."""

    def __init__(self, name: str, text: str, path: Path) -> None:
        self.name, self.text, self.path = name, text, path

    def find_spec(self, fullname: str, path: object, target: object = None) -> importlib.machinery.ModuleSpec | None:
        return importlib.util.spec_from_loader(fullname, self, origin=str(self.path)) if fullname == self.name else None

    def exec_module(self, module: ModuleType) -> None:
        module.__file__ = str(self.path)
        exec(compile(self.text, str(self.path), "exec"), module.__dict__)


def run(file: str, text: str, tests: Sequence[str], limit: float) -> str:
    """`survived`, `killed` or `late`: what the tests make of a text of the file."""
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            os.setsid()
            sys.meta_path.insert(0, Changed(file.removesuffix(".py").replace("/", "."), text, ROOT / file))
            silence = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(silence, stream)
            import pytest

            work = Path(tempfile.gettempdir()) / f"mutation-{os.getppid()}"
            code = int(pytest.main(["-x", "-n", "0", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning",
                                    "-m", "not slow", f"--basetemp={work}", *tests]))
        os._exit(code)
    end = time.monotonic() + limit
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return "survived" if os.waitstatus_to_exitcode(status) == 0 else "killed"
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "late"


def warm_up() -> None:
    """Imports what every test needs and no mutant changes."""
    import hypothesis
    import numpy
    import pydantic
    import pytest
    import sklearn.cluster
    import sklearn.datasets
    import torch
    import torch.utils.flop_counter
    import yaml

    assert all((hypothesis, numpy, pydantic, pytest, sklearn, yaml))
    torch.set_num_threads(1)


def examine(file: str, sample: int, seed: int) -> Counter[str]:
    """Runs a file's mutants; prints those that survive and the count of each outcome."""
    every = mutants(file)
    drawn = every if sample in (0, len(every)) or sample > len(every) else random.Random(f"{seed} {file}").sample(every, sample)
    tests = [test for test in TESTS[file] if (ROOT / test).exists()]
    began = time.monotonic()
    if run(file, (ROOT / file).read_text(), tests, 600) != "survived":
        print(f"{file}: left out, its tests fail already: {' '.join(tests)}", flush=True)
        return Counter()
    limit = 20 + 5 * (time.monotonic() - began)
    found: Counter[str] = Counter()
    for mutant in sorted(drawn, key=lambda mutant: mutant.line):
        outcome = run(file, mutant.text, tests, limit)
        found[outcome] += 1
        if outcome == "survived":
            print(f"  {mutant.told}", flush=True)
    print(f"{file}: {len(drawn)} of {len(every)} mutants, {found['killed']} killed, {found['late']} late, {found['survived']} survived, "
          f"{time.monotonic() - began:.0f} s", flush=True)
    return found


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", default=list(TESTS), help="files to mutate")
    parser.add_argument("--sample", type=int, default=40, help="mutants of each file; 0 for all")
    parser.add_argument("--seed", type=int, default=0, help="which are drawn")
    parser.add_argument("--list", action="store_true", help="print them without running")
    options = parser.parse_args()
    if options.list:
        for file in options.files:
            print(*(mutant.told for mutant in mutants(file)), sep="\n")
        return
    os.chdir(ROOT)
    sys.path.insert(0, str(ROOT))
    warm_up()
    total: Counter[str] = Counter()
    for file in options.files:
        total.update(examine(file, options.sample, options.seed))
    print(f"{sum(total.values())} mutants, {total['killed'] + total['late']} killed ({total['late']} by the limit), {total['survived']} survived")


if __name__ == "__main__":
    main()
