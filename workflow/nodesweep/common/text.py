"""Text out of a log made safe to keep and to show."""

import difflib
import re
from collections.abc import Iterable

_ESCAPE_SEQUENCE = re.compile(
    r"\x1b\[[0-?]{0,32}[ -/]{0,8}[@-~]"  # colours and cursor moves
    r"|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)?"  # window titles and links
    r"|\x1b[@-_]?"
)

_FORMULA = re.compile(r"'*[=+@-]")


def without_escapes(text: str) -> str:
    """`text` without the escape sequences of terminals."""
    return _ESCAPE_SEQUENCE.sub("", text) if "\x1b" in text else text


def plain(text: str, limit: int = 300) -> str:
    """`text` as one line of at most `limit` printable characters: no escapes, no controls, no marks of direction.

    >>> plain("\\x1b[31mred\\x1b[0m\\n  and\\tblue\\x00")
    'red and blue'
    """
    text = without_escapes(text)
    if text.isprintable():
        if len(text) <= limit and "  " not in text and text.strip(" ") == text:
            return text  # most texts are so, and tables hold many
    else:
        text = "".join(character if character.isprintable() else " " for character in text)
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question that names the word nearest to one nobody knows, with a blank behind it; empty where none is near.

    >>> did_you_mean("Tensors", ["nodes", "tensor"]), did_you_mean("flash", ["nodes", "tensor"])
    ("did you mean 'tensor'? ", '')
    """
    folded = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), folded, n=1)
    return f"did you mean '{folded[near[0]]}'? " if near else ""


def spreadsheet_cell(text: str) -> str:
    """`text` as a cell that no spreadsheet takes for a formula: `'` stands before it where it may be taken for one.

    >>> [spreadsheet_cell(text) for text in ("=HYPERLINK(1)", "-x", "'=x", "x=1", "'")]
    ["'=HYPERLINK(1)", "'-x", "''=x", 'x=1', "'"]
    """
    return f"'{text}" if _FORMULA.match(text) else text


def text_of_cell(cell: str) -> str:
    """The text that `spreadsheet_cell` made a cell of.

    >>> [text_of_cell(spreadsheet_cell(text)) for text in ("=x", "'=x", "'", "x")]
    ['=x', "'=x", "'", 'x']
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def visible(text: str, limit: int = 2000) -> str:
    """`text` with its lines and blanks, but for what cannot be seen: that is written out; lines of at most `limit`.

    >>> visible("if x:\\n\\tcd \\u202etxt\\x00")
    'if x:\\n\\tcd \\\\u202etxt\\\\x00'
    """
    if text.isprintable() and len(text) <= limit:
        return text
    return "\n".join(_seen(line if len(line) <= limit else line[: limit - 1] + "…") for line in _lines(text))


def _lines(text: str) -> list[str]:
    """What a terminal shows as lines: a carriage return ends one too."""
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def _seen(line: str) -> str:
    if line.isprintable():
        return line
    return "".join(one if one.isprintable() or one == "\t" else ascii(one)[1:-1] for one in line)
