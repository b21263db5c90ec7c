"""`aebuild serve`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from aebuild.cli.on_run import opened, run_folder
from aebuild.cli.options import FiniteRange
from aebuild.cli.output import note, say


@click.command("serve")
@run_folder
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen; 0.0.0.0 is the whole network.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0 takes any that is free, and prints it.")
@click.option("--token", envvar="AEBUILD_TOKEN", metavar="TOKEN", help="Answer only who sends it: Authorization: Bearer TOKEN. "
              "AEBUILD_TOKEN says it too, and no list of processes shows it there.")
@click.option("--max-body", type=FiniteRange(0.001, 4096), default=16, show_default=True, metavar="MIB",
              help="The largest body of a request.")
@click.option("--max-samples", type=click.IntRange(1), default=1024, show_default=True, help="The most samples of a request.")
@click.option("--queue", type=click.IntRange(1), default=64, show_default=True,
              help="The most requests at once; others are sent away with 429.")
@click.option("--timeout", type=FiniteRange(0.1), default=30, show_default=True, metavar="SECONDS",
              help="The most that a request may take.")
@click.option("--batch", type=click.IntRange(1), default=256, show_default=True, help="The most samples that requests share a batch with.")
@click.option("--wait", type=FiniteRange(0, 10_000), default=2, show_default=True, metavar="MS",
              help="How long a request waits for others to share its batch.")
def command(run: Path, device: str, as_json: bool, quiet: bool, host: str, port: int, token: str | None, max_body: float,
            max_samples: int, queue: int, timeout: float, batch: int, wait: float) -> None:
    """Serve a run over HTTP, with a page at / to try it: encode, decode, reconstruct, score, sample.

    Prints its address when it takes requests. Ctrl-C or SIGTERM finishes what has begun and ends with 130 or 143. With --json each
    request is a line on stdout.
    """
    from aebuild.cli.guard import bug
    from aebuild.serving.limits import Limits
    from aebuild.serving.packages import check_packages

    check_packages()
    from aebuild.serving.server import serve

    def begun(url: str) -> None:
        click.echo(json.dumps({"event": "serving", "url": url, "run": str(run)}, ensure_ascii=False) if as_json else url)
        if not quiet:
            say(f"{run} is served at {url}; Ctrl-C ends it")

    def log(record: dict[str, Any]) -> None:
        nonlocal as_json
        if as_json:
            try:
                click.echo(json.dumps({"event": "request", **record}))
            except OSError:          # nobody reads any more, which is no reason to answer nobody
                as_json = False

    model = opened(run, device)
    if token is None and host not in ("127.0.0.1", "localhost", "::1"):
        note("without --token everybody who reaches this machine can use the model")
    limits = Limits(round(max_body * 2**20), max_samples, queue, timeout, batch, wait / 1000)
    serve(model, host, port, limits, token=token or None, say=(lambda sentence: None) if quiet else note, begun=begun,
          log=log, bug=bug)
