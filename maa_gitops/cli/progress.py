"""A line on standard error that says how far long work is; it appears only once the work has taken a second."""

import sys
import time

_PATIENCE = 1.0
"""Seconds before anything is shown."""

_INTERVAL = 0.1


class Bar:
    """One line that is written over and over, and taken away at the end."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._next = time.monotonic() + _PATIENCE
        self._width = 0

    def show(self, done: int, of: int) -> None:
        """Say how far it is."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + _INTERVAL
        line = f"{self._what}: {done} of {of}"
        sys.stderr.write("\r" + line.ljust(self._width))
        sys.stderr.flush()
        self._width = len(line)

    def end(self) -> None:
        """Take the line away."""
        if self._width:
            sys.stderr.write("\r" + " " * self._width + "\r")
            sys.stderr.flush()
