"""The forms of requests, made from the data and the code of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from aebuild.lang.dataset import Tabular
from aebuild.lang.values import Grid, Tokens
from aebuild.results.inference.forms import form_of
from aebuild.serving.problem import Problem, place_of

if TYPE_CHECKING:
    from aebuild.results.open_run import OpenRun

Shown = Literal["arrays", "rows", "texts", "png", "picture"]
Number = Annotated[float, Field(allow_inf_nan=False)]
Cell = str | Number | bool | None
Row = dict[Annotated[str, Field(max_length=256)], Cell]
Encoded = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


class Form(BaseModel):
    """A body of JSON with known keys only."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(Form):
    """What every request may say: what a conditioned model is told, and how samples are answered."""

    given: dict[Annotated[str, Field(max_length=256)], Cell | list[Cell] | list[list[Any]]] = Field(
        default={}, description="conditions by name, one value or one for each sample; an image or array as nested lists")
    form: Shown | None = Field(
        None, description="how samples are answered; by default as rows or texts where the data are these, else as arrays")


class SampleRequest(Asked):
    """New samples."""

    count: Annotated[int, Field(ge=1)] = Field(1, description="how many")
    seed: Annotated[int, Field(ge=0, lt=2**63)] = Field(0, description="the same seed draws the same samples")
    prior: Annotated[str, Field(pattern="^[a-z0-9]{1,16}$")] = Field("own", description="own, or a fitted one that the run keeps")


class CodeRequest(Asked):
    """Codes to be decoded: values as `encode` answers them, or indices."""

    codes: Annotated[list[Any], Field(min_length=1)] = Field(description="codes [n, ...], or indices [n, width] of a discrete code")


class Requests:
    """The forms of a run's requests by endpoint; `images` and `texts` say what else than numbers it takes."""

    def __init__(self, run: OpenRun) -> None:
        info, part = run.info, run.plan.spec.data
        self.table = isinstance(part, Tabular)
        self.texts = isinstance(info.value, Tokens) and form_of(part, info) is not None
        self.images = isinstance(info.value, Grid) and info.value.axes == 2 and info.value.features in (1, 3, 4) and info.scale in (
            "unit", "signed")
        kind, told = self._data(run), f"samples of {info.value}, in their own units"
        fields: dict[str, Any] = {"data": (kind | None, Field(None, description=told)) if self.images else (kind, Field(description=told))}
        if self.images:
            fields["images"] = (list[Encoded] | None, Field(None, description="PNG or JPEG files, in place of data"))
            fields["fit"] = (bool, Field(False, description="bring images to the model's size and colours"))
        samples: Any = create_model("Samples", __base__=Asked, **fields)
        score: Any = create_model("Scores", __base__=samples, by=(list[str], Field(["reconstruction"], min_length=1, max_length=8)),
                                  threshold=(Number | None, None), windows=(bool, False))
        self.forms: dict[str, type[Asked]] = {"encode": samples, "reconstruct": samples, "score": score, "decode": CodeRequest,
                                              "sample": SampleRequest}

    def _data(self, run: OpenRun) -> Any:
        """The type of `data`: nested lists as deep as the samples, rows by column, or texts."""
        value, info = run.info.value, run.info
        at_least_one = Field(min_length=1)
        kinds: list[Any] = []
        if self.texts:
            kinds.append(Annotated[list[str], at_least_one])
        if not (self.table and info.range.fields):              # categories have words, so their rows name their columns
            leaf: Any = int if isinstance(value, Tokens) else Number | None if self.table else Number
            windowed = getattr(run.plan.spec.data, "window", None) is not None
            shape = value.shape[1:] if windowed and len(value.shape) == 2 else value.shape
            if info.ragged:
                series: Any = _nested(leaf, value.shape[1:])
                kinds.append(Annotated[list[Annotated[list[series], Field(min_length=1, max_length=value.shape[0])]], at_least_one])
            else:
                kinds += [Annotated[list[_nested(leaf, places)], at_least_one]        # type: ignore[misc]
                          for places in ([shape, shape[1:]] if isinstance(value, Grid) and shape[0] == 1 else [shape])]
        if self.table:
            kinds.append(Annotated[list[Row], at_least_one])
        whole: Any = kinds[0]
        for kind in kinds[1:]:
            whole = whole | kind
        return whole

    def read(self, operation: str, body: bytes) -> Any:
        """The body in its form; Problem names the first place where it is not."""
        try:
            return self.forms[operation].model_validate_json(body)
        except ValidationError as error:
            raise _problem(error) from error


def _nested(leaf: Any, shape: tuple[int, ...]) -> Any:
    for places in reversed(shape):
        leaf = Annotated[list[leaf], Field(min_length=places, max_length=places)]
    return leaf


def _problem(error: ValidationError) -> Problem:
    """The first finding, of the deepest form that was tried."""
    found = max(error.errors(include_url=False, include_input=False, include_context=False), key=lambda each: len(each["loc"]))
    if found["type"] == "json_invalid":
        return Problem(400, f"the body is not JSON: {found['msg'].removeprefix('Invalid JSON: ')}", "body")
    remedy = "GET /info says what the model takes, GET /openapi.json has the forms"
    return Problem(422, found["msg"].replace("Input should", "it should"), place_of(found["loc"]), remedy)
