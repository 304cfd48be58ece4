"""Writes plain data as YAML that people like to read and `bridleway.documents` reads back."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping
from typing import Any

from bridleway.documents import PathKey

_PLAIN = re.compile(r"[A-Za-z](?:[A-Za-z0-9 _./()-]*[A-Za-z0-9.)])?|[A-Za-z-]+:[A-Za-z0-9-]+")
_PLAIN_LINE = re.compile(r"[A-Za-z][A-Za-z0-9 _./(),;'%=<>*-]*[A-Za-z0-9.)]")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_READ_DIFFERENTLY = {"yes", "no", "on", "off", "y", "n", "true", "false", "null"}
_WIDTH = 96


def to_yaml(body: Mapping[str, Any], comments: Mapping[PathKey, list[str]] | None = None) -> str:
    """Return YAML of texts, whole numbers, true/false, null, lists and records.

    comments: path of a record's key -> comment lines to stand above it, without '#'.
    `read_yaml(to_yaml(body)).value == body` holds.
    """
    lines = _record(body, (), 0, comments or {})
    return "\n".join(lines) + "\n"


def _record(
    body: Mapping[str, Any], path: PathKey, indent: int, comments: Mapping[PathKey, list[str]]
) -> list[str]:
    lines: list[str] = []
    space = " " * indent
    for key, value in body.items():
        here = (*path, key)
        for comment in comments.get(here, ()):
            lines.append(f"{space}# {comment}".rstrip() if comment else "")
        lines += _entry(f"{space}{_scalar(key)}:", value, here, indent + 2, comments)
    return lines


def _entry(
    head: str, value: Any, path: PathKey, indent: int, comments: Mapping[PathKey, list[str]]
) -> list[str]:
    """Return the lines of `head value`, with what does not fit indented below."""
    one_line = None if any(p[: len(path)] == path != p for p in comments) else _line(value)
    if one_line is not None and len(head) + len(one_line) < _WIDTH:
        return [f"{head} {one_line}"]
    if isinstance(value, str):
        return _long_text(head, value, indent)
    if isinstance(value, Mapping):
        return [head, *_record(value, path, indent, comments)] if value else [f"{head} {{}}"]
    if isinstance(value, list | tuple):
        return [head, *_items(value, path, indent, comments)] if value else [f"{head} []"]
    return [f"{head} {_scalar(value)}"]


def _items(
    items: list[Any] | tuple[Any, ...], path: PathKey, indent: int,
    comments: Mapping[PathKey, list[str]],
) -> list[str]:  # fmt: skip
    lines: list[str] = []
    space = " " * indent
    for number, item in enumerate(items):
        one_line = _line(item)
        if one_line is not None and indent + len(one_line) + 2 < _WIDTH:
            lines.append(f"{space}- {one_line}")
        elif isinstance(item, str):
            lines += _long_text(f"{space}-", item, indent + 2)
        elif isinstance(item, Mapping):
            inner = _record(item, (*path, number), indent + 2, comments)
            inner[0] = f"{space}- {inner[0].lstrip()}"
            lines += inner
        else:
            lines.append(f"{space}-")
            lines += _items(item, (*path, number), indent + 2, comments)
    return lines


def _line(value: Any) -> str | None:
    """Return what may stand alone on a line, where commas need no quotation marks."""
    if isinstance(value, str) and _PLAIN_LINE.fullmatch(value) and "  " not in value:
        return value if len(value) <= _WIDTH and not _trap(value) else _flow(value)
    return _flow(value)


def _flow(value: Any) -> str | None:
    """Return a value on one line, or None where it needs more."""
    if isinstance(value, str) and ("\n" in value or len(value) > _WIDTH):
        return None
    if isinstance(value, list | tuple):
        parts = [_flow(item) for item in value]
        nested = any(isinstance(item, Mapping | list) for item in value)
        return None if nested or None in parts else f"[{', '.join(p or '' for p in parts)}]"
    if isinstance(value, Mapping):
        if any(isinstance(item, Mapping) for item in value.values()) or not value:
            return None if value else "{}"
        pairs = [(key, _flow(item)) for key, item in value.items()]
        if any(text is None for _, text in pairs):
            return None
        return "{" + ", ".join(f"{_scalar(key)}: {text}" for key, text in pairs) + "}"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return str(value)
    plain = _PLAIN.fullmatch(value) or _DATE.fullmatch(value)
    if plain and not _trap(value) and "  " not in value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _trap(text: str) -> bool:
    return text.lower() in _READ_DIFFERENTLY


def _long_text(head: str, text: str, indent: int) -> list[str]:
    space = " " * indent
    clean = text.isprintable() and text == " ".join(text.split()) and text
    if clean:
        wrapped = textwrap.wrap(
            text, _WIDTH - indent, break_long_words=False, break_on_hyphens=False
        )
        return [f"{head} >-", *(f"{space}{line}" for line in wrapped)]
    lines = text.split("\n")
    tidy = all(line == line.strip() and line.isprintable() for line in lines)
    if len(lines) > 1 and tidy and lines[0] and lines[-1]:
        return [f"{head} |-", *(f"{space}{line}".rstrip() for line in lines)]
    return [f"{head} {json.dumps(text, ensure_ascii=False)}"]
