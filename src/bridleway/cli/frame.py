"""What every command shares: errors to exit codes, JSON or text, passwords, the workspace.

Imports only the standard library and Typer at start, so that `--help` is quick.
"""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

from bridleway.errors import BridlewayError, Fault, UsageError, plain

if TYPE_CHECKING:
    from bridleway.node.workspace import Workspace

F = TypeVar("F", bound=Callable[..., Any])

FROM_ENVIRONMENT = "BRIDLEWAY_PASSWORD"
_KEY_BYTES = 32

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON with a stable shape.")]
WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace", "-w", envvar="BRIDLEWAY_WORKSPACE", help="The workspace's folder.",
        show_default="this folder",
    ),
]  # fmt: skip
AsOption = Annotated[str, typer.Option("--as", help="The person: NODE/NAME.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(
        "--password-file",
        help=f"File with the person's password; else ${FROM_ENVIRONMENT}, else you are asked.",
    ),
]


def fail(
    error: BridlewayError,
    as_json: bool,
    more: Mapping[str, Any] | None = None,
    aside: Sequence[str] = (),
) -> NoReturn:
    """Print an error as one sentence, place and remedy, and end with its exit code.

    more: what else stands in the JSON. aside: what else people read, in lines below the remedy.
    """
    if as_json:
        print(json_text({**(more or {}), **error.to_json()}))
    else:
        place = f" ({error.where})" if error.where else ""
        print(f"{error.kind}: {plain(error.sentence + place)}", file=sys.stderr)
        for line in filter(None, [error.remedy, *aside]):
            print(f"  {plain(line)}", file=sys.stderr)
    raise typer.Exit(error.exit_code)


def quoted(text: str) -> list[str]:
    """Return somebody else's text as rows that are marked as a quotation.

    On a terminal no row is broken by it: what follows a break would stand where ours begins.
    """
    text = plain(text)
    if not sys.stderr.isatty():
        return [f"| {text}"]
    from shutil import get_terminal_size

    from rich.cells import chop_cells

    return [f"| {row}" for row in chop_cells(text, max(20, get_terminal_size().columns - 5))]


def guarded(function: F) -> F:
    """Wrap a command: no traceback reaches a user, and every error has its exit code."""

    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        as_json = bool(kwargs.get("as_json"))
        try:
            return function(*args, **kwargs)
        except BridlewayError as error:
            fail(error, as_json)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(0) from None
        except (typer.Exit, typer.Abort, KeyboardInterrupt):
            raise
        except OSError as error:
            told = f" ({error.strerror})" if error.strerror else ""
            fail(Fault(f"A file or folder cannot be read or written{told}.",
                       "Check its name, permissions and space.",
                       where=Path(str(error.filename or "")).name), as_json)  # fmt: skip
        except Exception as error:  # nothing about the data may be shown, so nothing is
            if os.environ.get("BRIDLEWAY_DEBUG") == "1":
                from bridleway.node.shield import places

                print(*map(plain, places(error)), sep="\n", file=sys.stderr)
            fail(
                Fault(
                    f"Something of ours failed ({type(error).__name__}).",
                    "Set BRIDLEWAY_DEBUG=1 to see where, and report it.",
                ),
                as_json,
            )

    return wrapped  # type: ignore[return-value]


def json_text(data: Any) -> str:
    """Return one line of JSON whose characters cannot steer a terminal."""
    text = json.dumps(data, ensure_ascii=False, default=str)
    # Outside strings JSON is ASCII, so whatever is escaped here stands in a string.
    return text if text.isprintable() else "".join(
        json.dumps(c)[1:-1] if plain(c) != c else c for c in text
    )  # fmt: skip


def show(data: Mapping[str, Any], as_json: bool, text: Callable[[], None]) -> None:
    """Print JSON, or call the function that prints for people."""
    if as_json:
        print(json_text(data))
    else:
        text()


def say(*lines: str) -> None:
    """Print plain lines: no name in them can steer the terminal or begin another line."""
    for line in lines:
        print(plain(line))


def table(columns: list[str], rows: list[list[str]], title: str = "") -> None:
    """Print a table; numbers stand right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    made = Table(title=Text(plain(title)) if title else None, title_justify="left")
    for index, column in enumerate(columns):
        numeric = any(row[index].replace(".", "").isdigit() for row in rows)
        made.add_column(Text(plain(column)), justify="right" if numeric else "left")
    for row in rows:
        made.add_row(*(Text(_cell(c), style="dim" if c == "withheld" else "") for c in row))
    Console().print(made)


def _cell(text: str) -> str:
    """A cell may have several lines of its own; they stay inside it."""
    return "\n".join(map(plain, text.split("\n")))


def password_for(person: str, file: Path | None, *, new: bool = False) -> str:
    """Return a person's password from the file, the environment or the terminal.

    new: it is being chosen, so the terminal asks for it twice.
    """
    if file is not None:
        try:
            return file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                "The password file cannot be read.", "Check it.", where=str(file)
            ) from None
    given = os.environ.get(FROM_ENVIRONMENT)
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise UsageError(
            f"The password of {person} is needed.",
            f"Set {FROM_ENVIRONMENT} or use --password-file.",
        )
    return str(typer.prompt(f"Password of {person}", hide_input=True, confirmation_prompt=new))


def secret_in(file: Path) -> bytes:
    """Return the secret of a project from its file: 32 bytes or more, blanks around it dropped."""
    try:
        found = file.read_bytes().strip()
    except OSError as error:
        raise UsageError(
            f"The key file cannot be read ({error.strerror}).",
            "Name a file that is there.",
            where=file.name,
        ) from None
    if len(found) < _KEY_BYTES:
        raise UsageError(
            f"The key file holds fewer than {_KEY_BYTES} bytes.",
            "Make one: head -c 32 /dev/urandom | base64 > project.key",
            where=file.name,
        )
    return found


@contextmanager
def at(folder: Path) -> Iterator[Workspace]:
    """Open the workspace for one command."""
    from bridleway.node.workspace import opened

    with opened(folder) as workspace:
        yield workspace


@contextmanager
def working(what: str, as_json: bool) -> Iterator[None]:
    """Show a spinner on long work, on a terminal only."""
    if as_json or not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield
