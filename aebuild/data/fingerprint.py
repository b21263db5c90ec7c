"""Fingerprints of data: enough to notice that they are no longer what a model was trained on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aebuild.data.errors import listed
from aebuild.lang.columns import feature_names
from aebuild.lang.diagnostics import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from aebuild.lang.sample_storage import Store
    from aebuild.lang.splits import Split, Splits

SAMPLED = 64      # samples of a split on disk whose contents are looked at
PARTS = {"train": "training", "validation": "validation", "test": "test"}


def digest(values: NDArray[Any]) -> str:
    """A hash of an array's type, shape and numbers."""
    return digest_of(values.dtype.str, values.shape, [values])


def digest_of(kind: str, shape: tuple[int, ...], chunks: Iterable[NDArray[Any]]) -> str:
    """The same of an array of this type and shape that comes in chunks of samples."""
    import numpy as np

    found = hashlib.blake2b(f"{kind} {shape} ".encode(), digest_size=16)
    for values in chunks:
        found.update(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def fingerprint(splits: Splits) -> dict[str, Any]:
    """What the data are, as JSON: their schema, counts, and hashes of their contents.

    Data in memory were hashed as they were read, before scaling. Of data on disk it is the names, sizes and times of the files and a
    few samples of each split.
    """
    info, parts = splits.info, {name: getattr(splits, name) for name in PARTS}
    columns, aims = feature_names(info.range.fields) or info.columns, info.target_columns
    aims = feature_names(info.target_range.fields) or aims if aims else None
    return {"schema": {"value": str(info.value), "target": str(info.target), "columns": _list(columns), "target_columns": _list(aims),
                       "classes": _list(info.class_names)},
            "counts": {name: len(split) for name, split in parts.items()},
            "contents": {name: _contents(split) for name, split in parts.items()},
            "labels": {name: digest(split.labels) if split.labels is not None else None for name, split in parts.items()},
            "files": _files(parts.values()) if splits.streamed else None}


def unlike(before: Mapping[str, Any], now: Mapping[str, Any], *, moved: bool = False) -> list[str]:
    """In what two fingerprints differ, in words; where data have `moved`, the times of their files do not count."""
    found = list(_schema(before["schema"], now["schema"]))
    found += [f"{PARTS[name]} samples {count:,} -> {now['counts'][name]:,}" for name, count in before["counts"].items()
              if count != now["counts"][name]]
    if not found:
        for word in ("contents", "labels"):
            found += [f"{word} of the {PARTS[name]} split" for name, told in before[word].items() if told != now[word][name]]
    if before["files"] and now["files"]:
        found += [f"{word} of the files" for word, told in before["files"].items()
                  if told != now["files"][word] and not (moved and word == "times")]
    return found


def _schema(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for word, key in (("column", "columns"), ("target column", "target_columns"), ("class", "classes")):
        old, new = before[key] or [], now[key] or []
        if added := [name for name in new if name not in old]:
            yield f"{word} added: {listed(added, 8)}"
        if gone := [name for name in old if name not in new]:
            yield f"{word} gone: {listed(gone, 8)}"
        if old != new and sorted(old) == sorted(new):
            yield f"another order of the {word}{'es' if word == 'class' else 's'}"
    for word, key in (("samples", "value"), ("targets", "target")):
        if before[key] != now[key] and (key == "value" or before["value"] != before["target"] or now["value"] != now["target"]):
            yield f"{word} {before[key]} -> {now[key]}"


def _list(names: Sequence[str] | None) -> list[str] | None:
    return None if names is None else list(names)


def _contents(split: Split) -> str:
    told = [_store(split.inputs), *([_store(split.targets)] if split.targets is not None else [])]
    return " ".join(told)


def _store(store: Store) -> str:
    import numpy as np

    from aebuild.lang.sample_storage import Held

    if isinstance(store, Held):
        return store.digest or digest(store.values)
    rows = np.linspace(0, max(0, len(store) - 1), min(SAMPLED, len(store)))
    try:
        return digest(store.take(np.unique(rows.astype(np.int64))))
    except DataError:
        return "unreadable"                  # told when its turn comes, with all that was trained until then


def _files(splits: Iterable[Split]) -> dict[str, str]:
    """Hashes of the names, sizes and times of all files that samples are read from."""
    from aebuild.data.streamed import Streamed

    paths: list[Path] = []
    for split in splits:
        paths += [path for store in (split.inputs, split.targets) if isinstance(store, Streamed) for path in store.samples.sources()]
    paths = sorted(dict.fromkeys(paths))
    root = os.path.commonpath([path.parent for path in paths]) if paths else ""
    stats = [path.stat() for path in paths]
    return {"names": _hash(os.path.relpath(path, root) for path in paths), "sizes": _hash(str(found.st_size) for found in stats),
            "times": _hash(str(found.st_mtime_ns) for found in stats)}


def _hash(words: Iterator[str]) -> str:
    found = hashlib.blake2b(digest_size=16)
    for word in words:
        found.update(word.encode("utf-8", "surrogateescape") + b"\0")
    return found.hexdigest()
