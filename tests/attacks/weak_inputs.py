"""Code that takes inputs as it is often written: the weak side of family G. Small and honest."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import os
import traceback
from pathlib import Path
from typing import Any

import yaml


def save_export(folder: Path, name: str, text: str) -> Path:
    """Write an export under the name that its user chose."""
    path = folder / name
    path.write_text(text)
    return path


def read_document(text: str) -> Any:
    """Read YAML without limits."""
    return yaml.safe_load(text)


def inflated(value: Any) -> int:
    """Return how large a document gets when it is written out."""
    return len(json.dumps(value))


def failing_job(row: dict[str, Any], password: str) -> str:
    """Work on a row; log what went wrong, with everything that may help."""
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logger = logging.getLogger("weak")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        try:
            int(row["rent"])
        except ValueError:
            logger.exception("row %s failed for %s", row, password)
    finally:
        logger.removeHandler(handler)
    return log.getvalue()


def locals_of_failure(password: str) -> str:
    """Return a traceback with locals, as crash reporters make it."""
    key = f"key-of-{password}"
    try:
        raise ValueError(len(key))
    except ValueError as error:
        return "".join(
            traceback.TracebackException.from_exception(error, capture_locals=True).format()
        )


def read_key(path: Path) -> bytes:
    """Read a private key, whoever else can."""
    return path.read_bytes()


def count_where(engine: Any, column: str, value: str) -> Any:
    """Ask with SQL made of its parts."""
    return engine.execute(f"SELECT count(*) FROM register WHERE {column} = '{value}'").fetchone()[0]


def fill_in(template: str, **about: Any) -> str:
    """Fill a rule's text in with what is known."""
    return template.format(**about)


def log_line(name: str) -> str:
    """Return what a log holds after somebody of this name asked."""
    return f"2026-11-23T10:00:00Z INFO asked by {name}\n"


@contextlib.contextmanager
def umask_of_everybody() -> Any:
    """Create files as a careless account does."""
    before = os.umask(0)
    try:
        yield
    finally:
        os.umask(before)
