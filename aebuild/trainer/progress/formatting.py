"""Numbers as a person wants to read them: values, times, bytes, shares."""

from __future__ import annotations

from collections.abc import Mapping

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def number(value: float) -> str:
    """A number in about five digits."""
    size = abs(value)
    if size >= 1e6 or 0 < size < 1e-4:
        return f"{value:.3g}"
    return f"{value:,.{1 if size >= 1000 else 2 if size >= 100 else 3 if size >= 1 else 4}f}"


def code_size(values: int, bits: float) -> str:
    """A code's size: in numbers if it consists of float32 numbers, else in bits."""
    return numbers(values) if bits == 32 * values else f"{bits:,.0f} bits"


def numbers(count: int) -> str:
    """A count of float32 numbers in words."""
    return f"{count:,} number{'s' if count != 1 else ''}"


def duration(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def memory(size: int) -> str:
    """Bytes in three digits, as 512 MiB or 1.25 GiB."""
    power = min(len(_UNITS) - 1, max(0, size.bit_length() - 1) // 10)
    value = size / 1024 ** power
    digits = 0 if value >= 100 or power == 0 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {_UNITS[power]}"


def percents(parts: Mapping[str, float]) -> dict[str, int]:
    """Each part of the whole in percent, rounded so that they add up to 100; nothing for nothing."""
    whole = sum(parts.values())
    if whole <= 0:
        return {}
    exact = {name: 100 * part / whole for name, part in parts.items()}
    rounded = {name: int(share) for name, share in exact.items()}
    short = sorted(exact, key=lambda name: rounded[name] - exact[name])[:100 - sum(rounded.values())]
    return {name: share + (name in short) for name, share in rounded.items()}
