"""The folder of shipped specs becomes part of the package; everything else is in pyproject.toml."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["aebuild*"]), "aebuild.specs"], package_dir={"aebuild.specs": "specs"})
