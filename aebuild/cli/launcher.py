"""What a training process sets for itself before torch starts."""

from __future__ import annotations

import ctypes
import os
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4      # malloc.h
KEEP = 2**31 - 1                                          # bytes; the largest number that mallopt takes
PAD = 64 * 2**20
SPINS = "50000"      # some 250 µs: enough for the gaps between layers; threads that wait for milliseconds starve others on shared cores


def prepare_process() -> None:
    """Sets threads and memory as docs/training.md tells; the environment's own settings win."""
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")       # without it cuBLAS is not deterministic
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "FATAL")             # what its processes say of each other is said by aebuild
    if sys.platform == "linux" and not any(name.startswith("MALLOC_") for name in os.environ):
        keep_memory()


def keep_memory() -> bool:
    """Lets glibc reuse the memory of big tensors; True if it did.

    By default glibc gives every block over 32 MiB, and often smaller ones, back to the kernel when it is freed. A training step
    frees and takes the same blocks again and again, and the kernel then has to clear each page anew.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):                                 # another libc
        return False
    return all([mallopt(M_MMAP_MAX, 0), mallopt(M_TRIM_THRESHOLD, KEEP), mallopt(M_TOP_PAD, PAD)])
