"""Where an unexpected failure came from: places in code, never messages, values or locals."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType


def places(error: BaseException) -> list[str]:
    """Return one line per frame, oldest first, for an error and each that it came from.

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
