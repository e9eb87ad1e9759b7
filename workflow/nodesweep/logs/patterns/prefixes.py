"""Take off what launchers, loggers and terminals put before a line."""

import re
from datetime import UTC, datetime
from typing import NamedTuple

MOST_PREFIXES = 8
HEAD = 400
STAMP = 60

LABEL = re.compile(r"^[ \t]{0,12}(\d{1,7}): ?")  # srun --label, blank padded
_PREFIXES = (
    re.compile(r"\[[a-zA-Z_]{1,40}\d{1,7}\]: ?"),  # torchrun --tee: [default0]:, and PyTorch's own [rank0]:
    re.compile(r"\[[\w.-]{1,80}:\d{1,7}\]: ?"),  # a site's [host:3]:
    re.compile(r"\([\w-]{1,60}(?:, [\w-]{1,40})?, ?pid=\d{1,9}(?:, ip=[\d.]{7,15})?\) ?"),  # SkyPilot, Ray
    re.compile(r"localhost: "),
    re.compile(r"\d{1,3}(?:\.\d{1,3}){3}: "),  # pdsh with addresses
    re.compile(r"[A-Z]{4,8} \d{4}-\d\d-\d\dT[\d:.]{8,20}Z \[[\w.: -]{1,120}\] "),  # log export of GKE
    re.compile(r"\[\d{8} [\d:]{8}\]\[rank-\d{1,7}/\d{1,7}\]\[[A-Z]{1,12} {0,8}\] ?\[[\w.:-]{1,120}\] : "),  # Primus
    re.compile(r"\[titan\] "),
    re.compile(r"\[\d{1,4},(?:mpirank:)?\d{1,7}(?:,[\w.-]{1,40})?\]<std(?:err|out)>: ?"),  # mpirun --tag-output
    re.compile(r"\d{4}-\d\d-\d\dT[\d:.]{8,20}(?:Z|[+-]\d\d:\d\d) (?:std(?:err|out) [FP] )?"),  # container runtimes
    re.compile(r"[\w.-]{1,80}-\d{1,4} {1,12}\| "),  # docker compose
)
_HOST = re.compile(r"(?!https?:|file:)[a-zA-Z][\w-]{0,60}(?:\.[\w-]{1,60}){0,6}\d{1,6}(?:\.[\w-]{1,60}){0,6}: ")  # pdsh
_RANK = re.compile(r"\[rank[ -]?(\d{1,7})(?:/\d{1,7})?\]")
_TIME = re.compile(r"\d\d:\d\d:\d\d")
_STAMPS = (
    re.compile(r"(?P<y>\d{4})-(?P<m>\d\d)-(?P<d>\d\d)[ T_](?P<t>\d\d:\d\d:\d\d)(?:[.,](?P<f>\d{1,6}))?"),
    re.compile(r"(?<!\d)(?P<y>\d{4})(?P<m>\d\d)(?P<d>\d\d) (?P<t>\d\d:\d\d:\d\d)"),
    re.compile(r"(?<!\d)(?P<m>\d\d)/(?P<d>\d\d)(?:/(?P<y>\d{4}))? (?P<t>\d\d:\d\d:\d\d)"),
)

_STEPS = tuple(float(f"1e-{digits}") for digits in range(7))


class Peeled(NamedTuple):
    """A line without prefixes (`body`), the label that srun wrote, and all prefixes."""

    label: str | None
    prefix: str
    body: str


def peel(text: str, hosts: bool = True) -> Peeled:
    """Take the prefixes off a line; blanks after the last prefix belong to it, further blanks to the body.

    `hosts`: names of hosts are prefixes; before a progress bar they cannot be distinguished from the bar's title.
    """
    label, at = None, 0
    match = LABEL.match(text)
    if match:
        label, at = match[1], match.end()
    prefixes = (*_PREFIXES, _HOST) if hosts else _PREFIXES
    for _ in range(MOST_PREFIXES):
        match = next((found for prefix in prefixes if (found := prefix.match(text, at))), None)
        if match is None:
            break
        at = match.end()
    return Peeled(label, text[:at], text[at:])


def rank_in(prefix: str) -> int:
    """The rank that the prefix of a line names; 0 where it names none."""
    named = _RANK.search(prefix) if "[rank" in prefix else None
    return int(named[1]) if named else 0


def stamp_seconds(text: str, at: int) -> tuple[float, float] | None:
    """The time stamp of what stands at a place of a line, and a unit of its last digit, both in seconds.

    The nearest stamp before it counts, or the first after it: collectors of logs put stamps of their own before those
    of programs. A stamp without a year is of the year 2000, so that only differences of such stamps mean something.
    """
    before, behind = text[max(0, at - HEAD) : at], text[at : at + STAMP]
    for part, nearest in ((before, -1), (behind, 0)):
        stamps = [found for pattern in _STAMPS for found in pattern.finditer(part)] if _TIME.search(part) else []
        if stamps:
            return _seconds(sorted(stamps, key=lambda found: found.start())[nearest])
    return None


def _seconds(stamp: re.Match[str]) -> tuple[float, float] | None:
    try:
        year = int(stamp["y"] or 2000)
        hours, minutes, seconds = (int(part) for part in stamp["t"].split(":"))
        moment = datetime(year, int(stamp["m"]), int(stamp["d"]), hours, minutes, seconds, tzinfo=UTC)
    except ValueError:
        return None
    fraction = stamp.groupdict().get("f")
    return moment.timestamp() + (float(f"0.{fraction}") if fraction else 0.0), _STEPS[len(fraction or "")]
