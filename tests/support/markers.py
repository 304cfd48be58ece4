"""Random markers to plant, and a search that finds them in whatever clothes they come."""

from __future__ import annotations

import base64
import random
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote


@dataclass
class Markers:
    """Markers by kind. Each is one word that nothing else holds."""

    names: list[str]
    ids: list[str]
    texts: list[str]
    secrets: list[str]
    passwords: list[str]
    keys: list[str] = field(default_factory=list)

    def all(self) -> list[str]:
        return [*self.names, *self.ids, *self.texts, *self.secrets, *self.passwords, *self.keys]


def plant(count: int, seed: int) -> Markers:
    """Draw markers; private keys (those that the workspace makes itself) come on top."""
    draw = random.Random(seed)

    def some(share: float, head: str) -> list[str]:
        letters = string.ascii_letters + string.digits
        return [
            head + "".join(draw.choices(letters, k=15)) for _ in range(max(5, int(count * share)))
        ]

    return Markers(
        some(0.25, "Nam"), some(0.25, "Idd"), some(0.25, "Txt"), some(0.15, "Sec"), some(0.1, "Pas")
    )


class Search:
    """Finds markers in bytes: plain, other case, hex, base64, URL-quoted, UTF-16."""

    def __init__(self, markers: Iterable[str]) -> None:
        # Every form is found by an inner part that does not hang on what stands around it.
        self._forms: dict[bytes, str] = {}
        for marker in markers:
            for form in forms(marker):
                self._forms[form] = marker
        self._heads: dict[bytes, list[bytes]] = {}
        for form in self._forms:
            self._heads.setdefault(form[:6], []).append(form)

    def hits(self, data: bytes) -> set[str]:
        """Return the markers that stand in the data."""
        found = set()
        for head, known in self._heads.items():
            start = data.find(head)
            while start >= 0:
                found |= {self._forms[f] for f in known if data.startswith(f, start)}
                start = data.find(head, start + 1)
        return found

    def among(self, things: Mapping[str, bytes]) -> dict[str, set[str]]:
        """Return place -> markers, for the places that hold any."""
        return {place: hits for place, data in things.items() if (hits := self.hits(data))}


def forms(marker: str) -> set[bytes]:
    """Return the byte strings by which a marker shows, in each way it may be written."""
    raw = marker.encode()
    made = {raw, raw.lower(), raw.upper(), raw.hex().encode(), marker.encode("utf-16-le")}
    made.add(quote(marker, safe="").encode())
    for shift in range(3):
        # The first and last characters of base64 depend on the neighbours: leave them out.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            made.add(encode(b"\x00" * shift + raw).rstrip(b"=")[4:-2])
    return made
