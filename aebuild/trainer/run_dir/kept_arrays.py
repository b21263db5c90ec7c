"""Arrays that a run keeps as .npz, read with nothing believed of the file."""

from __future__ import annotations

import zlib
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

import numpy as np

from aebuild.lang.regular_files import read_regular

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 1 << 30         # bytes of such a file


def kept_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays by name; OSError for a file that cannot be read, ValueError for one that is damaged, whatever is wrong in it."""
    content = read_regular(path, MOST)
    try:
        with np.load(BytesIO(content), allow_pickle=False) as held:
            return {name: held[name] for name in held.files}
    except (BadZipFile, zlib.error, EOFError, KeyError, IndexError, OverflowError, NotImplementedError, RuntimeError, SyntaxError,
            AttributeError, TypeError, OSError) as error:
        raise ValueError(str(error) or type(error).__name__) from error
