"""Modules under names that a user chose."""

from __future__ import annotations

from collections.abc import ItemsView, Mapping
from typing import Any

from torch import nn


class Children(nn.Module):
    """Modules by name, any name at all; in `state_dict` they stand under these names.

    torch's ModuleDict refuses names that are attributes of its own (`keys`, `type`, `forward`), since it offers its children as
    attributes too. Here they are reached by `[]` alone.
    """

    def __init__(self, modules: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self._modules.update(modules)

    def __setattr__(self, name: str, value: Any) -> None:
        """Sets an attribute of this module, also where a child has its name (`training`)."""
        object.__setattr__(self, name, value)

    def __getitem__(self, name: str) -> Any:
        return self._modules[name]

    def items(self) -> ItemsView[str, Any]:
        """Names and modules, in order."""
        return self._modules.items()
