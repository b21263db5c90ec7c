"""The language floor: YAML to a source tree, diagnostics, value types and the part families."""
