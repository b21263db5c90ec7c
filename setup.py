"""The folder of shipped specs becomes part of the package, with the schema they point to; everything else is in pyproject.toml."""

import sys
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py


class BuildWithSchema(build_py):
    """Copies the modules, then writes the schema beside them, as `docs/schema.json` of the package."""

    def run(self) -> None:
        """As setuptools does, and one file more; an editable installation has the checkout's own."""
        super().run()
        if not self.editable_mode:
            sys.path.insert(0, str(Path(__file__).parent))
            from aebuild.compile.schema import schema_text

            path = Path(self.build_lib, "aebuild", "docs", "schema.json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(schema_text(), encoding="utf-8")


setup(packages=[*find_packages(include=["aebuild*"]), "aebuild.specs"], package_dir={"aebuild.specs": "specs"},
      cmdclass={"build_py": BuildWithSchema})
