"""URLs of sources: which part of one is a password, and what stands for it instead.

`${secret:NAME}` is read from the node's sealed store and `${NAME}` from the environment, each
time the source is opened. A URL that holds a password itself is refused with the command that
stores it; no error repeats any part of the URL.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from urllib.parse import quote, unquote

from bridleway.errors import Refused, UsageError

_SECRET = re.compile(r"\$\{secret:([^{}]*)\}")
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")
_IPV6 = re.compile(r"\[[0-9A-Fa-f:.]+\]")
_HOLD = "\x00"  # stands for a placeholder while a URL is taken apart
# Options whose values open something. Names of files (sslkey, passfile) are no secrets.
_SECRET_WORDS = {
    "password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "signature",
    "credential", "credentials",
}  # fmt: skip
_SECRET_LAST_WORDS = _SECRET_WORDS | {"pass", "key", "sig", "auth", "sas"}
_SECRET_ENDINGS = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "accesskey",
    "accountkey", "privatekey", "secretkey", "sharedkey", "authkey", "credentials",
)  # fmt: skip


def names_in(url: str) -> tuple[str, ...]:
    """Return the names of the secrets that a URL refers to, in order."""
    return tuple(dict.fromkeys(_SECRET.findall(url)))


def variables_in(url: str) -> tuple[str, ...]:
    """Return the names of the environment variables that a URL refers to, in order."""
    return tuple(dict.fromkeys(_VARIABLE.findall(url)))


def holds_password(url: str) -> bool:
    """Tell whether a URL or connection text has a password, token or key written out in it."""
    return next(written_out(url), None) is not None


def written_out(url: str) -> Iterator[str]:
    """Yield each password, token or key that a URL or connection text has written out."""
    scheme, divider, rest = _PLACEHOLDER.sub(_HOLD, url).partition("://")
    if not divider:
        yield from filter(None, map(_value, re.split(r"[\s;&?#]+", scheme)))
        return
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    path = re.split(r"[?#]", rest, maxsplit=1)[0].removeprefix(authority)
    user, at, _ = authority.rpartition("@")
    if at:
        _, colon, password = user.partition(":")
        if colon and password.strip(_HOLD):
            yield password
    elif ":" in authority:
        # `user:pa/ss@host`: an unescaped character of a password ends the authority early.
        port = authority.partition(":")[2]  # with two colons it is no port: `user:a:1?b@host`
        if "@" in path or ("@" in rest and not (port.isdigit() or _IPV6.fullmatch(authority))):
            yield rest.partition(":")[2].rpartition("@")[0]
    yield from filter(None, map(_value, re.split(r"[?#;&]", rest)))


def _value(option: str) -> str:
    """Return the value of `name=value` where it is a password that is written out, else ''."""
    name, sign, value = option.partition("=")
    word = unquote(name).strip().lower()
    if not sign or not value.strip(_HOLD + " '\""):
        return ""
    parts = re.split(r"[^a-z0-9]+", word)
    if not _SECRET_WORDS.isdisjoint(parts) or parts[-1] in _SECRET_LAST_WORDS:
        return value
    return value if "".join(parts).endswith(_SECRET_ENDINGS) else ""


def refuse_password(url: str, node: str, source: str) -> None:
    """Raise Refused, with the command that stores it, if a URL has a password written out."""
    if not holds_password(url):
        return
    name = f"{source}-password"
    raise Refused(
        "The URL has a password, token or key written out in it.",
        f"Store it: bridleway secret set {node} {name}; then write ${{secret:{name}}} where it "
        "stood, and the URL in single quotes. Change it at the database as well: whatever stood "
        "on a command line or in a file was readable. (A literal @, / or : is %40, %2F, %3A.)",
        where=f"{node}.{source}",
        code="password-in-url",
    )


def expand(
    url: str,
    environment: Mapping[str, str] | None = None,
    secret: Callable[[str], str] | None = None,
) -> str:
    """Replace ${secret:NAME} and ${NAME} in a URL.

    A secret is percent-encoded where it is a part of the URL, and taken as it is where it is the
    whole; an environment variable is taken as it is.
    """
    known = os.environ if environment is None else environment

    def stored(name: str) -> str:
        if secret is None:
            raise UsageError("There is no sealed store here.", "Use ${NAME} of the environment.")
        return secret(name)

    def value(match: re.Match[str]) -> str:
        inside = match[0][2:-1]
        if inside.startswith("secret:"):
            return quote(stored(inside.removeprefix("secret:")), safe="")
        if not _VARIABLE.fullmatch(match[0]):
            raise UsageError(
                "The URL holds a ${...} that is no name.", "Write ${secret:NAME} or ${NAME}."
            )
        if inside not in known:
            raise UsageError(
                f"The URL needs the environment variable {inside}.", f"Set {inside} and retry."
            )
        return known[inside]

    whole = _SECRET.fullmatch(url)
    return stored(whole[1]) if whole else _PLACEHOLDER.sub(value, url)
