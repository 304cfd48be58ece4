"""The house stands: arrows point one way, start is light, nothing public is without a word."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "bridleway"

# What each part of the house may import (besides itself, errors, documents and parts).
ROOMS: dict[str, set[str]] = {
    "errors": set(),
    "parts": set(),
    "documents": set(),
    "model": set(),
    "keys": {"model"},
    "references": set(),
    "passport": {"model", "keys", "references"},
    "questions": {"model"},
    "sources": {"model"},
    "techniques": {"model", "keys"},
    "disclosure": {"model"},
    "ledger": {"model", "keys"},
    "testdata": {"model"},
    "answer": set(),
    "ask": {"model", "answer"},
    "node": {
        "model", "keys", "passport", "questions", "sources", "techniques", "disclosure", "ledger",
        "ask", "answer",
    },
    "demo": {"node", "testdata", "model"},
    "api": {"node", "keys", "ledger", "answer", "model"},
    "cli": {
        "node", "api", "demo", "answer", "keys", "model", "passport", "questions", "sources",
    },
    "__init__": {"api", "answer", "model", "node", "questions"},
}  # fmt: skip
ALWAYS = {"errors", "documents", "parts"}


def _modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


def _room(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0].removesuffix(".py")


def _imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            if node.module == "bridleway":
                found |= {f"bridleway.{name.name}" for name in node.names}
    return {name for name in found if name.startswith("bridleway.")}


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_arrows_point_one_way(path: Path) -> None:
    """A room imports only what stands below it."""
    room = _room(path)
    allowed = ROOMS[room] | ALWAYS | {room}
    used = {name.split(".")[1] for name in _imports(path)}
    assert used <= allowed, f"{room} must not import {sorted(used - allowed)}"


def test_there_is_no_import_cycle_between_rooms() -> None:
    """The rooms can be read from the bottom up."""
    below = {
        room: (others | ALWAYS) - {room} for room, others in ROOMS.items() if room not in ALWAYS
    }
    seen: dict[str, int] = defaultdict(int)

    def visit(room: str) -> None:
        assert seen[room] != 1, f"a cycle through {room}"
        if seen[room] == 2:
            return
        seen[room] = 1
        for other in below.get(room, ()):
            visit(other)
        seen[room] = 2

    for room in below:
        visit(room)


def test_help_imports_nothing_heavy() -> None:
    """`bridleway --help` starts without any engine."""
    code = (
        "import sys\n"
        "from typer.testing import CliRunner\n"
        "from bridleway.cli.main import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0\n"
        "heavy = {'ibis', 'duckdb', 'pyarrow', 'pandas', 'pydantic', 'sqlglot', 'numpy'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_everything_public_says_what_it_is(path: Path) -> None:
    """Modules, public classes and public functions have a docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    silent = [] if ast.get_docstring(tree) or not tree.body else ["the module"]
    for node in tree.body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_"):
            if not ast.get_docstring(node):
                silent.append(node.name)
            if isinstance(node, ast.ClassDef):
                silent += [
                    f"{node.name}.{item.name}"
                    for item in node.body
                    if isinstance(item, ast.FunctionDef)
                    and not item.name.startswith("_")
                    and not ast.get_docstring(item)
                ]
    assert not silent


def test_no_file_names_a_machines_path() -> None:
    """The repository speaks of the project alone."""
    words = ("/work/" + "main", "/work/" + "shared", "/ro" + "ot/")
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True
    ).stdout.split("\0")
    for name in filter(None, listed):
        path = ROOT / name
        if path.is_file() and path.suffix in (".py", ".md", ".toml", ".yaml", ".lock", ".txt", ""):
            text = path.read_text(encoding="utf-8", errors="ignore")
            assert not any(word in text for word in words), name


def test_the_public_names_are_those_listed() -> None:
    """What `import bridleway` offers is what `__all__` says, and all of it loads."""
    import bridleway

    assert sorted(bridleway.__all__) == list(bridleway.__all__)
    for name in bridleway.__all__:
        assert getattr(bridleway, name) is not None
