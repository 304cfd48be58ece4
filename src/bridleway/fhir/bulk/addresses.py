"""Which addresses of the web may be used: https, or this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import SplitResult, urlsplit

from bridleway.errors import UsageError


def checked(address: str, what: str, *, insecure: bool = False) -> str:
    """Return an address that is https or names this machine. Raises UsageError naming what it is.

    Names, passwords and fragments in it are refused, and http elsewhere unless insecure is said.
    """
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        parts = SplitResult("", "", "", "", "")
    plain = "".join(address.split()) == address and address.isprintable() and address.isascii()
    if parts.scheme not in ("http", "https") or not parts.hostname or not plain:
        raise UsageError(f"The address of {what} is no http address.", "Write https://…")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise UsageError(
            f"The address of {what} holds a name, a password or a fragment.", "Leave it out."
        )
    if parts.scheme == "http" and not insecure and not is_here(parts.hostname):
        raise UsageError(f"The address of {what} is not encrypted.", "Use https.")
    return address


def is_here(host: str) -> bool:
    """Tell whether a host is this machine: localhost, or a loopback address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin(address: str) -> tuple[str, str, int]:
    """Return scheme, host and port of an address (RFC 6454)."""
    parts = urlsplit(address)
    return (
        parts.scheme,
        parts.hostname or "",
        parts.port or (443 if parts.scheme == "https" else 80),
    )
