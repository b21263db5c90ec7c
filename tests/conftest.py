"""What all tests share: parts are known, one thread, how thoroughly Hypothesis looks."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example]

WANTING = pytest.StashKey[int]()
MEMORY, ROOM = Path("/dev/shm"), 4 << 30

settings.register_profile("default", max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=SLOW)
settings.register_profile("quick", settings.get_profile("default"), max_examples=20)
settings.register_profile("long", max_examples=2000, deadline=None, print_blob=True, suppress_health_check=SLOW)


def pytest_configure(config: pytest.Config) -> None:
    os.environ["XDG_CACHE_HOME"] = tempfile.mkdtemp(prefix="aebuild-tests-")        # never the user's
    settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
    if in_memory(MEMORY):
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def in_memory(folder: Path) -> bool:
    """True where a file system in memory has room for what tests write: checkpoints wait for a disk there otherwise."""
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > ROOM


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(os.environ["XDG_CACHE_HOME"], ignore_errors=True)


@pytest.fixture
def double_precision() -> Iterator[None]:
    """New tensors are float64, and drawn from seed 0."""
    import torch

    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def pytest_report_header(config: pytest.Config) -> str:
    """Whether the tests that want real data can run."""
    found = data_folder()
    if found is None:
        return "real data: none, so tests that want it are skipped (set AEBUILD_DATA)"
    return f"real data: {', '.join(sorted(path.name for path in found.iterdir() if path.is_dir()))} in {found}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Counts the tests that want real data, before any is left out; a process of xdist tells the one that started it."""
    wanting = sum("real_data" in item.fixturenames for item in items if isinstance(item, pytest.Function))
    config.stash[WANTING] = wanting
    if hasattr(config, "workeroutput"):
        config.workeroutput["wanting"] = wanting


def pytest_report_collectionfinish(config: pytest.Config) -> str:
    """How many tests want real data."""
    return told(config.stash.get(WANTING, 0))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keeps what a process of xdist has counted; all of them collect the same tests."""
    node.config.stash[WANTING] = getattr(node, "workeroutput", {}).get("wanting", 0)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """How many tests want real data, where processes of xdist have collected them."""
    if config.getoption("numprocesses", None):
        terminalreporter.write_line(told(config.stash.get(WANTING, 0)))


def told(wanting: int) -> str:
    """How many tests want real data, and whether they have any."""
    return f"real data: {wanting} tests want it, and {'are skipped (set AEBUILD_DATA)' if data_folder() is None else 'have it'}"


def data_folder() -> Path | None:
    """The folder of the known data sets, if the environment names one that exists."""
    named = os.environ.get("AEBUILD_DATA")
    return Path(named) if named and Path(named).is_dir() else None


@pytest.fixture(scope="session", autouse=True)
def _parts() -> None:
    """Every part is discovered before the first test."""
    from aebuild.parts import discover

    discover()


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of the known data sets; skips where there is none."""
    found = data_folder()
    if found is None:
        pytest.skip("AEBUILD_DATA names no folder")
    return found
