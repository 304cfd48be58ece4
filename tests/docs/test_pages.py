"""README and docs hold: examples run as written, links resolve, commands.md is whole."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.docs.pages import CONTINUES, ROOT, Shell, examples, pages, require_in_order, shown
from tests.docs.warm import write_caller

README = ROOT / "README.md"
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.fixture(scope="session")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The README's walk-through, done as written by somebody who starts in an empty folder."""
    folder = tmp_path_factory.mktemp("walk")
    (folder / "first").mkdir()
    shell = Shell(folder / "first", folder / "shell")
    walk = examples(README)
    assert walk, "the README has no example to run"
    for example in walk:
        shell.run(example)
    return folder


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a `bridleway` that starts quickly."""
    folder = tmp_path_factory.mktemp("warm")
    words = [sys.executable, "-m", "tests.docs.warm", str(folder / "door")]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        write_caller(folder, folder / "door")
        yield folder
        server.kill()


def test_the_walk_through_works_as_written(walked: Path) -> None:
    """Somebody who has only read the README gets an answer and a verified receipt."""
    assert (walked / "first" / "trial" / "receipt.json").exists()


def test_the_readme_shows_what_the_demo_prints() -> None:
    """Answer, withheld cells, refusal and receipt are the demo's real ones."""
    text = README.read_text(encoding="utf-8")
    block = text.split("<!-- demo-output -->")[1].split("```")[1]
    command = Path(sys.executable).with_name("bridleway")
    done = subprocess.run(
        [str(command), "demo"], capture_output=True, text=True, timeout=300, check=True
    )
    lines = tuple(line for line in shown(block) if not line.startswith("$"))
    assert any("withheld" in line for line in lines)
    assert any("refused" in line for line in lines)
    require_in_order(lines, done.stdout)


@pytest.mark.parametrize(
    "page",
    [p for p in pages() if p != README and examples(p)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_examples_run_as_written(page: Path, walked: Path, warm: Path, tmp_path: Path) -> None:
    """Every marked example of a page ends and prints as the page says."""
    shell = Shell(tmp_path, tmp_path / "shell", warm)
    if CONTINUES in page.read_text(encoding="utf-8"):
        shutil.copytree(walked / "first", tmp_path / "first")
        shutil.copy(walked / "shell" / "variables", shell.state / "variables")
        (shell.state / "where").write_text(str(tmp_path / "first" / "trial"))
    for example in examples(page):
        shell.run(example)


def test_a_refusal_is_among_the_examples() -> None:
    """The docs show a refused question, and it is run."""
    assert any(example.exit_code == 3 for page in pages() for example in examples(page))


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page: Path) -> None:
    """Every link of a page to a file of the project finds it."""
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" not in target and not target.startswith("mailto:"):
            assert (page.parent / target).exists(), target


@pytest.fixture(scope="module")
def commands_page() -> dict[str, Any]:
    """The script that writes commands.md."""
    return runpy.run_path(str(ROOT / "docs" / "reference" / "commands_page.py"))


def test_commands_page_is_current(commands_page: dict[str, Any]) -> None:
    """commands.md is what the script writes from the commands today."""
    kept = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    assert kept == commands_page["page"](), "run: python docs/reference/commands_page.py"


def test_every_command_and_option_is_told(commands_page: dict[str, Any]) -> None:
    """Every command, argument, option and JSON shape stands in commands.md, with words."""
    text = (ROOT / "docs" / "reference" / "commands.md").read_text(encoding="utf-8")
    names = [name for name, _ in commands_page["commands"]()]
    assert set(names) == set(commands_page["SHAPES"])
    for name, command in commands_page["commands"]():
        assert command.help, name
        section = text.split(f"\n## {name}\n")[1].split("\n## ")[0]
        for one in command.params:
            if one.param_type_name == "option" and one.name != "help":
                assert one.help, (name, one.name)
                assert all(f"`{option}`" in section for option in one.opts), (name, one.name)
                assert one.name != "as_json" or "```json" in section
        assert "as_json" in [one.name for one in command.params], name


def test_every_passport_field_is_told() -> None:
    """files.md names every field of the passport model with when it is needed."""
    from bridleway import references

    text = (ROOT / "docs" / "reference" / "files.md").read_text(encoding="utf-8")
    for field in references.rows("passport_model", "fields").values():
        assert f"| `{field['id']}` | {field['need']} |" in text, field["id"]
