"""What the stream's tests share.

Lives here: the thread that pyzmq keeps once per process for messages sent without a copy.  May not
live here: publishers or subscribers.
"""

import pytest
import zmq


@pytest.fixture(scope="session", autouse=True)
def zero_copy_thread() -> None:
    """Start that thread before any test, so that no test is blamed for it."""
    with zmq.Context() as context, context.socket(zmq.PAIR) as one, context.socket(zmq.PAIR) as two:
        one.bind("inproc://warm")
        two.connect("inproc://warm")
        one.send(bytearray(1 << 20), copy=False)
        two.recv()
