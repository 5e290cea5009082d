"""Single keys from the terminal, without waiting for Enter; on Windows and elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Self

if sys.platform == "win32":
    import msvcrt

    class Keys:
        """Within it, a key is read as soon as it is pressed."""

        def __enter__(self) -> Self:
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            return None

        def pressed(self, within_s: float) -> str:
            """The key, '\\n' for Enter, '' where none was pressed in time."""
            end = time.monotonic() + within_s
            while time.monotonic() < end:
                if msvcrt.kbhit():
                    key = msvcrt.getwch()
                    if key == "\x03":
                        raise KeyboardInterrupt
                    return "\n" if key == "\r" else key
                time.sleep(0.02)
            return ""

        @contextlib.contextmanager
        def as_lines(self) -> Iterator[None]:
            """For questions that are answered with a line."""
            yield

else:
    import select
    import termios
    import tty

    class Keys:
        """Within it, a key is read as soon as it is pressed."""

        def __enter__(self) -> Self:
            self._before: list[Any] = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin.fileno())
            return self

        def __exit__(
            self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
        ) -> None:
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

        def pressed(self, within_s: float) -> str:
            """The key, '\\n' for Enter, '' where none was pressed in time."""
            end = time.monotonic() + within_s
            while (left := end - time.monotonic()) > 0:
                if select.select([sys.stdin], [], [], left)[0]:
                    return sys.stdin.read(1)
            return ""

        @contextlib.contextmanager
        def as_lines(self) -> Iterator[None]:
            """For questions that are answered with a line."""
            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)
            try:
                yield
            finally:
                tty.setcbreak(sys.stdin.fileno())
