"""References that run in Node: npm `fhirpath` and `fhir`, installed once from the lock file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent / "npm"
_UNREACHABLE = (
    "ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "network",
)  # fmt: skip


@cache
def node_home() -> Path:
    """Return a folder with the packages of npm/package-lock.json, outside the checkout.

    It is installed with `npm ci` when the lock file is new. Skips the test only where there is no
    Node, or no way to npm's registry; any other failure to install is one.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        pytest.skip("Node and npm are not installed")
    lock = (HERE / "package-lock.json").read_bytes()
    cached = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bridleway-tests"
    home = cached / f"npm-{hashlib.sha256(lock).hexdigest()[:16]}"
    if (home / "node_modules").is_dir():
        return home
    cached.mkdir(parents=True, exist_ok=True)
    # Made elsewhere and moved, so that two test processes and an interruption do no harm.
    with tempfile.TemporaryDirectory(dir=cached) as folder:
        made = Path(folder) / "made"
        made.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, made)
        _install(made)
        if not home.is_dir():
            made.rename(home)
    return home


def _install(folder: Path) -> None:
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    try:
        done = subprocess.run(
            command, cwd=folder, timeout=600, capture_output=True, text=True, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip("npm's registry does not answer")
    if done.returncode and any(word in done.stderr for word in _UNREACHABLE):
        pytest.skip("npm's registry cannot be reached")
    assert done.returncode == 0, done.stderr[-2000:]


def run_node(script: str, told: Any, *, timeout: float = 300) -> Any:
    """Run a script of the npm folder with JSON on its input; return the JSON that it prints.

    The script gets the folder of the packages as its argument.
    """
    done = subprocess.run(
        ["node", str(HERE / script), str(node_home())],
        input=json.dumps(told), capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


def npm_fhirpath(resources: list[Any], tasks: list[tuple[int, str]]) -> list[dict[str, Any]]:
    """Evaluate expressions on resources with npm `fhirpath` and its R4 model, in one process.

    Each task is (place of the resource, expression); each answer {"values": […]} or {"error": …}.
    """
    return list(run_node("paths.mjs", {"resources": resources, "tasks": tasks}))
