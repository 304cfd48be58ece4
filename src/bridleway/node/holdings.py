"""What a node holds: its sources, their catalogues and their declared data versions.

Folder of a source: `source.json` (the URL, 0600: it may name a server), `catalogue.yaml` (the
controller's), `version.json` (the declared data version).
"""

from __future__ import annotations

import json
import os
import secrets
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridleway.documents import read_yaml, read_yaml_file
from bridleway.errors import Fault, Gap, Refused, UsageError, nearest
from bridleway.model.canonical import digest_of
from bridleway.model.catalogue import Catalogue
from bridleway.model.names import require_id
from bridleway.node.secret_urls import expand, refuse_password
from bridleway.node.shield import shielded_class

if TYPE_CHECKING:
    from bridleway.sources.connect import Source


@dataclass(frozen=True, slots=True)
class DataVersion:
    """A declared data version: digest of snapshot and catalogue, when, and the snapshot's marks."""

    version: str
    at: str
    snapshot: str
    catalogue: str
    stamp: str | None


@shielded_class
class Holdings:
    """The sources of one node. Connections open on first use and are shared by one lock each."""

    def __init__(
        self,
        folder: Path,
        node: str,
        base: Path,
        secret: Callable[[str], str] | None = None,
    ) -> None:
        self.folder = folder
        self.node = node
        self.base = base
        self._secret = secret
        self._open: dict[str, Source] = {}
        self._locks: dict[str, threading.RLock] = {}
        self._guard = threading.Lock()
        self._catalogues: dict[str, tuple[tuple[int, int], Catalogue, str]] = {}
        self._stamps: dict[str, tuple[str, str | None]] = {}

    def names(self) -> tuple[str, ...]:
        """Return the names of the sources, sorted."""
        if not self.folder.is_dir():
            return ()
        return tuple(sorted(p.parent.name for p in self.folder.glob("*/source.json")))

    def _at(self, name: str) -> Path:
        require_id(name, "source name")
        if name not in self.names():
            raise UsageError(
                f"The node '{self.node}' has no source '{name}'.{nearest(name, self.names())}",
                f"Add it: bridleway source add {self.node} {name} URL.",
            )
        return self.folder / name

    def add(self, name: str, url: str) -> tuple[str, ...]:
        """Connect once to see that it works, then remember the URL. Returns the table names."""
        require_id(name, "source name")
        if name in self.names():
            raise UsageError(
                f"The node '{self.node}' already has a source '{name}'.", "Choose another name."
            )
        source = self._connected(name, url)
        try:
            tables = source.tables()
        finally:
            source.close()
        if not tables:
            raise UsageError("The source holds no table.", "Check the URL.", where=name)
        # A relative path is kept relative to the workspace's own folder, so that both can move.
        write_whole(
            self.folder / name / "source.json", json.dumps({"source": 1, "url": url}), 0o600
        )
        return tables

    def url(self, name: str) -> str:
        """Return a source's URL as it is stored, with ${...} in the place of secrets."""
        path = self._at(name) / "source.json"
        try:
            return str(json.loads(path.read_text(encoding="utf-8"))["url"])
        except (ValueError, KeyError, TypeError, OSError):
            raise UsageError(
                "The file source.json of the source cannot be read.",
                "Restore it, or remove the folder and add the source again.",
                where=f"{self.node}.{name}",
            ) from None

    def address(self, name: str) -> str:
        """Return a source's URL with every secret in its place: for whoever connects, only."""
        return self._address(name, self.url(name))

    def _address(self, name: str, url: str) -> str:
        refuse_password(url, self.node, name)
        return expand(url, secret=self._secret)

    def _connected(self, name: str, url: str) -> Source:
        from bridleway.sources.connect import connect

        return connect(self._address(name, url), base=self.base, name=f"{self.node}.{name}")

    @contextmanager
    def opened(self, name: str) -> Iterator[Source]:
        """Give the open connection, to one caller at a time."""
        with self._guard:
            lock = self._locks.setdefault(name, threading.RLock())
        with lock:
            if name not in self._open:
                self._open[name] = self._connected(name, self.url(name))
            yield self._open[name]

    def close(self) -> None:
        """Close every connection."""
        while self._open:
            self._open.popitem()[1].close()

    def hierarchy(self, name: str, file: str) -> str:
        """Return the text of a hierarchy file of a source. Raises Gap where it is not there."""
        from bridleway.extract.hierarchy_files import read_text

        folder = self._at(name) / "hierarchies"
        if file in ("", ".", "..") or Path(file).name != file or not (folder / file).is_file():
            raise Gap(
                f"The source has no hierarchy file '{file}'.",
                f"Its controller puts it into {folder.name}/ beside the source's catalogue.",
                where=f"{self.node}.{name}",
                code="hierarchy",
            )
        return read_text(folder / file)

    def catalogue_path(self, name: str) -> Path:
        """Return where the source's catalogue stands."""
        return self._at(name) / "catalogue.yaml"

    def describe(
        self, name: str, *, again: bool = False, domains: Mapping[str, Sequence[str]] | None = None
    ) -> Path:
        """Write the source's commented catalogue for a person to correct.

        domains: public domains by `COLUMN` or `TABLE.COLUMN`, where a person already knows them.
        """
        path = self.catalogue_path(name)
        if path.exists() and not again:
            raise UsageError(
                "The catalogue is already there, perhaps with corrections.",
                "Use --again to write it anew; the old one is kept as catalogue.yaml.old.",
                where=f"{self.node}.{name}",
            )
        from bridleway.sources.describe import describe, read_catalogue

        with self.opened(name) as source:
            text = describe(source, self.node, name, domains)
        read_catalogue(read_yaml(text, "catalogue.yaml"), self.node)  # a given domain may not fit
        if path.exists():
            path.replace(path.with_suffix(".yaml.old"))
        write_whole(path, text)
        return path

    def catalogue(self, name: str) -> Catalogue:
        """Read the source's catalogue. Raises Gap where there is none."""
        path = self.catalogue_path(name)
        if not path.exists():
            raise Gap(
                f"The source '{self.node}.{name}' has no catalogue.",
                f"Write one: bridleway source describe {self.node} {name}.",
            )
        from bridleway.sources.describe import read_catalogue

        seen = file_stamp(path)
        known = self._catalogues.get(name)
        if known is None or known[0] != seen:
            made = read_catalogue(read_yaml_file(path), self.node)
            known = self._catalogues[name] = (seen, made, _catalogue_digest(made))
        return known[1]

    def _declared(self, name: str) -> str:
        """Return the digest of the catalogue as it stands now."""
        self.catalogue(name)
        return self._catalogues[name][2]

    def release(self, name: str, at: str) -> DataVersion:
        """Declare a data version: check the declarations, digest the snapshot, write it down."""
        from bridleway.sources.describe import with_release_checks

        catalogue = self.catalogue(name)
        with self.opened(name) as source:
            stamp = source.quick_stamp()
            with_release_checks(source, catalogue)
            snapshot = source.fingerprint()
            if source.quick_stamp() != stamp:
                raise Fault("The source changed while it was read.", "Try again when it is quiet.")
        declared = self._declared(name)
        version = digest_of({"snapshot": snapshot, "catalogue": declared})
        made = DataVersion(version, at, snapshot, declared, stamp)
        write_whole(self._at(name) / "version.json", json.dumps({"version": 1, **_fields(made)}))
        return made

    def version_now(self, name: str) -> str:
        """Return the version that the source would have if it were declared as it is now."""
        with self.opened(name) as source:
            snapshot = source.fingerprint()
        return digest_of({"snapshot": snapshot, "catalogue": self._declared(name)})

    def version(self, name: str) -> DataVersion | None:
        """Return the declared data version, or None. Raises Gap if the catalogue changed since."""
        path = self._at(name) / "version.json"
        try:
            text = path.read_text()
        except FileNotFoundError:
            return None
        except OSError as error:  # too many open files, a failing disk: not what is declared
            raise Fault(
                f"The data version of '{self.node}.{name}' cannot be read now ({error.strerror}).",
                "Check the machine's disk and its limit on open files; then ask again.",
            ) from None
        try:
            body = json.loads(text)
            made = DataVersion(
                body["id"], body["at"], body["snapshot"], body["catalogue"], body["stamp"]
            )
        except (ValueError, KeyError, TypeError):
            raise Gap(
                f"The data version of '{self.node}.{name}' cannot be read.",
                f"Declare it anew: bridleway source release {self.node} {name}.",
            ) from None
        if made.catalogue != self._declared(name):
            raise Gap(
                f"The catalogue of '{self.node}.{name}' changed after its data version.",
                f"Declare it anew: bridleway source release {self.node} {name}.",
            )
        return made

    def require_unchanged(self, name: str, snapshot_of: Callable[[], str] | None = None) -> None:
        """Raise Refused unless the source still is the declared data version.

        snapshot_of: digests the source where its mark alone does not tell (in this process
        otherwise).
        """
        declared = self.version(name)
        with self.opened(name) as source:
            stamp = source.quick_stamp()
            if declared and stamp is not None and stamp in self.stamps(name, declared):
                return
            found = source.fingerprint() if declared and snapshot_of is None else ""
        if declared and snapshot_of is not None:
            found = snapshot_of()
        if declared and found == declared.snapshot:
            self._stamps[name] = (declared.version, stamp)
            return
        raise Refused(
            f"The data of '{self.node}.{name}' changed after its version was declared.",
            f"Its controller declares a new one: bridleway source release {self.node} {name}.",
            code="data-changed",
        )

    def stamps(self, name: str, declared: DataVersion) -> list[str]:
        """Return the marks under which the source was seen to be this data version."""
        version, stamp = self._stamps.get(name, ("", None))
        seen = [declared.stamp, stamp if version == declared.version else None]
        return [mark for mark in seen if mark is not None]


def _fields(made: DataVersion) -> dict[str, Any]:
    return {
        "id": made.version,
        "at": made.at,
        "snapshot": made.snapshot,
        "catalogue": made.catalogue,
        "stamp": made.stamp,
    }


def file_stamp(path: Path) -> tuple[int, int]:
    """Return what changes when a file is written anew. Raises UsageError if it is gone."""
    try:
        found = path.stat()
    except OSError:
        raise UsageError("The file is missing.", "Restore it.", where=path.name) from None
    return found.st_mtime_ns, found.st_size


def _catalogue_digest(catalogue: Catalogue) -> str:
    return digest_of({name: facts.to_json() for name, facts in catalogue.tables.items()})


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file whole or not at all."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise Fault(
            f"The file cannot be written ({error.strerror}).",
            "Check the folder's permissions and space.",
            where=path.name,
        ) from None
