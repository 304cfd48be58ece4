"""Connects a source read-only from its URL; the part that fits is found by scheme or ending.

`duckdb://PATH`, `parquet://PATH`, `csv://PATH`, `fhir://PATH` (a file or a folder), or a bare path
whose ending says which; `postgresql://USER:PASSWORD@HOST/DATABASE`; any other URL goes to
`ibis.connect`.
No error holds a URL: it may hold a password.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import ModuleType
from urllib.parse import urlsplit

from bridleway import parts
from bridleway.errors import UsageError
from bridleway.sources.source import Location, Query, Source

__all__ = ["Location", "Query", "Source", "connect", "make_ahead"]

_ENGINES = "bridleway.sources.engines"
_ANY_URL = "ibis_url"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://(.*)", re.DOTALL)


def connect(
    url: str,
    *,
    base: Path,
    name: str = "",
    threads: int | None = None,
    seconds: int | None = None,
) -> Source:
    """Open a source read-only.

    base: the folder that relative paths start from. name: what errors call the source (its
    file or host otherwise). threads: for embedded engines; the machine's count otherwise.
    seconds: how long a server may work on one query.
    Raises UsageError where the URL, the file or its content is wrong, Fault where an engine
    fails.
    """
    if not url or any(ord(character) < 32 for character in url):
        raise UsageError("The source's URL is empty or holds a control character.", "Correct it.")
    match = _SCHEME.fullmatch(url)
    scheme, rest = (match[1].lower(), match[2]) if match else ("", url)
    location = Location(
        url=url,
        scheme=scheme,
        rest=rest,
        base=Path(base),
        name=name or _safe_name(url, scheme),
        threads=threads or os.cpu_count() or 1,
        seconds=seconds,
    )
    source: Source = _part(location).open_source(location)
    return source


def make_ahead() -> None:
    """Make one embedded engine ahead, for the source of files that is opened next."""
    from bridleway.sources.engines._files import make_ahead as make

    make()


def _part(location: Location) -> ModuleType:
    engines = [parts.load(_ENGINES, name) for name in parts.names(_ENGINES)]
    if location.scheme:
        for engine in engines:
            if location.scheme in engine.SCHEMES:
                return engine
        return parts.load(_ENGINES, _ANY_URL)
    path = location.path
    if not path.exists():
        raise UsageError("There is no such file or folder.", "Check the path.", where=location.name)
    names = [path.name]
    if path.is_dir():
        try:
            names = sorted(entry.name for entry in path.iterdir())
        except OSError:
            raise UsageError(
                "The folder cannot be read.", "Check its permissions.", where=location.name
            ) from None
    found = [e for e in engines if any(n.lower().endswith(e.SUFFIXES) for n in names if e.SUFFIXES)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(
            "The folder holds files of several kinds.",
            "Say which to read: csv://FOLDER or parquet://FOLDER.",
            where=location.name,
        )
    endings = ", ".join(sorted(ending for engine in engines for ending in engine.SUFFIXES))
    raise UsageError(
        "The kind of source cannot be told from its name.",
        f"Use a file that ends in {endings}, or a URL such as postgresql://HOST/DATABASE.",
        where=location.name,
    )


def _safe_name(url: str, scheme: str) -> str:
    """Return a file name, or host and database: never user, password or options."""
    if scheme in ("", "duckdb", "csv", "parquet", "spark", "fhir"):
        return Path(url.split("://")[-1]).name or "source"
    try:
        split = urlsplit(url)
        path = split.path.partition(";")[0]  # behind it stand options, a token among them
        return f"{scheme}://{split.hostname or ''}{path}"
    except ValueError:
        return f"{scheme} source"
