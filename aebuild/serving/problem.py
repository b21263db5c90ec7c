"""What is wrong with a request: a status, a place, a reason and a remedy."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from aebuild.lang.diagnostics import AebuildError, Rule
from aebuild.lang.printable import clean

REQUEST = Rule("AE883", "a request that the server cannot follow", """\
`aebuild serve` takes JSON of one form for each endpoint, or one image or sound as it is. `GET /openapi.json` has the forms, `GET /info`
says what the model takes, in which units, and what it can do.

```console
$ curl -H 'Content-Type: application/json' -d '{"rows": [[1, 2]]}' localhost:8000/encode      # refused: the key is called data
$ curl -H 'Content-Type: application/json' -d '{"data": [[1, 2]]}' localhost:8000/encode
```
""")
BEYOND = Rule("AE884", "more than the server takes", """\
A server says no before it is overrun: to a body or a number of samples that is too large (413), to more requests at once than its queue
holds (429), and to what cannot be answered in time, or any more because the server is being stopped (503). The limits are options of
`aebuild serve`. After 429 and 503 the same request may be sent again a little later.

```console
$ aebuild serve runs/vae --max-samples 10           # and a request of 11 samples: 413
$ aebuild serve runs/vae --max-samples 100
```
""")
_TEMPORARY = re.compile(r"\S*/aebuild-(?:data|upload)-[^/\s]*/")          # where what was sent lies for a moment
PLACES = {"AE481": "body.codes", "AE571": "path", "AE573": "body.by", "AE576": "body.given"}          # of diagnostics; of all others: data
_GIVEN = re.compile(r"--given (\w+)=VALUE")


@dataclass
class Problem(Exception):
    """A refusal of a request. `status` is that of HTTP; `place` says which part of the request, `remedy` what to do."""

    status: int
    reason: str
    place: str = "request"
    remedy: str | None = None
    code: str = REQUEST.code

    def to_json(self) -> dict[str, dict[str, str | None]]:
        """The body of the answer."""
        told = {"code": self.code, "place": self.place, "reason": self.reason, "remedy": self.remedy}
        return {"error": {name: None if text is None else clean(text) for name, text in told.items()}}


def beyond(status: int, reason: str, remedy: str | None = None, place: str = "request") -> Problem:
    """A request beyond the limits."""
    return Problem(status, reason, place, remedy, BEYOND.code)


def problem_of(error: AebuildError) -> Problem:
    """What aebuild says of data and operations, as an answer; options of the command line become keys of the request."""
    first = error.diagnostics[0]
    remedy = None if first.fix is None else in_request(str(first.fix))
    return Problem(422, without_paths(first.message), PLACES.get(first.code, "data"), remedy, first.code)


def in_request(fix: str) -> str:
    """Advice for the command line in the words of a request."""
    fix = _GIVEN.sub(r'"given": {"\1": VALUE}', fix)
    return 'resize images with "fit": true' if fix.startswith("--set data.size=") else without_paths(fix)


def without_paths(text: str) -> str:
    """A message without the places where what was sent lies for a moment."""
    return _TEMPORARY.sub("", text)


def place_of(steps: Sequence[int | str]) -> str:
    """A place in a JSON body, as the rest of aebuild writes paths; of a choice between forms only what was sent is told."""
    return ".".join(["body", *(str(step) for step in steps if isinstance(step, int) or re.fullmatch(r"\w+", step))])
