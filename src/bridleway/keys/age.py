"""Files sealed with age for those who are to open them (age-encryption.org/v1).

Who sealed a file, age does not tell: what an extract is, its receipt and checksums tell.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from bridleway.errors import Fault, UsageError

SUFFIX = ".age"
_MOST = 64


def read_recipients(told: Iterable[str]) -> tuple[str, ...]:
    """Return age recipients (`age1...` or an SSH public key); a file's name stands for its lines.

    Raises UsageError for what is none.
    """
    made: list[str] = []
    for text in told:
        if text.startswith(("age1", "ssh-")):
            made.append(text.strip())
            continue
        try:
            lines = Path(text).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            raise UsageError(
                "This is no age recipient, and no file of recipients.",
                "Write age1..., an SSH public key, or the name of a file with one per line.",
                where=text[:40],
            ) from None
        made += [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    return require_recipients(made)


def require_recipients(told: Sequence[str]) -> tuple[str, ...]:
    """Return recipients as they are. Raises UsageError where one is none."""
    for text in told:
        _recipient(text)
    if len(told) > _MOST:
        raise UsageError("There are too many recipients.", f"Name at most {_MOST}.")
    return tuple(told)


def seal_file(path: Path, target: Path, recipients: Sequence[str]) -> None:
    """Write a file sealed to every recipient; raises Fault where it cannot be written."""
    import pyrage

    try:
        pyrage.encrypt_file(str(path), str(target), [_recipient(text) for text in recipients])
    except (pyrage.EncryptError, OSError):
        raise Fault("The file cannot be sealed.", "Check the folder and its space.",
                    where=path.name) from None  # fmt: skip


def _recipient(text: str) -> Any:
    import pyrage

    kind = pyrage.ssh if text.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(text)
    except pyrage.RecipientError:
        raise UsageError("This is no age recipient.", "Copy it again: age1... or ssh-ed25519 ...",
                         where=text[:20]) from None  # fmt: skip
