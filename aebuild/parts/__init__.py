"""Everything a spec can name, one file a part; found by walking this package."""

from __future__ import annotations

import pkgutil
from functools import cache
from pathlib import Path

from aebuild.lang import codebook_update, conditioning, dataset, families, sparsity, tasks, terms, training
from aebuild.lang.part import Part

# what declares the families that folders belong to
HOMES = (codebook_update, conditioning, dataset, families, sparsity, tasks, terms, training)


@cache
def discover() -> None:
    """Tells each family its members: the files of its folder, imported when they are first used."""
    folders = {plural(word): family for word, family in Part.families.items()}
    for folder in pkgutil.iter_modules(__path__):
        for file in pkgutil.iter_modules([str(Path(__path__[0]) / folder.name)]):
            folders[folder.name].variants.expect(file.name, f"{__name__}.{folder.name}.{file.name}")


def plural(word: str) -> str:
    """A family's word for several of its members, which is the name of its folder."""
    return f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
