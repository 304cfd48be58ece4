"""What users import stays what it is, whatever was imported before."""

from __future__ import annotations

import subprocess
import sys

import pytest

FIRST = [
    "import bridleway.ask",
    "import bridleway.node.workspace",
    "from bridleway.ask import Asking",
]


@pytest.mark.parametrize("first", FIRST)
def test_ask_is_the_function_whatever_was_imported_before(first: str) -> None:
    program = f"{first}\nimport bridleway as bw\nassert callable(bw.ask), bw.ask\nprint(bw.ask.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "bridleway.api"
