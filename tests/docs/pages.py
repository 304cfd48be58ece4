"""Reads the pages' examples.

`<!-- start: walk-through -->` on a page: it goes on where the README's walk-through ends, in the
folder `trial`. `<!-- run -->` or `<!-- run exit=3 -->` above a `sh` or `python` block: it is run.
`<!-- output -->` above a block: its lines, in this order, are among what the last run printed;
`[...]` stands for lines left out.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
_BLOCK = re.compile(
    r"<!-- (?P<kind>run|output)(?: exit=(?P<exit>\d))? -->\n```(?P<language>\w*)\n(?P<text>.*?)\n```",
    re.DOTALL,
)
CONTINUES = "<!-- start: walk-through -->"


@dataclass(frozen=True)
class Example:
    """One block to run, the exit code it ends with, and the lines it prints."""

    language: str
    text: str
    exit_code: int
    output: tuple[str, ...]


def pages() -> list[Path]:
    """Return every page that a reader may open."""
    top = [ROOT / f"{name}.md" for name in ("README", "GLOSSARY", "SECURITY", "CHANGELOG")]
    return [*top, *sorted((ROOT / "docs").rglob("*.md"))]


def examples(page: Path) -> list[Example]:
    """Return a page's examples in order."""
    made: list[Example] = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        if block["kind"] == "run":
            made.append(Example(block["language"], block["text"], int(block["exit"] or 0), ()))
        else:
            last = made.pop()
            made.append(
                Example(last.language, last.text, last.exit_code, tuple(shown(block["text"])))
            )
    return made


def shown(text: str) -> Iterator[str]:
    """Yield the lines that a page shows, without those that stand for others."""
    for line in text.split("\n"):
        if line.strip() and line.strip() != "[...]":
            yield line.strip()


def require_in_order(lines: tuple[str, ...], printed: str) -> None:
    """Assert that every line stands in what was printed, in this order."""
    waiting = iter(_comparable(line) for line in printed.split("\n"))
    for line in lines:
        assert _comparable(line) in waiting, (
            f"not printed (in this order): {line}\n--- printed:\n{printed}"
        )


def _comparable(line: str) -> str:
    """Return a line without what differs from day to day, or with every edit of a template."""
    words = re.sub(r"\b(line|entry) \d+", r"\1 N", line.strip())
    return re.sub(r"\b20\d\d-\d\d-\d\d\b", "DAY", words)


class Shell:
    """A reader's shell: folder and exported variables last from one block to the next."""

    def __init__(self, folder: Path, state: Path, commands: Path | None = None) -> None:
        self.folder = folder
        self.state = state
        self.path = f"{commands}:" if commands else ""
        self.state.mkdir(exist_ok=True)

    def run(self, example: Example) -> None:
        """Run one block and assert exit code and output."""
        text = example.text
        if example.language == "python":
            script = self.state / "example.py"
            script.write_text(text, encoding="utf-8")
            text = f"python {script}"
        variables, where = self.state / "variables", self.state / "where"
        program = "\n".join(
            (
                "set -e",
                f"kept=$PATH; [ -f {variables} ] && . {variables}; PATH=$kept",
                f"trap 'export -p > {variables}; pwd > {where}' EXIT",
                text,
            )
        )
        here = where.read_text().strip() if where.exists() else str(self.folder)
        done = subprocess.run(
            ["bash", "-c", program],
            cwd=here,
            env={
                "PATH": f"{self.path}{Path(sys.executable).parent}:/usr/bin:/bin",
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        printed = done.stdout + done.stderr
        assert done.returncode == example.exit_code, f"{example.text}\n--- printed:\n{printed}"
        require_in_order(example.output, printed)
