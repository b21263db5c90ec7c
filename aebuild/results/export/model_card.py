"""The card of a model that is given to others: what it is, from which data, how good, and how it is used."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from aebuild import __version__
from aebuild.compile.canonical import text
from aebuild.compile.reach import receptive_fields
from aebuild.lang.emit import emit
from aebuild.results.run_facts import EvaluationRecord
from aebuild.results.summary import code_line
from aebuild.trainer.run_dir.records import record_in

if TYPE_CHECKING:
    from aebuild.lang.node import Node
    from aebuild.results.open_run import OpenRun

CARD = "README.md"
UNKNOWN = "other"


def model_card(run: OpenRun, repository: str, licence: str | None, tags: tuple[str, ...] = ()) -> str:
    """Markdown with metadata in front, for a run whose weights are in `repository`."""
    return f"---\n{emit(_metadata(run, licence, tags))}---\n\n" + "\n\n".join(
        [*_what(run), *_architecture(run), *_data(run), *_metrics(run), *_use(run, repository), *_spec(run)]) + "\n"


def _metadata(run: OpenRun, licence: str | None, tags: tuple[str, ...]) -> dict[str, Any]:
    return {"license": licence or UNKNOWN, "library_name": "aebuild",
            "tags": list(dict.fromkeys(["aebuild", "autoencoder", run.plan.spec.latent.variant_name() or "code", *tags]))}


def _what(run: OpenRun) -> list[str]:
    plan = run.plan
    about = [f"# {_cell(plan.spec.name)}"]
    if plan.spec.description:
        about.append(_cell(plan.spec.description))
    return [*about, f"An autoencoder, {plan.input} → {plan.latent.code} → {plan.target}, of {plan.params:,} parameters, trained with "
            f"aebuild {__version__}. {_cell(str(code_line(plan)).capitalize())}."]


def _architecture(run: OpenRun) -> list[str]:
    rows = [row for name, half in run.plan.halves() for row in [f"| **{name}** | | | {half.params:,} |", *_nodes(half)]]
    return ["## Architecture", "\n".join(["| node | kind | output | parameters |", "| --- | --- | --- | --: |", *rows])]


def _nodes(half: Node) -> list[str]:
    return [f"| {node.path} | {node.kind} | {node.output} | {node.own_params:,} |" for node, _ in receptive_fields(half)]


def _data(run: OpenRun) -> list[str]:
    info = run.info
    counts = ", ".join(f"{count:,} for {name}" for name, count in info.counts.items() if count)
    lines = [f"- {_cell(info.detected)}", f"- samples: {counts}", f"- scaling: {run.scaling.kind}, fitted on the training part"]
    if info.columns:
        lines.append(f"- columns: {_cell(', '.join(info.columns))}")
    if info.conditions:
        lines.append(f"- the model is told of each sample: {_cell(', '.join(each.name for each in info.conditions))}")
    return ["## Training data", "\n".join(lines)]


def _metrics(run: OpenRun) -> list[str]:
    place = run.run.folder / "evaluation.json"
    if not os.path.lexists(place):
        return ["## Figures", "The model was not evaluated; `aebuild evaluate` does."]
    found = record_in(place, EvaluationRecord)
    columns = list(found.columns())
    kinds = [{**scores.terms, **{name: value for name, value in (("MSE per element", scores.mse), ("PSNR in dB", scores.psnr),
                                                                  ("accuracy", scores.accuracy)) if value is not None}, **scores.metrics}
             for _, scores in columns]
    names = list(dict.fromkeys(name for kind in kinds for name in kind))
    rows = [f"| {_cell(name)} | " + " | ".join(f"{kind[name]:.5g}" if name in kind else "" for kind in kinds) + " |" for name in names]
    head = ["| | " + " | ".join(name for name, _ in columns) + " |", "| --- |" + " --: |" * len(columns)]
    tasks = [f"| {_cell(task)}: {_cell(name)} | {value:.5g} |" for task, figures in found.tasks.items() for name, value in figures.items()]
    answers = ["\n".join(["| task | |", "| --- | --: |", *tasks])] if tasks else []
    about = f"On {found.samples:,} samples of the {found.split} part, from one training."
    return ["## Figures", about, "\n".join([*head, *rows]), *answers]


def _use(run: OpenRun, repository: str) -> list[str]:
    what = ["encode", "reconstruct", *(name for name in ("decode", "sample") if name not in run.plan.refusals)]
    limits = [f"- It takes samples like those it was trained on: {_cell(str(run.info.value))}, in the same units. Others are refused "
              "where type or units tell, and nothing warns where they do not.",
              "- Reconstructions are expectations, so they are smoother than data; a small error is no proof that a sample is ordinary.",
              *(f"- It cannot {name}: {_cell(why)}." for name, why in run.plan.refusals.items())]
    folder = repository.rpartition("/")[2]
    shell = [f"aebuild pull {repository} -o {folder}", f"aebuild encode {folder} DATA -o codes.npz", f"aebuild reconstruct {folder} DATA"]
    python = f"import aebuild\n\nmodel = aebuild.open_run({json.dumps(folder)})\ncodes = model.encode(data)        # raw units"
    return ["## Intended use", f"For data of this kind: {', '.join(what)}, and scores of what is unusual.", "## Limits", "\n".join(limits),
            "## How to use", "```sh\npip install aebuild\n" + "\n".join(shell) + "\n```", f"```python\n{python}\n```"]


def _spec(run: OpenRun) -> list[str]:
    written = text(run.plan.spec)
    fence = "`" * max(3, 1 + max((len(line) - len(line.lstrip("`")) for line in written.splitlines()), default=0))
    return ["## Spec", f"{fence}yaml\n{written}{fence}"]


def _cell(words: str) -> str:
    """Text of a user in a page: on one line, and nothing in it is markup."""
    escaped = "".join(f"\\{letter}" if letter in "\\`*_[]<>|#" else letter for letter in words)
    return " ".join(escaped.split())
