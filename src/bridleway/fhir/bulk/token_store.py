"""Access tokens, hashed, and used assertion ids, on disk: a restart forgets neither."""

from __future__ import annotations

import hashlib
import sqlite3
from pathlib import Path
from threading import Lock
from typing import Final

_TABLES: Final = """
create table if not exists used (id blob primary key, until real not null) without rowid;
create table if not exists tokens (
  digest blob primary key, client text not null, scope text not null, until real not null
) without rowid;
"""


class TokenStore:
    """One file, for one server. Times are seconds since 1970."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.chmod(0o600)
        self._lock = Lock()
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._file.execute("pragma synchronous = full")
        self._file.execute("pragma busy_timeout = 5000")
        self._file.executescript(_TABLES)

    def use(self, client: str, assertion: str, until: float) -> bool:
        """Note that a client has used an assertion's id; False if it had been used before."""
        with self._lock:
            done = self._file.execute(
                "insert or ignore into used values (?, ?)", (_digest(client, assertion), until)
            )
            return done.rowcount == 1

    def keep(self, token: str, client: str, scope: str, until: float) -> None:
        """Remember a token's hash, whose it is, what it may read, and how long."""
        with self._lock:
            self._file.execute(
                "insert into tokens values (?, ?, ?, ?)", (_digest(token), client, scope, until)
            )

    def find(self, token: str, now: float) -> tuple[str, str] | None:
        """Return a valid token's client and scope; None for any other."""
        with self._lock:
            found = self._file.execute(
                "select client, scope from tokens where digest = ? and until > ?",
                (_digest(token), now),
            ).fetchone()
        return (found[0], found[1]) if found else None

    def purge(self, now: float) -> None:
        """Forget what is over."""
        with self._lock:
            self._file.execute("delete from used where until <= ?", (now,))
            self._file.execute("delete from tokens where until <= ?", (now,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._file.close()


def _digest(*parts: str) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass")
        whole.update(len(data).to_bytes(8, "big") + data)
    return whole.digest()
