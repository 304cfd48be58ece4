"""What a Bulk Data server is told about itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bridleway.fhir.bulk.addresses import checked

OPERATIONS: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server answers. Times are in seconds, sizes in bytes.

    `base` is the FHIR base address that clients use: every address that the server gives out starts
    with it, whatever a request's Host header says. `folder` keeps jobs. Files are kept for `keep`
    after an export has ended. A job that is polled again within `poll_every` is answered with 429;
    keep it under a second, as SMART's bulk-data-client polls each second whatever Retry-After says.
    Raises UsageError where base is neither https nor this machine.
    """

    base: str
    folder: Path
    keep: float = 24 * 3600
    retry_after: int = 2
    poll_every: float = 0.25
    workers: int = 1
    jobs_per_client: int = 2
    jobs_total: int = 8
    largest_body: int = 16 * 1024 * 1024
    organize_by: tuple[str, ...] = ()
    associated: tuple[str, ...] = ()
    software: str = "Bridleway"
    version: str = ""
    published: str = "2026-01-01"
    insecure: bool = False

    def __post_init__(self) -> None:
        checked(self.base, "the server", insecure=self.insecure)

    @property
    def root(self) -> str:
        """Return the base address without a slash at its end."""
        return self.base.rstrip("/")

    @property
    def path(self) -> str:
        """Return the path of the base address; '' for none."""
        return urlsplit(self.root).path

    @property
    def token_url(self) -> str:
        """Return where clients get access tokens."""
        return f"{self.root}/auth/token"
