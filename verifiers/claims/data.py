"""Whether an answer may still turn out to be JSON from end to end."""

from __future__ import annotations

import re

_STRING = re.compile(r'[^"\\\x00-\x1f]+')
# What stands outside strings: space, numbers, the letters of the words JSON knows.
_OUTSIDE = re.compile(r"[\s:,\d+.truefalsnNIiyE-]+")
_PAIRS = {"}": "{", "]": "["}


class JsonPrefix:
    """Reads an answer as far as it may be JSON. Lenient: takes for possible what need not be.

    Attributes:
        alive: Whether it may still be.
        died: The offset of the character that settled that it is not; -1 before.
    """

    def __init__(self) -> None:
        self.alive = True
        self.died = -1
        self._open: list[str] = []
        self._begun = False
        self._string = False
        self._escaped = False

    def feed(self, text: str, at: int) -> None:
        """Read on.

        Args:
            text: What follows.
            at: Its offset in the answer.
        """
        place = 0
        while self.alive and place < len(text):
            run = (_STRING if self._string else _OUTSIDE).match(text, place)
            if run and not self._escaped and (self._string or self._open):
                place = run.end()
                continue
            if not self._take(text[place]):
                self.alive = False
                self.died = at + place
            place += 1

    def _take(self, char: str) -> bool:  # noqa: PLR0911 - by state, then by character
        if self._escaped:
            self._escaped = False
            return char >= " "
        if self._string:
            self._escaped = char == "\\"
            self._string = char != '"'
            return char >= " "
        if char.isspace():
            return True
        if char in "{[":
            if self._begun and not self._open:
                return False
            self._begun = True
            self._open.append(char)
            return True
        if not self._open:
            return False
        if char == '"':
            self._string = True
            return True
        return char in _PAIRS and self._open.pop() == _PAIRS[char]
