"""What a damaged or hostile file may hold: values for a place in JSON, changes of bytes, and what is no file at all."""

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

RAW = "\ue000"
"""Begins a text that goes into JSON as it is, without quotes."""
VALUES: tuple[Any, ...] = (
    *(None, True, -1, -5, 0, 1.5, 10**6, 10**30, 2**63, 253402300800, [], {}, [1], {"a": 1}, "", "x", "ok", "oom"),
    *(
        f"{RAW}1e400",
        f"{RAW}NaN",
        f"{RAW}-Infinity",
        RAW + "9" * 5000,
        RAW + "[" * 100_000,
        f'{RAW}"\\ud800"',
        f"{RAW}1 2",
    ),
    *(
        "--me",
        "all",
        "-1",
        "1,2",
        "1 2",
        "../../../etc/passwd",
        "/dev/zero",
        ".",
        "..",
        "\0",
        "a\nb",
        "\x1b]0;title\x07",
    ),
    *(
        "=cmd|' /C calc'!A0",
        "@SUM(1)",
        "<script>alert(1)</script>",
        "| a | b |",
        "{{ 7 * 7 }}",
        "x" * 100_000,
        "\u202e",
    ),
    *("0001-01-01", "9999-12-31T23:59:59+14:00", "2026-11-30T14:43:01", "1e400", "nan", "inf", "9" * 5000),
)


def changed_json(data: bytes, rng: random.Random) -> bytes:
    """JSON, or one of its lines, with a value at some path replaced, taken away or doubled; else changed bytes."""
    lines = data.split(b"\n")
    whole = _loaded(data)
    place = rng.randrange(max(len(lines) - 1, 1))
    value = whole if whole is not None else _loaded(lines[place])
    if not isinstance(value, dict | list) or not value:
        return changed_bytes(data, rng)
    holder, key = _place(value, rng)
    if rng.random() < 0.15:
        del holder[key]
    else:
        holder[key] = rng.choice(VALUES)
    text = json.dumps(value, ensure_ascii=True)
    for raw in {one for one in VALUES if isinstance(one, str) and one.startswith(RAW)}:
        text = text.replace(json.dumps(raw), raw[len(RAW) :])
    lines[place] = text.encode()
    return text.encode() + b"\n" if whole is not None else b"\n".join(lines)


def _loaded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None


def _place(value: Any, rng: random.Random) -> tuple[Any, Any]:
    """A container somewhere in a value, and a key of it."""
    while True:
        key = rng.choice(list(value)) if isinstance(value, dict) else rng.randrange(len(value))
        below = value[key]
        if not isinstance(below, dict | list) or not below or rng.random() < 0.2:
            return value, key
        value = below


def changed_cell(data: bytes, rng: random.Random) -> bytes:
    """A text of lines and separators with a word replaced."""
    lines = data.split(b"\n")
    place = rng.randrange(len(lines))
    separator = next((mark for mark in (b",", b"\t", b": ", b" ") if mark in lines[place]), b" ")
    words = lines[place].split(separator)
    words[rng.randrange(len(words))] = str(rng.choice(VALUES)).replace(RAW, "").encode(errors="replace")[:5000]
    lines[place] = separator.join(words)
    return b"\n".join(lines)


def changed_bytes(data: bytes, rng: random.Random) -> bytes:
    """Bytes flipped, put in or cut out; lines cut, doubled or exchanged."""
    at, lines = rng.randrange(len(data) + 1), data.split(b"\n")
    line, other = rng.randrange(len(lines)), rng.randrange(len(lines))
    match rng.randrange(8):
        case 0:
            return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
        case 1:
            return data[:at] + rng.choice((b"\0", b"\xff", b"\x1b[2J", b"\n", b"}", b'"', b",")) + data[at:]
        case 2:
            return data[:at]
        case 3:
            return data[:at] + data[at + rng.randrange(1, 50) :]
        case 4:
            return b"\n".join([*lines[:line], *lines[line + 1 :]])
        case 5:
            return b"\n".join([*lines[:line], lines[line], *lines[line:]])
        case 6:
            lines[line], lines[other] = lines[other], lines[line]
            return b"\n".join(lines)
    return data + rng.randbytes(rng.randrange(1, 100))


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _sparse(path: Path) -> None:
    with path.open("wb") as file:  # a log may be of any size, and is read to its end
        file.truncate(2**26 if path.suffix == ".log" else 5 * 2**30)


REPLACEMENTS: tuple[Callable[[Path], None], ...] = (
    os.mkfifo,
    Path.mkdir,
    Path.touch,
    _sparse,
    _link("/dev/zero"),
    _link("/dev/tty"),
    _link("nowhere"),
    _link("."),
    lambda path: path.symlink_to(path.name),
    lambda path: None,
)
"""What may stand in place of a file; the last: nothing."""


def remove(path: Path) -> None:
    """Take away whatever is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
