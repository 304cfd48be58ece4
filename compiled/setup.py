"""Builds the walks in C for the very text of the Python that they are to equal."""

from __future__ import annotations

import hashlib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

HERE = Path(__file__).parent
WALKS = HERE / "bridleway_compiled" / "forms.pyx"
FHIR = HERE.parent / "src" / "bridleway" / "fhir"
# As `bridleway.fhir.forms` has them.
EQUALS = [FHIR / name for name in ("forms/plain.py", "numbers.py", "resources.py", "dates.py")]


def digest(paths: list[Path]) -> str:
    """Return the SHA-256 of some files, as a text of C."""
    return f'"{hashlib.sha256(b"".join(path.read_bytes() for path in paths)).hexdigest()}"'


setup(
    ext_modules=cythonize(
        [
            Extension(
                "bridleway_compiled.forms",
                ["bridleway_compiled/forms.pyx"],
                define_macros=[("BUILT_FOR", digest(EQUALS)), ("BUILT_OF", digest([WALKS]))],
                depends=[str(path) for path in EQUALS],
            )
        ],
        build_dir="build",
    )
)
