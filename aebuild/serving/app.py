"""The endpoints: what comes in over HTTP, what goes out, and when the server says no."""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from aebuild import __version__
from aebuild.lang.diagnostics import AebuildError
from aebuild.serving.answers import to_json
from aebuild.serving.batching import ModelThread
from aebuild.serving.problem import Problem, beyond, problem_of
from aebuild.serving.reading import SUFFIXES
from aebuild.serving.service import OPERATIONS, Service, Upload

Endpoint = Callable[[Request], Awaitable[Response]]
JSON = "application/json"
DROPPED = 4          # times the largest body that is read without being kept
READERS = 2          # threads that read requests and write answers, beside the model's own
LOCAL = ("localhost", "127.0.0.1", "::1")
OPEN = ("/health", "/")          # without a token


@dataclass
class Door:
    """Who may come in: with a `token` whoever has it; with none, and where only this machine can ask, requests to it by its own name.

    The second keeps pages of other sites, whose names can be made to lead here, from asking through a browser. `alone` says that the
    server listens on this machine only.
    """

    token: str | None = None
    alone: bool = False

    def check(self, request: Request) -> None:
        """Problem for who may not."""
        if self.token is not None:
            told = request.headers.get("authorization", "")
            if not hmac.compare_digest(told.encode(), f"Bearer {self.token}".encode()):
                raise Problem(401, "the token is missing or another one", "header Authorization", "Authorization: Bearer TOKEN")
        elif self.alone and request.url.hostname not in LOCAL:
            raise Problem(421, "the server is asked by another name than its own", "header Host", "start it with --token to allow that")


@dataclass
class Server:
    """A service with its threads; `log` is told of each request, `bug` of what nobody foresaw."""

    service: Service
    door: Door = field(default_factory=Door)
    log: Callable[[dict[str, Any]], None] = lambda record: None
    bug: Callable[[Exception], object] = lambda error: None
    busy: int = 0
    stopping: bool = False

    def __post_init__(self) -> None:
        limits = self.service.limits
        self.model = ModelThread(limits.batch, limits.wait)
        self.readers = ThreadPoolExecutor(READERS, "request")

    def close(self) -> None:
        """Computes what waits, then ends the threads."""
        self.stopping = True
        self.model.close()
        self.readers.shutdown(cancel_futures=True)

    async def answer(self, operation: str, request: Request) -> dict[str, Any]:
        """The answer of an operation, within the limits."""
        limits = self.service.limits
        if self.stopping:
            raise beyond(503, "the server is being stopped", "send it again to one that runs")
        if self.busy >= limits.queue:
            raise beyond(429, f"{self.busy} requests are being answered already", "send it again a little later")
        self.busy += 1
        try:
            async with asyncio.timeout(limits.timeout):
                return await self._answer(operation, request)
        except TimeoutError as error:
            raise beyond(503, f"it took longer than {limits.timeout:g} seconds", "send less at a time, or again later") from error
        finally:
            self.busy -= 1

    async def _answer(self, operation: str, request: Request) -> dict[str, Any]:
        body = await self._body(request)
        loop = asyncio.get_running_loop()
        given = _upload(request, operation, body)
        work = await loop.run_in_executor(self.readers, self.service.work, operation, given)
        result = await asyncio.wrap_future(self.model.submit(work.job))
        request.state.told = {"samples": work.job.samples, "together": work.job.together}
        return await loop.run_in_executor(self.readers, work.answer, result)

    async def _body(self, request: Request) -> bytes:
        """The body, of which no more is held than is allowed.

        What is too large is read to its end and dropped, within reason: a connection that is closed earlier may lose the answer.
        """
        most = self.service.limits.body
        too_much = beyond(413, f"the body has more than {most:,} bytes", "send fewer samples at a time", "body")
        with suppress(ValueError):
            if int(request.headers.get("content-length", "0")) > DROPPED * most:
                raise too_much
        body, size = bytearray(), 0
        async for piece in request.stream():
            size += len(piece)
            if size > DROPPED * most:
                raise too_much
            if size <= most:
                body += piece
        if size > most:
            raise too_much
        return bytes(body)


def _upload(request: Request, operation: str, body: bytes) -> bytes | Upload:
    """The body as JSON, or as one encoded sample by its media type."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == JSON:
        return body
    if operation in ("sample", "decode") or kind not in SUFFIXES:
        others = [] if operation in ("sample", "decode") else list(SUFFIXES)
        raise Problem(415, f"a body of {kind or 'no type'} is not taken; there are {', '.join([JSON, *others])}", "header Content-Type")
    asked = request.query_params
    form: Any = asked.get("form", "png" if kind.startswith("image") else None)
    return Upload(body, kind, asked.get("fit", "false") in ("true", "1"), form)


def create_app(server: Server) -> FastAPI:
    """The application."""
    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        yield
        await asyncio.to_thread(server.close)

    name = server.service.run.plan.spec.name
    app = FastAPI(title=f"aebuild: {name}", version=__version__, openapi_url=None, docs_url=None, redoc_url=None, lifespan=running)
    page = Path(__file__).with_name("templates").joinpath("page.html").read_bytes()

    async def health(request: Request) -> Response:
        """Whether the server answers."""
        fine = server.model.alive and not server.stopping
        return _json({"status": "ok" if fine else "stopping", "requests": server.busy}, 200 if fine else 503)

    async def info(request: Request) -> Response:
        """What the model is, takes and can do."""
        return _json(server.service.info())

    async def home(request: Request) -> Response:
        """The page to try it."""
        policy = "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'"
        return Response(page, media_type="text/html; charset=utf-8", headers={
            "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer", "X-Frame-Options": "DENY"})

    async def forms(request: Request) -> Response:
        """The form of every request."""
        return _json(app.openapi())

    for path, get in (("/health", health), ("/info", info), ("/openapi.json", forms), ("/", home)):
        app.add_api_route(path, _guarded(server, get), methods=["GET"], include_in_schema=path in ("/health", "/info"))
    for operation in OPERATIONS:
        app.add_api_route(f"/{operation}", _guarded(server, _endpoint(server, operation)), methods=["POST"], name=operation,
                          openapi_extra=_described(server.service, operation))
    app.add_exception_handler(HTTPException, _unknown)
    return app


def _endpoint(server: Server, operation: str) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        return _json(await server.answer(operation, request))

    endpoint.__doc__ = {"encode": "Codes of samples.", "decode": "What codes stand for.", "reconstruct": "What the model makes of samples.",
                        "score": "How unusual samples are.", "sample": "New samples."}[operation]
    return endpoint


def _described(service: Service, operation: str) -> dict[str, Any]:
    """The forms of a request's body, for /openapi.json."""
    content: dict[str, Any] = {JSON: {"schema": service.requests.forms[operation].model_json_schema()}}
    if service.requests.images and operation not in ("sample", "decode"):
        content |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in SUFFIXES if kind.startswith("image")}
    return {"requestBody": {"required": True, "content": content}}


def _guarded(server: Server, endpoint: Endpoint) -> Endpoint:
    """The endpoint for those who may ask; turns every failure into JSON, and tells the log."""
    async def guarded(request: Request) -> Response:
        begun = time.perf_counter()
        try:
            if request.url.path not in OPEN or server.door.token is None:
                server.door.check(request)
            response = await endpoint(request)
        except Problem as problem:
            response = _refused(problem)
        except AebuildError as error:
            response = _refused(problem_of(error))
        except ClientDisconnect:          # nobody reads this
            response = _refused(Problem(400, "the connection was closed before the body had ended", "body"))
        except Exception as error:          # the server goes on
            server.bug(error)
            response = _refused(Problem(500, "this is a bug of ours, which the server has reported", "server"))
        server.log({"path": request.url.path, "status": response.status_code, "ms": round(1000 * (time.perf_counter() - begun), 2),
                    **getattr(request.state, "told", {})})
        return response

    guarded.__doc__ = endpoint.__doc__
    return guarded


async def _unknown(request: Request, error: Exception) -> Response:
    """No such path, or not by this method."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    there = "GET /health, /info, /openapi.json and /, POST " + ", ".join(f"/{name}" for name in OPERATIONS)
    reason = "this path takes another method" if status == 405 else "there is no such path"
    return _refused(Problem(status, reason, "path", f"there are {there}"))


def _refused(problem: Problem) -> Response:
    response = _json(problem.to_json(), problem.status)
    if problem.status in (429, 503):
        response.headers["Retry-After"] = "1"
    if problem.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _json(answer: Any, status: int = 200) -> Response:
    return Response(to_json(answer), status, media_type=JSON)
