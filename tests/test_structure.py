"""The house stands: arrows point one way, start is light, nothing public is without a word."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "bridleway"
TEXT = {".py", ".md", ".toml", ".yaml", ".yml", ".json", ".lock", ".txt", ".cfg", ".sh", ""}
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)==(\S+)", re.M)
# Homes of people and work folders of machines, on any system.
MACHINE_PATH = re.compile(r"(?<![\w.])(?:/(?:work/\w|root/|home/\w|Users/\w)|[A-Z]:\\Users)")

# Errors know nobody; documents and parts stand on errors alone; everybody may use the three.
GROUND = {"errors", "documents", "parts"}
# Knowing the model, a room needs no other room: rooms meet through nouns.
NOUNS = {"model"}
# The few arrows between rooms, each with its reason. Do not add one without one.
BETWEEN_ROOMS: dict[str, set[str]] = {
    # Seals and statements are signed; rows come from lists; an extract's recipe is its text.
    "passport": {"keys", "references", "extract", "fhir"},
    "techniques": {"keys"},  # the tokens' key travels sealed
    "extract": {"sources"},  # without a workspace, a file is opened as any source is
    "fhir": {"extract"},  # one look for every report
    "ledger": {"keys"},  # checkpoints and receipts are signed
}
ROOMS = {
    "keys", "references", "passport", "questions", "sources", "techniques", "linkage",
    "disclosure", "ledger", "extract", "fhir", "testdata", "ethics",
}  # fmt: skip
# Above the rooms, from the lowest: each may use the rooms and what stands before it.
STOREYS = ("answer", "ask", "node", "desk", "api", "demo", "cli", "__init__")


def _modules() -> list[Path]:
    return sorted(SOURCE.rglob("*.py"))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _room(path: Path) -> str:
    relative = path.relative_to(SOURCE)
    return relative.parts[0].removesuffix(".py")


def _allowed(place: str) -> set[str]:
    """Return what a room or storey may import besides itself."""
    if place in GROUND:
        return set() if place == "errors" else {"errors"}
    if place == "model":
        return {"errors"}
    if place in ROOMS:
        return GROUND | NOUNS | BETWEEN_ROOMS.get(place, set())
    return GROUND | NOUNS | ROOMS | set(STOREYS[: STOREYS.index(place)])


def _name(path: Path) -> str:
    parts = path.relative_to(SOURCE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {_name(path) for path in SOURCE.rglob("*.py")}


def _targets(node: ast.AST) -> set[str]:
    """Return the project's modules that one import statement names."""
    if isinstance(node, ast.Import):
        return {name.name for name in node.names if name.name in NAMES}
    if not isinstance(node, ast.ImportFrom) or not node.module:
        return set()
    named = {f"{node.module}.{name.name}" for name in node.names} & NAMES
    return named or ({node.module} & NAMES)


def _imports(path: Path) -> set[str]:
    """Return every module of ours that a file imports, at any depth."""
    return set().union(*map(_targets, ast.walk(_tree(path))))


def _imports_at_start(path: Path) -> set[str]:
    """Return what a file imports when it is loaded: neither in functions nor for types alone."""
    found: set[str] = set()
    waiting: list[ast.AST] = list(_tree(path).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            waiting += node.orelse
            continue
        found |= _targets(node)
        waiting += ast.iter_child_nodes(node)
    return found


def test_every_place_of_the_house_is_known() -> None:
    """A new folder finds its storey before it finds its importers."""
    assert {_room(path) for path in _modules()} <= GROUND | {"model"} | ROOMS | set(STOREYS)


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_arrows_point_one_way(path: Path) -> None:
    """A room imports only what stands below it."""
    room = _room(path)
    used = {name.split(".")[1] for name in _imports(path) if "." in name} - {room}
    assert used <= _allowed(room), f"{room} must not import {sorted(used - _allowed(room))}"


@pytest.mark.parametrize("path", _modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_private_things_stay_in_their_room(path: Path) -> None:
    """Whatever starts with an underscore is used by nobody outside its folder."""
    taken = []
    for node in ast.walk(_tree(path)):
        if not isinstance(node, ast.ImportFrom) or not (node.module or "").startswith("bridleway."):
            continue
        words = [*str(node.module).split("."), *(name.name for name in node.names)]
        private = [word for word in words if word.startswith("_") and not word.startswith("__")]
        if private and str(node.module).split(".")[1] != _room(path):
            taken.append(f"{node.module}: {', '.join(private)}")
    assert not taken


def test_the_arrows_between_rooms_go_round_nowhere() -> None:
    """The rooms can be read from the bottom up."""
    _walk({room: BETWEEN_ROOMS.get(room, set()) for room in ROOMS})


def test_no_module_imports_itself_in_a_round() -> None:
    """Whatever is imported first, every module loads."""
    _walk({_name(path): _imports_at_start(path) for path in _modules()})


def _walk(below: dict[str, set[str]]) -> None:
    seen: dict[str, int] = defaultdict(int)

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert seen[name] != 1, f"a cycle: {' -> '.join((*way[way.index(name) :], name))}"
        if seen[name] == 2:
            return
        seen[name] = 1
        for other in sorted(below.get(name, set()) - {name}):
            visit(other, (*way, name))
        seen[name] = 2

    for name in sorted(below):
        visit(name, ())


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
    tree = _tree(path)
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


def _committed() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("this is no git checkout")
    paths = [ROOT / name for name in listed.stdout.split("\0") if name]
    return [path for path in paths if path.is_file() and path.suffix in TEXT]


def test_no_file_names_a_machines_path() -> None:
    """The repository speaks of the project alone."""
    for path in _committed():
        found = MACHINE_PATH.search(path.read_text(encoding="utf-8", errors="ignore"))
        assert not found, f"{path.relative_to(ROOT)}: {found and found.group()}"


def test_the_lock_file_holds_what_the_project_asks_for() -> None:
    """Everything named in pyproject.toml is locked, in its range, with hashes, from no address."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    locked = {canonicalize_name(name): version for name, version in LOCKED.findall(text)}
    for requirement in map(Requirement, asked):
        assert requirement.specifier.contains(locked[canonicalize_name(requirement.name)])
    pins = re.split(r"\n(?=[a-z0-9])", text)
    assert len(pins) == len(locked)
    assert all("--hash=sha256:" in pin for pin in pins)
    assert "://" not in text and "--index-url" not in text and "--find-links" not in text


_PACKAGES = {
    "ibis": "ibis-framework",
    "yaml": "pyyaml",
    "detect_secrets": "detect-secrets",
    "jwt": "pyjwt",
}


def test_every_import_from_outside_is_declared() -> None:
    """A fresh machine has what the code imports: nothing comes along by chance."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    extras = {
        canonicalize_name(Requirement(text).name)
        for extra, texts in project["optional-dependencies"].items()
        if extra != "dev"
        for text in texts
    }
    for path in _modules():
        for node in ast.walk(_tree(path)):
            named = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                named = [node.module]
            tops = {name.split(".")[0] for name in named}
            for top in tops - sys.stdlib_module_names - {"bridleway"}:
                package = _PACKAGES.get(top, canonicalize_name(top))
                if package in extras and node.col_offset:
                    continue  # an extra, where it is used
                assert package in declared, f"{path.relative_to(ROOT)} imports {top}"


def test_the_notice_names_every_reference_list() -> None:
    """Whoever passes the product on passes the attributions on."""
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for path in sorted((SOURCE / "references" / "data").glob("*.yaml")):
        assert f"- {path.stem} (as of" in notice, path.stem


def test_the_public_names_are_those_listed() -> None:
    """What `import bridleway` offers is what `__all__` says, and all of it loads."""
    import bridleway

    assert sorted(bridleway.__all__) == list(bridleway.__all__)
    for name in bridleway.__all__:
        assert getattr(bridleway, name) is not None
