"""From what the model made to JSON in the data's own units."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from aebuild.data.one_hot import collapse
from aebuild.lang import values
from aebuild.lang.columns import feature_names
from aebuild.results.inference.codes import beside_samples
from aebuild.results.inference.forms import Pictures, as_bytes, form_of, grid_of, image_of, limits_of
from aebuild.results.inference.reconstructions import merged_steps
from aebuild.serving.problem import Problem, without_paths

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from aebuild.data.new_samples import NewData
    from aebuild.results.inference.codes import Codes
    from aebuild.results.inference.scoring import Scored
    from aebuild.results.open_run import OpenRun
    from aebuild.serving.requests import Shown

MOST_DRAWN = 64          # samples of a picture of all


class Answers:
    """How samples of a run are answered: `forms` that it has, the first of which is usual."""

    def __init__(self, run: OpenRun) -> None:
        self.run, info = run, run.info
        self._form = form_of(run.plan.spec.data, info)
        self._fields = info.target_range.fields
        self._columns = info.target_columns or info.columns or feature_names(self._fields)
        self.forms: tuple[Shown, ...] = (
            *(("rows",) if info.target.columns and self._columns else ()),
            *(("texts",) if isinstance(info.target, values.Tokens) and self._form is not None else ()),
            "arrays", *(("png",) if isinstance(self._form, Pictures) else ()), "picture")

    def chosen(self, asked: Shown | None) -> Shown:
        """The form that was asked for, or the usual one; Problem for one that these data do not have."""
        form = asked or self.forms[0]
        if form not in self.forms:
            raise Problem(422, f"samples of this run are not answered as {form}; there are {', '.join(self.forms)}", "body.form")
        return form

    def samples(self, made: NDArray[Any], form: Shown, data: NewData | None = None) -> dict[str, Any]:
        """Samples [n, ...] in the model's units; of windows of a series, told by `data`, its steps."""
        run = self.run
        if form == "picture":
            some = made[:MOST_DRAWN]
            columns = max(1, round(len(some) ** 0.5))
            return {"picture": _png(grid_of(run.info.target, some, columns, limits_of(run.info, some), self._form))}
        if form == "png":
            return {"samples": [_png(image_of(image)) for image in as_bytes(made, run.info.scale)]}
        scaling = (run.target_scaling or run.scaling) if data is None else (data.target_scaling or data.scaling)
        windows = None if data is None else data.split.windows
        if data is not None and windows is not None and isinstance(run.plan.target, values.Sequence):
            steps, _ = merged_steps(run, data, windows, [made])
            return {"steps": self._rows(steps) if form == "rows" else steps.astype(np.float32)}
        raw = scaling.undo(made)
        if form == "texts":
            assert self._form is not None
            return {"samples": [self._form.spelled(sample) for sample in raw]}
        if form == "rows":
            table = collapse(raw, self._fields) if self._fields else raw
            return {"samples": self._rows(table) if table.ndim == 2 else [self._rows(sample) for sample in table]}
        return {"samples": raw}

    def _rows(self, table: NDArray[Any]) -> list[dict[str, Any]]:
        """Columns [n, C] by name, of categories and flags the words."""
        told = [field for field in self._fields if field.kind != "missing"]
        words = {place: field.words for place, field in enumerate(told) if field.kind in ("category", "flag")}
        return [{name: words[place][int(cell)] if place in words and cell == cell else cell
                 for place, (name, cell) in enumerate(zip(self._columns or (), row, strict=True))} for row in table.tolist()]


def codes_json(codes: Codes, data: NewData) -> dict[str, Any]:
    """Codes, indices where they are discrete, and what stands beside the samples."""
    beside = beside_samples(data)
    return {"codes": codes.values, **({} if codes.indices is None else {"indices": codes.indices}),
            **({"beside": beside} if beside else {}), **notes_json(data.notes)}


def scores_json(scored: Scored) -> dict[str, Any]:
    """Scores by name, what is unusual and why."""
    threshold = {name: value for name, value in scored.threshold.to_json().items() if name != "weights"}
    parts = {} if scored.parts is None else {name: scored.parts[:, place] for place, name in enumerate(scored.columns)}
    return {"level": scored.level, "scores": scored.scores, "anomaly": scored.anomaly, "threshold": threshold,
            **({} if scored.unusual is None else {"unusual": scored.unusual}), **({"parts": parts} if parts else {}),
            **notes_json(scored.notes)}


def notes_json(notes: Iterable[str]) -> dict[str, list[str]]:
    """Remarks, if there are any."""
    told = [without_paths(note) for note in notes]
    return {"notes": told} if told else {}


def to_json(answer: Any) -> bytes:
    """As JSON; null where a number is missing."""
    from pydantic_core import to_json as encoded

    return encoded(_plain(answer), inf_nan_mode="null")


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, Mapping):
        return {key: _plain(held) for key, held in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(each) for each in value]
    return value


def _png(picture: Image) -> str:
    """A picture as base64."""
    stored = BytesIO()
    picture.save(stored, "PNG")
    return base64.b64encode(stored.getvalue()).decode("ascii")
