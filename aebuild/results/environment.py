"""What a bug report should say of the machine: versions, devices, and what works."""

from __future__ import annotations

import contextlib
import importlib
import os
import platform
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from aebuild import __version__
from aebuild.data.errors import memory as memory_for_data

PACKAGES = ("torch", "numpy", "pydantic", "pyyaml", "rich", "rich-click", "safetensors", "scikit-learn", "pillow")
VARIABLES = ("AEBUILD_DATA", "AEBUILD_PLUGINS", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "WORLD_SIZE")
_REQUIREMENT = re.compile(r"^\s*([A-Za-z0-9._-]+)\s*(?:\[[^]]*\])?\s*([^;]*);.*\bextra\s*==\s*['\"]([^'\"]+)['\"]")
_FOR_DEVELOPERS = "dev"


def environment_report() -> dict[str, Any]:
    """Everything as plain JSON types; what is broken is told in its place and stops nothing."""
    return {"aebuild": __version__, "python": platform.python_version(), "platform": platform.platform(),
            "executable": sys.executable, "packages": {name: _version(name) for name in PACKAGES},
            "extras": {name: extra_report(needs) for name, needs in sorted(extras().items())},
            **_machine(), "environment": {name: os.environ[name] for name in VARIABLES if name in os.environ}}


def extras() -> dict[str, dict[str, str]]:
    """The optional extras that the installed package declares: distributions and the versions wanted."""
    found: dict[str, dict[str, str]] = {}
    with contextlib.suppress(metadata.PackageNotFoundError):      # run from a checkout that was never installed
        for text in metadata.requires("aebuild") or ():
            match = _REQUIREMENT.match(text)
            if match is not None and match[3] != _FOR_DEVELOPERS and match[1] != "aebuild":
                found.setdefault(match[3], {})[match[1]] = match[2].strip()
    return found


def extra_report(needs: dict[str, str]) -> dict[str, Any]:
    """Which packages of an extra are there and can be imported, and how to get those that are not."""
    versions = {name: _version(name) for name in needs}
    missing = [f"{name}{needs[name]}" for name, version in versions.items() if version is None]
    reasons = {name: reason for name, version in versions.items() if version is not None and (reason := _broken(name))}
    return {"works": not missing and not reasons, "packages": versions,
            **({"broken": reasons} if reasons else {}),
            **({"install": "pip install " + " ".join(f"'{each}'" for each in missing)} if missing else {})}


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _broken(distribution: str) -> str | None:
    """Why a package cannot be imported, such as a library of the system that it needs; None where it can."""
    try:
        for name in _modules(distribution):
            importlib.import_module(name)
    except Exception as error:               # a foreign package: whatever it raises is what is to be reported
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def _modules(distribution: str) -> list[str]:
    listed = metadata.distribution(distribution).read_text("top_level.txt")
    if listed is not None:
        return [name for name in listed.split() if name.isidentifier() and not name.startswith("_")][:1]
    return [distribution.replace("-", "_")]


def _machine() -> dict[str, Any]:
    """CPU, memory, threads and GPUs as torch sees them; where torch does not load, why."""
    from aebuild.lang.process import cores

    told: dict[str, Any] = {"cores": cores(), "memory": {"for_data": memory_for_data(), "whole": _physical()}}
    try:
        import torch
    except Exception as error:               # a broken installation is what such reports are most often about
        return {**told, "torch_error": f"{type(error).__name__}: {error}".splitlines()[0]}
    from aebuild.trainer.device import choose_device, describe_device
    from aebuild.trainer.speed.execution import computes_bfloat16, processor

    told |= {"processor": processor() or platform.processor(), "threads": torch.get_num_threads(), "cuda": torch.version.cuda,
             "gpus": list(_gpus()), "trains_on": describe_device(choose_device("auto")),
             "works": {"bfloat16 in the CPU's hardware": computes_bfloat16(), "gpu": torch.cuda.is_available(),
                       "bfloat16 on the GPU": torch.cuda.is_available() and torch.cuda.is_bf16_supported(),
                       "several processes": torch.distributed.is_available(), "compiler": _compiles()}}
    return told


def _gpus() -> Iterator[dict[str, Any]]:
    import torch

    for number in range(torch.cuda.device_count()):
        found = torch.cuda.get_device_properties(number)
        yield {"name": found.name, "memory": found.total_memory, "capability": f"{found.major}.{found.minor}"}


def _compiles() -> bool:
    """True if torch's compiler finds the C++ compiler that it needs."""
    import shutil

    return shutil.which(os.environ.get("CXX", "g++")) is not None


def _physical() -> int | None:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def sentences(report: dict[str, Any]) -> Iterator[str]:
    """The report as lines for people, ready to be pasted into an issue."""
    from aebuild.trainer.progress.formatting import memory

    yield f"aebuild {report['aebuild']}, Python {report['python']}, {report['platform']}"
    yield ", ".join(f"{name} {version or 'MISSING'}" for name, version in report["packages"].items())
    for name, extra in report["extras"].items():
        yield f"extra {name}: {_extra_words(extra)}"
    sizes = report["memory"]
    whole = f"{memory(sizes['whole'])}, of which data may take " if sizes["whole"] else "data may take "
    yield f"{report['cores']} cores, memory {whole}{memory(sizes['for_data'])}"
    if "torch_error" in report:
        yield f"torch does not load: {report['torch_error']}"
        return
    yield f"processor {report['processor'] or 'unknown'}, {report['threads']} threads, trains on {report['trains_on']}"
    for gpu in report["gpus"]:
        yield f"gpu {gpu['name']}, {memory(gpu['memory'])}, compute capability {gpu['capability']}, CUDA {report['cuda']}"
    yield ", ".join(f"{name}: {'yes' if works else 'no'}" for name, works in report["works"].items())
    for name, value in report["environment"].items():
        yield f"{name}={value}"


def _extra_words(extra: dict[str, Any]) -> str:
    there = ", ".join(f"{name} {version}" for name, version in extra["packages"].items() if version)
    if extra["works"]:
        return f"works ({there})"
    broken = "; ".join(f"{name} is broken: {reason}" for name, reason in extra.get("broken", {}).items())
    return "; ".join(filter(None, [there, broken, f"to have it: {extra['install']}" if "install" in extra else ""]))
