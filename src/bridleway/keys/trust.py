"""The pinned trust list: which nodes there are and their public keys. All trust starts here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from bridleway.documents import read_text
from bridleway.errors import UsageError
from bridleway.keys.dsse import is_public_key
from bridleway.model.canonical import strict_json
from bridleway.model.names import require_id
from bridleway.model.passport import NodeKeys

_HEX32 = re.compile(r"[0-9a-f]{64}")


def read_trust(path: Path) -> dict[str, NodeKeys]:
    """Read a trust file. Raises UsageError that says what is wrong with it."""
    return trust_from_json(strict_json(read_text(path).encode()), path.name)


def trust_from_json(data: object, name: str = "trust file") -> dict[str, NodeKeys]:
    """Validate {"trust": 1, "nodes": {id: {name, signing_key, sealing_key}}}."""
    wrong = UsageError(
        "This is not a trust list.", "Use the `trust.json` that `bridleway init` wrote.", where=name
    )
    if (
        not isinstance(data, dict)
        or data.get("trust") != 1
        or not isinstance(data.get("nodes"), dict)
    ):
        raise wrong
    made: dict[str, NodeKeys] = {}
    for node, keys in data["nodes"].items():
        require_id(node, "node id in the trust list")
        if not isinstance(keys, dict) or set(keys) != {"name", "signing_key", "sealing_key"}:
            raise wrong
        for key in ("signing_key", "sealing_key"):
            if not isinstance(keys[key], str) or not _HEX32.fullmatch(keys[key]):
                raise wrong
        if not is_public_key(keys["signing_key"]):
            raise wrong
        made[node] = NodeKeys(node, str(keys["name"]), keys["signing_key"], keys["sealing_key"])
    if len({k.signing_key for k in made.values()}) != len(made):
        raise UsageError(
            "Two nodes of the trust list have one key.", "Pin each node's own key.", where=name
        )
    return made


def trust_text(nodes: Mapping[str, NodeKeys]) -> str:
    """Return the text of a trust file for these nodes."""
    listed = {
        n.id: {"name": n.name, "signing_key": n.signing_key, "sealing_key": n.sealing_key}
        for n in nodes.values()
    }
    return (
        json.dumps({"trust": 1, "nodes": listed}, indent=1, ensure_ascii=False, sort_keys=True)
        + "\n"
    )
