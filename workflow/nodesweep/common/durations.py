"""Durations as text."""


def in_words(seconds: float | None) -> str:
    """A duration in two units at most; never less than nothing.

    >>> [in_words(seconds) for seconds in (0.4, 59.7, 90, 7800, 100000, -3, None)]
    ['0 s', '1 min', '1 min', '2 h 10 min', '1 d 3 h', '0 s', '-']
    """
    if seconds is None or seconds != seconds or seconds == float("inf"):
        return "-"
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    minutes = whole // 60
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return f"{minutes // 60} h {minutes % 60:02} min" if minutes % 60 else f"{minutes // 60} h"
    hours = minutes // 60
    return f"{hours // 24} d {hours % 24} h" if hours % 24 else f"{hours // 24} d"


def clock(seconds: float | None) -> str:
    """A duration in a narrow column, to the second below a day.

    >>> [clock(seconds) for seconds in (5, 65.4, 4000, 200000, -1, None)]
    ['0:05', '1:05', '1:06:40', '2d07h', '0:00', '-']
    """
    if seconds is None:
        return "-"
    whole = max(round(seconds), 0)
    if whole >= 86400:
        return f"{whole // 86400}d{whole % 86400 // 3600:02}h"
    hours, minutes, rest = whole // 3600, whole % 3600 // 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
