"""Builds the walks in C for the very text of `plain.py` beside which they stand."""

from __future__ import annotations

import hashlib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

PLAIN = Path(__file__).parents[1] / "src" / "bridleway" / "fhir" / "forms" / "plain.py"

setup(
    ext_modules=cythonize(
        [
            Extension(
                "bridleway_compiled.forms",
                ["bridleway_compiled/forms.pyx"],
                define_macros=[
                    ("BUILT_FOR", f'"{hashlib.sha256(PLAIN.read_bytes()).hexdigest()}"')
                ],
                depends=[str(PLAIN)],
            )
        ],
        build_dir="build",
    )
)
