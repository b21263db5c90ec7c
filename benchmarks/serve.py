"""A served run under load: latency at a steady rate of requests, and what happens beyond its limits.

    python benchmarks/serve.py [--rate 200] [--seconds 20] [--spec vae]

Trains a small model of the digits, serves it in a process of its own, and sends one sample a request at moments that do not wait for
answers, half of them /encode and half /reconstruct. Then a second server with a queue of 4 gets far more than it can hold, and bodies
beyond its limits. Each answer is compared with that of the run asked in Python.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
from sklearn.datasets import load_digits

import aebuild


@contextmanager
def served(run: Path, *words: str):
    process = subprocess.Popen([sys.executable, "-m", "aebuild", "serve", str(run), "--port", "0", "--json", "-q", *words],
                               stdout=subprocess.PIPE, text=True)
    log: list[dict] = []
    url = json.loads(process.stdout.readline())["url"]
    reader = threading.Thread(target=lambda: log.extend(map(json.loads, process.stdout)))
    reader.start()
    try:
        yield url, log
    finally:
        process.send_signal(signal.SIGTERM)
        print(f"the server ended with {process.wait(60)}")
        reader.join()


class Connections:
    """Kept connections that send prepared requests; httpx would take more of the processor than the server does."""

    def __init__(self, url: str) -> None:
        self.host, port = url.removeprefix("http://").rstrip("/").split(":")
        self.port, self.idle = int(port), []

    async def post(self, request: bytes) -> tuple[int, bytes]:
        """Status and body of the answer."""
        reader, writer = self.idle.pop() if self.idle else await asyncio.open_connection(self.host, self.port)
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length"))
        body = await reader.readexactly(length)
        self.idle.append((reader, writer))
        return int(head.split(b" ", 2)[1]), body

    def request(self, path: str, data: object) -> bytes:
        """The bytes of a request."""
        body = json.dumps(data).encode()
        return (f"POST {path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body


async def steady(url: str, rate: float, seconds: float, wanted: dict[str, np.ndarray], samples: np.ndarray) -> None:
    """Requests at even moments, whether the earlier ones were answered or not."""
    times, statuses, answers = [], collections.Counter(), []
    connections, paths = Connections(url), ("encode", "reconstruct")
    prepared = [[connections.request(f"/{path}", {"data": [sample.tolist()], "form": "arrays"}) for sample in samples] for path in paths]

    async def one(number: int) -> None:
        row = number // 2 % len(samples)
        begun = time.perf_counter()
        status, body = await connections.post(prepared[number % 2][row])
        times.append(time.perf_counter() - begun)
        statuses[status] += 1
        answers.append((status, paths[number % 2], row, body))

    begun, tasks = time.perf_counter(), []
    for number in range(round(rate * seconds)):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        tasks.append(asyncio.create_task(one(number)))
    await asyncio.gather(*tasks)
    took = time.perf_counter() - begun
    got = [(json.loads(body)["codes" if path == "encode" else "samples"][0], wanted[path][row]) for status, path, row, body in answers
           if status == 200]
    wrong = sum(not np.allclose(found, right, atol=1e-3) for found, right in got)
    shares = np.percentile(1000 * np.asarray(times), [50, 90, 99, 100])
    print(f"{len(times):,} requests in {took:.1f} s, {len(times) / took:.0f}/s; " + ", ".join(f"{n} of {status}" for status, n in statuses.items())
          + f"; {wrong} wrong; ms: " + ", ".join(f"{name} {value:.1f}" for name, value in zip(("median", "p90", "p99", "most"), shares, strict=True)))


async def flood(url: str, samples: np.ndarray) -> None:
    """Far more at once than the queue holds, and bodies that are too large."""
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=256)) as client:
        body = {"data": np.repeat(samples[:1], 100, 0).tolist()}
        answers = await asyncio.gather(*(client.post("/reconstruct", json=body) for _ in range(200)))
        print("200 requests of 100 samples at once, a queue of 4:", dict(collections.Counter(answer.status_code for answer in answers)),
              "all told in JSON" if all("error" in answer.json() for answer in answers if answer.status_code != 200) else "NOT all told")
        large = [await client.post("/encode", json={"data": np.repeat(samples[:1], 2_000, 0).tolist()}),
                 await client.post("/encode", content=b" " * (17 * 2**20), headers={"Content-Type": "application/json"}),
                 await client.post("/sample", json={"count": 10**9})]
        print("2,000 samples, 17 MiB, a billion samples:", [answer.status_code for answer in large])
        print("afterwards:", (await client.post("/encode", json={"data": samples[:1].tolist()})).status_code, (await client.get("/health")).json())


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--rate", type=float, default=200)
    words.add_argument("--seconds", type=float, default=20)
    words.add_argument("--spec", default="vae")
    words = words.parse_args()
    samples = load_digits().images[:200, None]
    with tempfile.TemporaryDirectory() as folder:
        run = aebuild.train(words.spec, ["data=digits", "train.epochs=2", "train.speed=exact"], folder=Path(folder, "run")).run
        known = aebuild.open_run(run)
        wanted = {"encode": known.encode(samples).values, "reconstruct": known.reconstruct(samples)}
        with served(run) as (url, log):
            asyncio.run(steady(url, words.rate, 2, wanted, samples))
            asyncio.run(steady(url, words.rate, words.seconds, wanted, samples))
        shared = [record["together"] for record in log if "together" in record]
        print(f"requests in a batch: {np.mean(shared):.2f} on average, {max(shared)} at most; in the server {np.median([record['ms'] for record in log if 'ms' in record]):.1f} ms median")
        with served(run, "--queue", "4") as (url, log):
            asyncio.run(flood(url, samples))
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, torch threads {os.environ.get('OMP_NUM_THREADS', 'all')}")


if __name__ == "__main__":
    main()
