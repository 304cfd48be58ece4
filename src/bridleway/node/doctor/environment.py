"""Environment variables: every child inherits them and /proc shows them to the same user."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping

from bridleway.node.doctor import Finding, Place
from bridleway.node.doctor import sources as stored
from bridleway.node.secret_urls import variables_in

_OPENS = re.compile(r"(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY|PRIVATE_?KEY)$", re.I)


def examine(place: Place, environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """Tell which variables look like secrets, by their names."""
    known = os.environ if environment is None else environment
    used: dict[str, str] = {}
    for node, source, url in stored.urls(place):
        for name in variables_in(url):
            used[name] = f"{node}.{source}"
    for name, where in sorted(used.items()):
        node, _, source = where.partition(".")
        yield Finding(
            "note",
            where,
            f"Its URL takes ${{{name}}} from the environment.",
            f"Better: bridleway secret set {node} {source}-password, and add the source anew "
            f"with ${{secret:{source}-password}}.",
        )
    for name in sorted(known):
        if _OPENS.search(name) and name not in used:
            yield Finding(
                "warning" if name == "BRIDLEWAY_PASSWORD" else "note",
                f"environment variable {name}",
                "It looks like a secret; every process started from here inherits it.",
                "unset it; use --password-file (0600) or be asked, and bridleway secret set.",
            )
