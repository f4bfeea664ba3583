"""Numbers as people say them."""


def short(value: float) -> str:
    """1500 -> 1.5k, 2000000 -> 2M, 3e9 -> 3B."""
    for size, suffix in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g}"


def duration(seconds: float) -> str:
    """45 -> 45 s, 600 -> 10 min, 9000 -> 2.5 h."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
