"""What training costs: node-hours, and days."""

SECONDS_PER_HOUR, SECONDS_PER_DAY = 3600, 86400
BILLION = 1e9


def node_hours(seconds: float, nodes: int) -> float:
    """Node-hours of so many seconds.

    >>> node_hours(1800, 4)
    2.0
    """
    return seconds * nodes / SECONDS_PER_HOUR


def node_hours_per_billion_tokens(iteration_seconds: float, nodes: int, tokens: int) -> float:
    """Node-hours to train on 1e9 tokens by iterations of so many seconds and `tokens` each.

    >>> node_hours_per_billion_tokens(3.6, 10, 1_000_000)
    10.0
    """
    return node_hours(iteration_seconds, nodes) / tokens * BILLION


def training_days(iteration_seconds: float, tokens: int, wanted: float) -> float:
    """Days to train on `wanted` tokens, with `tokens` an iteration.

    >>> training_days(8.64, 1000, 1e7)
    1.0
    """
    return iteration_seconds * wanted / tokens / SECONDS_PER_DAY
