"""Plots that commands write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bridleway.errors import UsageError

_PICTURES = (".png", ".svg", ".pdf")


def require_picture(path: Path) -> None:
    """Raise UsageError unless a file's name says which kind of picture it is."""
    if path.suffix.lower() not in _PICTURES:
        raise UsageError(
            "A plot is a picture.", f"End its name in {', '.join(_PICTURES)}.", where=str(path)
        )


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure of matplotlib."""
    from matplotlib.figure import Figure

    if isinstance(figure, Figure):
        figure.savefig(path, dpi=120)
