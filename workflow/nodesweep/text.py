"""Text out of a log made safe to keep and to show."""

import re

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]{0,32}[ -/]{0,8}[@-~]"  # colours and cursor moves
    r"|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)?"  # window titles and links
    r"|\x1b[@-_]?"
)


def without_escapes(text: str) -> str:
    """`text` without the escape sequences of terminals."""
    return _ESCAPE_SEQUENCE.sub("", text) if "\x1b" in text else text


def plain(text: str, limit: int = 300) -> str:
    """`text` as one line of at most `limit` printable characters: no escapes, no controls, no marks of direction.

    >>> plain("\\x1b[31mred\\x1b[0m\\n  and\\tblue\\x00")
    'red and blue'
    """
    text = without_escapes(text)
    if not text.isprintable():
        text = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"
