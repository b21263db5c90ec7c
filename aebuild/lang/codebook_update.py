"""The base of the ways in which a codebook follows its vectors."""

from typing import TYPE_CHECKING, ClassVar

from aebuild.lang.part import Part

if TYPE_CHECKING:
    from aebuild.modules.codebook_updates import Ema


class CodebookUpdate(Part):
    """How the entries of a codebook are learned."""

    family = "codebook_update"
    trained: ClassVar[bool] = False           # the entries are parameters, moved by the term `codebook`

    def build_update(self, books: int, codes: int, features: int) -> "Ema | None":
        """The module that moves the entries in each training step, if there is one."""
        return None
