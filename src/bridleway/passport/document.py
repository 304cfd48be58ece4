"""A passport's text as plain data: reading it, walking it, and the model of its fields.

The field list (`model_fields`) is data: `references/data/passport_model.yaml`. Accessors here
never raise on a misshapen body: they return what is there in the right shape, and nothing else.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any

from bridleway import references
from bridleway.documents import Document, PathKey, read_yaml, read_yaml_file
from bridleway.errors import UsageError

_PLACEHOLDER = re.compile(
    r"\b(?:todo|tbc|tbd|fixme)\b|^(?:\W*|x{2,}|n/?a|none yet|same as above|lorem ipsum.*"
    r"|to be (?:confirmed|completed|decided|written)\.?)$",
    re.IGNORECASE,
)
_STEP = re.compile(r"([^.\[\]]+)|\[([0-9]+)\]")


@dataclass(frozen=True, slots=True)
class ModelField:
    """One field of the passport model.

    id: its path, with `[]` for lists; need: when it is needed, in the model's words; covers: ids
    of the questions of other forms that it answers; enforced: what the software checks at a run.
    """

    id: str
    label: str
    kind: str
    need: str
    values_from: str
    covers: tuple[str, ...]
    enforced: str


@cache
def model_fields() -> Mapping[str, ModelField]:
    """Return the model's fields by id, in writing order."""
    made = {}
    for row in references.load("passport_model").data["fields"]:
        made[row["id"]] = ModelField(
            id=row["id"],
            label=row["label"],
            kind=row["kind"],
            need=row["need"],
            values_from=row.get("values_from", ""),
            covers=tuple(row.get("covers") or ()),
            enforced=row.get("enforced_at_run", ""),
        )
    return MappingProxyType(made)


def read_file(path: str | os.PathLike[str]) -> Document:
    """Read a passport file. Raises UsageError with file, line and remedy."""
    return _a_mapping(read_yaml_file(path))


def read_passport(text: str, name: str = "passport.yaml") -> Document:
    """Read a passport's YAML text. Raises UsageError with line and remedy."""
    return _a_mapping(read_yaml(text, name))


def _a_mapping(document: Document) -> Document:
    if not isinstance(document.value, dict):
        raise UsageError(
            "A passport is a list of `field: value` lines.",
            "Start from `bridleway passport new`.",
            where=document.name,
        )
    return document


def is_placeholder(text: str) -> bool:
    """Tell whether a text is empty or says that it is still to be written."""
    return _PLACEHOLDER.search(text.strip()) is not None


def path_text(path: PathKey) -> str:
    """Return `risks.sharing[0].who` for a path."""
    made = ""
    for step in path:
        made += f"[{step}]" if isinstance(step, int) else f".{step}" if made else str(step)
    return made


def path_key(text: str) -> PathKey:
    """Return the path of `risks.sharing[0].who`; the inverse of `path_text`."""
    return tuple(int(m[2]) if m[2] is not None else m[1] for m in _STEP.finditer(text))


def at(body: Any, *path: str | int) -> Any:
    """Return the value at a path, or None where there is none."""
    for step in path:
        if isinstance(step, str):
            if not isinstance(body, Mapping) or step not in body:
                return None
            body = body[step]
        else:
            if not isinstance(body, list | tuple) or not 0 <= step < len(body):
                return None
            body = body[step]
    return body


def text_at(body: Any, *path: str | int) -> str:
    """Return the text at a path, or an empty string."""
    found = at(body, *path)
    return found.strip() if isinstance(found, str) else ""


def texts_at(body: Any, *path: str | int) -> list[str]:
    """Return the texts of the list at a path."""
    found = at(body, *path)
    return [t for t in found if isinstance(t, str)] if isinstance(found, list | tuple) else []


def map_at(body: Any, *path: str | int) -> Mapping[str, Any]:
    """Return the record at a path, or an empty one."""
    found = at(body, *path)
    return found if isinstance(found, Mapping) else MappingProxyType({})


def records_at(body: Any, *path: str | int) -> list[tuple[int, Mapping[str, Any]]]:
    """Return (index, record) of the list at a path."""
    found = at(body, *path)
    if not isinstance(found, list | tuple):
        return []
    return [(n, item) for n, item in enumerate(found) if isinstance(item, Mapping)]


def walk_texts(value: Any, path: PathKey = ()) -> Iterator[tuple[PathKey, str]]:
    """Yield (path, text) of every text in a body, in order."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from walk_texts(item, (*path, key))
    elif isinstance(value, list | tuple):
        for n, item in enumerate(value):
            yield from walk_texts(item, (*path, n))


def sources_of(body: Any) -> dict[str, int]:
    """Return source id -> its index in `data.sources`."""
    return {text_at(s, "id"): n for n, s in records_at(body, "data", "sources") if text_at(s, "id")}


def controllers_of(body: Any) -> dict[str, list[str]]:
    """Return controller id -> the source ids it controls."""
    return {
        text_at(c, "id"): texts_at(c, "sources")
        for _, c in records_at(body, "parties", "controllers")
        if text_at(c, "id")
    }


def bindings_of(body: Any) -> dict[str, list[str]]:
    """Return the passport's table name -> the `node.source.table` places it stands for."""
    return {name: texts_at(bound, "at") for name, bound in map_at(body, "data", "tables").items()}


def source_of(place: str) -> str:
    """Return `node.source` of `node.source.table` (or of a shorter place)."""
    return ".".join(place.split(".")[:2])


def node_of(reference: str) -> str:
    """Return the node of `node.source`, `node.source.table` or `node/person`."""
    return re.split(r"[./]", reference, maxsplit=1)[0]


def techniques_of(body: Any) -> dict[str, str]:
    """Return question id -> the technique asked for."""
    return {
        name: text_at(said, "use")
        for name, said in map_at(body, "technique").items()
        if isinstance(said, Mapping) and text_at(said, "use")
    }


def flows_of(body: Any) -> list[tuple[str, str]]:
    """Return every (controller, recipient) pair that the passport makes; no one sends to itself."""
    recipients = texts_at(body, "outputs", "recipients")
    return [
        (controller, recipient)
        for controller, sources in controllers_of(body).items()
        if sources
        for recipient in dict.fromkeys(recipients)
        if recipient != controller
    ]
