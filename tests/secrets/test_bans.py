"""What turns text or bytes into code is banned by lint, and no line of ours is let off (G07)."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAD = '"""A module."""\n\nfrom __future__ import annotations\n\n'

# What is written, and the rule of ruff or bandit that must find it.
FORBIDDEN = [
    ("import pickle\n\n\ndef f(b: bytes) -> object:\n    return pickle.loads(b)\n", {"S301", "TID251"}),
    ("from pickle import loads\n\nA = loads\n", {"TID251"}),
    ("import shelve\n\nA = shelve.open('x')\n", {"S301", "TID251"}),
    ("import marshal\n\nA = marshal.loads(b'')\n", {"S302", "TID251"}),
    ("import yaml\n\nA = yaml.load('a', Loader=yaml.Loader)\n", {"S506"}),
    ("import yaml\n\nA = yaml.unsafe_load('a')\n", {"TID251"}),
    ("import yaml\n\nA = yaml.FullLoader('a').get_single_data()\n", {"TID251"}),
    ("A = eval('1')\n", {"S307"}),
    ("exec('1')\n", {"S102"}),
    ("import jinja2\n\nA = jinja2.Environment()\n", {"S701"}),
    ("from jinja2 import Template\n\nA = Template('{{ x }}')\n", {"TID251"}),
    ("from string import Template\n\nA = Template('$x')\n", {"TID251"}),
    ("from mako.template import Template\n\nA = Template('x')\n", {"TID251"}),
    ("def f(e, t: str) -> object:\n    return e.execute(f\"SELECT a FROM {t} WHERE b = 1\")\n", {"S608"}),
    ("def f(e, t: str) -> object:\n    return e.execute(\"SELECT a FROM %s\" % t)\n", {"S608"}),
    ("def f(e, t: str) -> object:\n    return e.execute(\"DELETE FROM {}\".format(t))\n", {"S608"}),
    ("import subprocess\n\nsubprocess.run('ls', shell=True)\n", {"S602", "S607"}),
    ("import os\n\nos.system('ls')\n", {"S605"}),
]  # fmt: skip


def _codes(path: Path) -> set[str]:
    """Return what ruff and bandit, as the project sets them up, find in a file."""
    told = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "concise",
         "--config", str(ROOT / "pyproject.toml"), str(path)],
        capture_output=True, text=True, check=False,
    ).stdout  # fmt: skip
    if not re.search(r"\b(S|TID)\d+", told):
        told += subprocess.run(
            [sys.executable, "-m", "bandit", "-q", "-c", str(ROOT / "pyproject.toml"), str(path)],
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip
    return set(re.findall(r"\b(?:S|B|TID)\d{3}\b", told))


@pytest.mark.parametrize(
    ("text", "rules"), FORBIDDEN, ids=lambda x: x if isinstance(x, str) else ""
)
def test_lint_finds_what_is_forbidden(tmp_path: Path, text: str, rules: set[str]) -> None:
    """Written into a module, each of these stops `make check`."""
    path = tmp_path / "module.py"
    path.write_text(HEAD + text)
    assert rules & _codes(path), _codes(path)


def test_lint_lets_plain_code_pass(tmp_path: Path) -> None:
    """The test above fails for the rule's sake, not for anything at all."""
    path = tmp_path / "module.py"
    path.write_text(HEAD + 'import json\n\nA = json.loads("1")\n')
    assert _codes(path) == set()


def test_no_line_of_ours_is_let_off() -> None:
    """No suppression of these rules stands in the source; the configuration skips none of them."""
    banned = r"S102|S30[12]|S307|S506|S60[2-9]|S70[1-4]|TID251"
    for path in sorted((ROOT / "src").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        assert "nosec" not in text, path
        assert not re.search(rf"noqa:[^\n]*(?:{banned})", text), path
        assert not re.search(r"#\s*(?:noqa\s*$|ruff:\s*noqa)", text, re.M), path
    import tomllib

    set_up = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    assert set(set_up["bandit"]["skips"]) == {"B105", "B107", "B305", "B404", "B603"}
    assert set_up["ruff"]["lint"]["ignore"] == ["S603"]
    assert {"S", "TID251"} <= set(set_up["ruff"]["lint"]["select"])
    assert not any(name.startswith("src") for name in set_up["ruff"]["lint"]["per-file-ignores"])


def test_the_source_is_clean_under_both() -> None:
    """Neither finds any of it in the source."""
    for words in (
        ["ruff", "check", "--no-cache", "src"],
        ["bandit", "-q", "-r", "src", "-c", "pyproject.toml"],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:]
