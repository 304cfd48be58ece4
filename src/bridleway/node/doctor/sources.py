"""Sources: passwords in stored URLs, and secrets that URLs name and no store has."""

from __future__ import annotations

import json
from collections.abc import Iterator

from bridleway.errors import BridlewayError
from bridleway.node.doctor import Finding, Place
from bridleway.node.secret_urls import holds_password, names_in


def urls(place: Place) -> Iterator[tuple[str, str, str]]:
    """Yield (node, source, URL as stored) of every source whose file can be read."""
    for node, folder in place.nodes.items():
        for path in sorted((folder / "sources").glob("*/source.json")):
            try:
                yield node, path.parent.name, str(json.loads(path.read_text("utf-8"))["url"])
            except (OSError, ValueError, KeyError, TypeError):
                continue


def examine(place: Place) -> Iterator[Finding]:
    """Look at every stored URL."""
    for node, source, url in urls(place):
        where = f"{node}.{source}"
        if holds_password(url):
            yield Finding(
                "error",
                where,
                "Its stored URL has a password written out.",
                f"Run: bridleway secret set {node} {source}-password; remove the source's folder "
                f"and add it again with ${{secret:{source}-password}}; change the password.",
                fixed=True,
            )
        for name in names_in(url):
            if not _is_stored(place, node, name):
                yield Finding(
                    "error",
                    where,
                    f"Its URL needs the secret '{name}', which the store does not have.",
                    f"Run: bridleway secret set {node} {name}.",
                    fixed=True,
                )


def _is_stored(place: Place, node: str, name: str) -> bool:
    if isinstance(place.workspace, BridlewayError) or node not in place.workspace.nodes:
        return True  # told elsewhere
    try:
        return name in place.workspace.nodes[node].keyring.contents().secrets
    except BridlewayError:
        return True
