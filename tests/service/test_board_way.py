"""The way to the supervisor: who is told to end does end, also while an answer is waited for."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from controller.service.board import SOCKET, Board
from controller.service.core.reasons import Reason, Refused


@asynccontextmanager
async def supervisor(folder: Path, says: bytes = b"") -> AsyncIterator[None]:
    """One that says so much to the first line it hears, and nothing more."""
    gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(says)
        if not says:
            await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    async with await asyncio.start_unix_server(serve, folder / SOCKET):
        yield
        await gone.wait()


async def asked(board: Board) -> asyncio.Task[Any]:
    await board.connect()
    asking = asyncio.create_task(board.picture())
    await asyncio.sleep(0)
    return asking


async def test_the_end_of_the_process_is_no_end_of_the_supervisor(tmp_path: Path) -> None:
    async with supervisor(tmp_path):
        board = Board(tmp_path, lambda said: None)
        asking = await asked(board)
        asking.cancel()
        board.close()
        with pytest.raises(asyncio.CancelledError):
            await asking


async def test_the_end_of_the_supervisor_is_told(tmp_path: Path) -> None:
    async with supervisor(tmp_path):
        board = Board(tmp_path, lambda said: None)
        asking = await asked(board)
        board.close()
        with pytest.raises(Refused) as told:
            await asking
        assert told.value.reason is Reason.UNAVAILABLE


async def test_what_is_said_to_one_who_watches_is_no_answer(tmp_path: Path) -> None:
    told: list[Any] = []
    async with supervisor(tmp_path, b'{"n": 1, "t_ns": 5}\n{"n": 7, "t_ns": 6}\n'):
        board = Board(tmp_path, told.append)
        reader = await board.connect()
        board.watch()
        await board.listen(reader)
        assert told == [{"t_ns": 5}]
