"""The boundary that errors cross on their way to a caller's code.

A traceback holds the frames of everything below it, and a frame holds its locals: rows, passwords,
keys. Crash reporters print them. So an error leaves here without frames, causes and contexts; what
a developer needs, the places in code, goes along as a note.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from bridleway.errors import BridlewayError, Fault

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


def places(error: BaseException) -> list[str]:
    """Return one line per frame, oldest cause first: places in code, never a message or a local.

    A message of an engine may quote a row and a local may hold a password: neither is looked at.
    """
    made: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        made = [f"{type(current).__name__}:", *_frames(current.__traceback__), *made]
        current = current.__cause__ or current.__context__
    return made


def _frames(trace: TracebackType | None) -> list[str]:
    made = []
    while trace is not None:
        code = trace.tb_frame.f_code
        file = "/".join(Path(code.co_filename).parts[-2:])
        made.append(f"  {file}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return made


def bare(error: Exception) -> BridlewayError:
    """Return an error as it may leave: no frame, cause or context; foreign ones as a Fault."""
    told = error if isinstance(error, BridlewayError) else Fault(
        f"Something of ours failed ({type(error).__name__}).",
        "The note on this error tells where; report it.",
    )  # fmt: skip
    if not getattr(told, "__notes__", None):
        told.add_note("\n".join(places(error)))
    told.__cause__ = told.__context__ = None
    return told.with_traceback(None)


def shielded(function: F) -> F:
    """Wrap a function of the front door: whatever it raises leaves bare."""

    @functools.wraps(function)
    def front_door(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            told = bare(error)
        del args, kwargs  # this frame stays on the traceback, and they may hold a password
        raise told

    return front_door  # type: ignore[return-value]


def shielded_class(cls: C) -> C:
    """Wrap every public method of a class."""
    for name, member in list(vars(cls).items()):
        if name.startswith("_"):
            continue
        if isinstance(member, classmethod):
            setattr(cls, name, classmethod(shielded(member.__func__)))
        elif inspect.isfunction(member) and not inspect.isgeneratorfunction(inspect.unwrap(member)):
            setattr(cls, name, shielded(member))
    return cls
