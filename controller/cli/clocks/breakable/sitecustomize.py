"""An exception for processes of the bench: SIGUSR2 raises it where they happen to be.

Theory of operation.  Python imports a module of this name before any other when it is on the path.
Only the runner of scenarios puts this folder there (`PYTHONPATH`), for a machine of its own, so the
product knows nothing of it.  Under asyncio the exception is raised in a callback of the loop, which
is where the code of such a process runs; elsewhere at the very instruction that was next.

Lives here: the handler.  May not live here: an import of the project.
"""

import signal
from asyncio import events


def broken() -> None:
    """What no code of the project has foreseen."""
    raise RuntimeError("an exception, by the bench")


def _struck(number: int, frame: object) -> None:
    loop = events._get_running_loop()
    if loop is None:
        broken()
    else:
        loop.call_soon_threadsafe(broken)


signal.signal(signal.SIGUSR2, _struck)
