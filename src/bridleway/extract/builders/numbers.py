"""Numbers: ever wider intervals, with the ends coded as `under` and `and over`.

    numbers: {widths: [5, 10, 20], low: 20, high: 90, from: 0}

widths: of the intervals of each level, each a multiple of the one before; low, high: from level 1
on, what is below low or at least high is one value (bottom and top coding); from: where intervals
begin. Whole numbers read `20-24`, others `20 to under 25`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from bridleway.extract.builders._levels import by_levels, wrong_option, wrong_value
from bridleway.extract.hierarchy import Hierarchy

_MOST_LEVELS = 12


def build(column: str, values: Sequence[str | None], options: Mapping[str, Any]) -> Hierarchy:
    """Build the hierarchy of a column of numbers."""
    unknown = sorted(set(options) - {"widths", "low", "high", "from"})
    if unknown:
        raise wrong_option(column, f"There is no option '{unknown[0]}'.",
                           "Known: widths, low, high, from.")  # fmt: skip
    numbers = {value: _number(column, value) for value in values if value is not None}
    ordered = [
        *sorted(numbers, key=lambda value: numbers[value]),
        *([None] if None in values else []),
    ]
    start = _option(column, options, "from") or Decimal(0)
    low, high = _option(column, options, "low"), _option(column, options, "high")
    widths = _widths(column, options.get("widths"), list(numbers.values()))
    whole = all(n == n.to_integral_value() for n in (*numbers.values(), start, *widths))
    levels: list[Callable[[str], str]] = [
        lambda value, width=width: _interval(  # type: ignore[misc]
            numbers[value], width, start, low, high, whole
        )
        for width in widths
    ]
    return by_levels(column, ordered, levels)


def _number(column: str, value: str) -> Decimal:
    try:
        number = Decimal(value.strip())
    except InvalidOperation:
        raise wrong_value(column, "number") from None
    if not number.is_finite():
        raise wrong_value(column, "number")
    return number


def _option(column: str, options: Mapping[str, Any], name: str) -> Decimal | None:
    found = options.get(name)
    if found is None:
        return None
    if isinstance(found, bool) or not isinstance(found, int | Decimal):
        raise wrong_option(column, f"'{name}' is no number.", "Write one.")
    return Decimal(found)


def _widths(column: str, said: Any, numbers: Sequence[Decimal]) -> list[Decimal]:
    """Return the widths, or four that double from about a fortieth of the span."""
    if said is None:
        span = max(numbers, default=Decimal(0)) - min(numbers, default=Decimal(0))
        step = Decimal(1).scaleb((span / 40).adjusted()) if span > 0 else Decimal(1)
        step *= next(m for m in (1, 2, 5, 10) if span / (step * m) <= 40)
        return [step, step * 2, step * 4, step * 8] if span > 0 else []
    if not isinstance(said, list) or not said or len(said) > _MOST_LEVELS:
        raise wrong_option(column, "'widths' is no list of numbers.", "Write [5, 10, 20].")
    widths = [_option(column, {"widths": width}, "widths") or Decimal(0) for width in said]
    for finer, coarser in zip([None, *widths], widths, strict=False):
        if coarser <= 0 or (finer is not None and (coarser <= finer or coarser % finer)):
            raise wrong_option(column, "A width is no multiple of the one before it.",
                               "Let each level join whole intervals, as [5, 10, 20].")  # fmt: skip
    return widths


def _interval(
    number: Decimal, width: Decimal, start: Decimal, low: Decimal | None, high: Decimal | None,
    whole: bool,
) -> str:  # fmt: skip
    if low is not None and number < low:
        return f"under {_plain(low)}"
    if high is not None and number >= high:
        return f"{_plain(high)} and over"
    first = start + ((number - start) // width - (1 if (number - start) % width < 0 else 0)) * width
    last = first + width
    first = first if low is None else max(first, low)
    last = last if high is None else min(last, high)
    if not whole:
        return f"{_plain(first)} to under {_plain(last)}"
    return _plain(first) if last - first == 1 else f"{_plain(first)}-{_plain(last - 1)}"


def _plain(number: Decimal) -> str:
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
