"""Commands in terminals, as a user sees them."""

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import time
from pathlib import Path

from sweeps import REPOSITORY, hear_signals


def _in_terminal() -> None:
    """Have a command hear when its terminal closes."""
    hear_signals()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Terminal:
    """A command in a terminal of so many columns, as a user sees it."""

    def __init__(self, words: list[str], folder: Path, columns: int, lines: int = 24):
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        names = {"PYTHONPATH": str(REPOSITORY / "workflow"), "TERM": "xterm-256color"}
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.process = subprocess.Popen(
            words,
            **{"cwd": folder, "env": environment | names, "stdin": slave, "stdout": slave, "stderr": slave},
            start_new_session=True,
            preexec_fn=_in_terminal,
        )
        os.close(slave)
        self.shown = b""

    def until(self, text: str | None, seconds: float = 60) -> str:
        """All that was shown until a text is, or, where that is None, until the end."""
        limit = time.monotonic() + seconds
        while text is None or text.encode() not in self.shown:
            assert time.monotonic() < limit, self.shown.decode(errors="replace")
            if select.select([self._master], [], [], 0.5)[0]:
                try:
                    self.shown += os.read(self._master, 65536)
                except OSError:  # all that wrote to it have ended
                    assert text is None, self.shown.decode(errors="replace")
                    break
        return self.shown.decode(errors="replace")

    def close(self) -> int:
        """Its exit code."""
        self.until(None)
        os.close(self._master)
        return self.process.wait(60)

    def hang_up(self) -> int:
        """The exit code after somebody closed the terminal."""
        os.close(self._master)
        return self.process.wait(60)

    def screen(self) -> list[str]:
        """The lines that stand on the terminal in the end, and those that have scrolled out of it."""
        lines, row, column = [""], 0, 0
        for token in re.findall(r"\x1b\[[\d;?]*[a-zA-Z]|[\r\n]|[^\x1b\r\n]+", self.shown.decode(errors="replace")):
            if token == "\n":
                row += 1
                lines += [""] * (row + 1 - len(lines))
            elif token == "\r":
                column = 0
            elif token.endswith("A") and token[0] == "\x1b":
                row = max(row - int(token[2:-1] or 1), 0)
            elif token == "\x1b[2K":
                lines[row] = ""
            elif token[0] != "\x1b":
                lines[row] = lines[row][:column].ljust(column) + token + lines[row][column + len(token) :]
                column += len(token)
        return [line.rstrip() for line in lines if line.strip()]
