"""Being stopped between two steps rather than in the middle of one."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(Exception):
    """The work was asked to stop; its state is saved and it can be resumed."""


@contextmanager
def caught_signals() -> Iterator[threading.Event]:
    """Yield an event that SIGTERM and SIGINT set; the handlers from before come back at the end.

    Outside of the main thread signals cannot be caught, and the event is never set.
    """
    stopped = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopped
        return
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: stopped.set()) for number in numbers]
    try:
        yield stopped
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
