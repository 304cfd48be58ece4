"""Strict YAML with places: every value knows its line, and nothing is guessed.

Refused, with line and remedy: duplicate keys, anchors and aliases, tags, several documents,
words such as `yes` that YAML 1.1 turns into booleans, numbers written in odd ways, control,
bidirectional or zero-width characters, more than MAX_BYTES or MAX_DEPTH.
Dates stay text (`2026-11-23`); decimals become Decimal.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeAlias

from bridleway.errors import UsageError

MAX_BYTES = 400_000
MAX_DEPTH = 24

PathKey: TypeAlias = tuple[str | int, ...]

_HIDDEN = ("Cc", "Cf", "Co", "Cs")
_TRAPS = {"yes", "no", "on", "off", "y", "n"}
_INTEGER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_ODD_NUMBER = re.compile(
    r"[-+]?(?:0[xob][0-9a-f_]+|[0-9][0-9_]*(?:\.[0-9_]*)?(?:e[-+]?[0-9]+)?|\.inf|\.nan)", re.I
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data and, for each path in it, the line it stands on."""

    name: str
    value: Any
    lines: Mapping[PathKey, int] = field(default_factory=dict)

    def where(self, *path: str | int) -> str:
        """Return `file, line n` of a path, or of its nearest parent that has one."""
        for end in range(len(path), -1, -1):
            line = self.lines.get(tuple(path[:end]))
            if line is not None:
                return f"{self.name}, line {line}"
        return self.name


def read_text(path: str | os.PathLike[str]) -> str:
    """Return a UTF-8 text file's content. Raises UsageError where it cannot be read."""
    target = Path(path)
    try:
        if target.stat().st_size > MAX_BYTES:
            raise UsageError(
                "The file is too large.", f"Keep it under {MAX_BYTES:,} bytes.", where=str(path)
            )
        return target.read_bytes().decode("utf-8")
    except FileNotFoundError:
        raise UsageError("There is no such file.", "Check the name.", where=str(path)) from None
    except IsADirectoryError:
        raise UsageError("This is a folder.", "Name a file.", where=str(path)) from None
    except UnicodeDecodeError:
        raise UsageError(
            "The file is not UTF-8 text.", "Save it as UTF-8.", where=str(path)
        ) from None
    except OSError as error:
        raise UsageError(
            f"The file cannot be read ({error.strerror}).",
            "Check its permissions.",
            where=str(path),
        ) from None


def read_yaml_file(path: str | os.PathLike[str]) -> Document:
    """Read one strict YAML file. Raises UsageError with file, line and remedy."""
    return read_yaml(read_text(path), Path(path).name)


def read_yaml(text: str, name: str = "document") -> Document:
    """Read strict YAML text. Raises UsageError with line and remedy."""
    import yaml

    if len(text.encode("utf-8")) > MAX_BYTES:
        raise UsageError(
            "The document is too large.", f"Keep it under {MAX_BYTES:,} bytes.", where=name
        )
    _refuse_hidden_characters(text, name)
    loader = yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader
    try:
        _refuse_aliases(yaml, text, loader, name)
        nodes = list(yaml.compose_all(text, Loader=loader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        problem = "the indentation, a colon or a quotation mark is out of place"
        raise UsageError(
            "This is not YAML.", f"Look here first: {problem}.", where=f"{name}{line}"
        ) from None
    except (yaml.YAMLError, RecursionError, ValueError):
        raise UsageError("This is not YAML.", "Check it with a YAML editor.", where=name) from None
    if len(nodes) != 1 or nodes[0] is None:
        raise UsageError(
            "The file must hold exactly one document.", "Remove the '---' lines.", where=name
        )
    lines: dict[PathKey, int] = {}
    value = _plain(yaml, nodes[0], (), lines, name)
    return Document(name, value, lines)


def _refuse_hidden_characters(text: str, name: str) -> None:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.isascii() and line.isprintable():
            continue
        for character in line.rstrip("\r"):
            if character == "\t" or unicodedata.category(character) not in _HIDDEN:
                continue
            raise UsageError(
                f"The text holds a hidden character (U+{ord(character):04X}).",
                "Delete it: a reader could not see it.",
                where=f"{name}, line {number}",
            )


def _refuse_hidden_in_value(text: str, where: str) -> None:
    """Refuse what a YAML escape such as "\\x1b" makes, which no look at the text shows."""
    if text.isprintable():
        return
    for character in text:
        if character not in "\n\t" and unicodedata.category(character) in _HIDDEN:
            raise UsageError(
                f"A value holds a hidden character (U+{ord(character):04X}).",
                "Delete the escape: a reader could not see it.",
                where=where,
            )


def _refuse_aliases(yaml: Any, text: str, loader: Any, name: str) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=loader):
        anchored = getattr(event, "anchor", None) is not None
        where = f"{name}, line {event.start_mark.line + 1}"
        if isinstance(event, yaml.AliasEvent) or anchored:
            raise UsageError("Anchors and aliases are not allowed.", "Write it out.", where=where)
        if getattr(event, "tag", None) not in (None, "!"):
            raise UsageError("Tags are not allowed.", "Write the plain value.", where=where)
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise UsageError("The document is nested too deeply.", "Flatten it.", where=where)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _plain(yaml: Any, node: Any, path: PathKey, lines: dict[PathKey, int], name: str) -> Any:
    lines[path] = node.start_mark.line + 1
    where = f"{name}, line {node.start_mark.line + 1}"
    if isinstance(node, yaml.MappingNode):
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            place = f"{name}, line {key_node.start_mark.line + 1}"
            if not isinstance(key_node, yaml.ScalarNode):
                raise UsageError("A key must be a word.", "Write `word: value`.", where=place)
            key = key_node.value
            if key in made:
                raise UsageError(f"The key '{key}' is there twice.", "Keep one.", where=place)
            if key_node.style not in ("'", '"') and key.lower() in _TRAPS:
                raise UsageError(
                    f"The key '{key}' means true or false in YAML.", "Quote it.", where=place
                )
            if (
                value_node.value == ""
                and value_node.start_mark.index == value_node.end_mark.index
                and (node.flow_style and value_node.start_mark.index == key_node.end_mark.index)
            ):
                raise UsageError(
                    f"'{key}' has no value here: a comma inside braces splits text.",
                    "Put the text in quotes.",
                    where=place,
                )
            _refuse_hidden_in_value(key, place)
            made[key] = _plain(yaml, value_node, (*path, key), lines, name)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return made
    if isinstance(node, yaml.SequenceNode):
        return [
            _plain(yaml, item, (*path, index), lines, name) for index, item in enumerate(node.value)
        ]
    text = node.value
    _refuse_hidden_in_value(text, where)
    if node.style in ("'", '"', "|", ">"):  # quoted or block: always text
        return text
    return _scalar(text, where)


def _scalar(text: str, where: str) -> Any:
    if text in ("", "~", "null"):
        return None
    if text in ("true", "false"):
        return text == "true"
    if text.lower() in _TRAPS or text.lower() in ("true", "false", "null"):
        raise UsageError(
            f"The word '{text}' is read differently by different programs.",
            "Write true, false or null, or put it in quotes.",
            where=where,
        )
    if _INTEGER.fullmatch(text):
        if len(text) > 18:
            raise UsageError("The number is too long.", "Put it in quotes.", where=where)
        return int(text)
    if _DECIMAL.fullmatch(text):
        return Decimal(text)
    if _ODD_NUMBER.fullmatch(text) and not _DATE.fullmatch(text):
        raise UsageError(
            "The number is written in a way that programs read differently.",
            "Write it plainly, or put it in quotes.",
            where=where,
        )
    return text
