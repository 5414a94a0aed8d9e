"""What `carm service` shows: live table, replies, progress bars, files.

Lives here: words and tables for people, and reading `key=value`.  May not live here: options
(`controller.cli.service`) or the protocol (`controller.cli.service_client`).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from rich.console import Console
from rich.live import Live
from rich.progress import Progress
from rich.table import Table

from controller.cli.answer import GOOD, REFUSED, ask, refusal, refuse
from controller.cli.service_client import Assembly, Client, Target, connected
from controller.cli.service_watch import Seen, view
from controller.service.core.commands import COMMANDS
from controller.service.core.reasons import Refused
from controller.service.department import ENDPOINT
from controller.service.downloads import Bundle
from controller.service.signing import load_private

DOWNLOADS: Final = {"log": "log_download", "audit": "audit_download",
                    "blackbox": "blackbox_download", "incident": "incident"}  # fmt: skip
_console: Final = Console(stderr=True)


def target(
    run_dir: Path | None, host: str, port: int, device: str, certificates: Path | None,
    by: str | None, key: Path | None,
) -> Target:  # fmt: skip
    """The broker and person meant; a refusal ends the command."""
    if port == 0 and run_dir is not None:
        try:
            port = int(json.loads((run_dir / ENDPOINT).read_text())["port"])
        except (OSError, ValueError, KeyError) as error:
            refuse(refusal("port", "input", "port", 0, "1 … 65535",
                           f"give --port ({error})"), False)  # fmt: skip
    if port == 0:
        refuse(refusal("port", "input", "port", 0, "1 … 65535", "give --port"), False)
    try:
        private = load_private(key) if key is not None else None
    except (OSError, ValueError) as error:
        refuse(refusal("key", "input", "key", str(key), "an Ed25519 key, PEM", str(error)), False)
    person = by if by is not None or key is None else key.stem
    return Target(host, port, device, certificates, person, private)


def parsed(name: str, words: Sequence[str]) -> dict[str, Any]:
    """`key=value` words as the command's arguments; `key=@FILE` takes a file's text.

    Raises ValueError with what is allowed.
    """
    row = COMMANDS.get(name)
    if row is None:
        raise ValueError(", ".join(COMMANDS))
    found: dict[str, Any] = {}
    hints = typing.get_type_hints(row.arguments)
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or key not in row.arguments.model_fields:
            raise ValueError(" ".join(f"{one}=…" for one in row.arguments.model_fields) or "none")
        text = Path(value[1:]).read_text() if value.startswith("@") else value
        found[key] = hints[key](text) if hints[key] in (int, float) else text
    try:
        row.arguments.model_validate(found)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from None
    return found


def _told(reply: Mapping[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps({**reply, "schema": "carm.service_command/1"}, ensure_ascii=False))
    elif reply["result"] == "done":
        print(json.dumps(reply["answer"], indent=1, ensure_ascii=False))
    else:
        sys.stderr.write(f"carm: refused: {reply['reason']}: {reply['detail']}\n")
    return GOOD if reply["result"] == "done" else REFUSED


async def command(aim: Target, name: str, arguments: Mapping[str, Any], as_json: bool) -> int:
    """Send one command, follow it and show its last reply."""
    async with connected(aim) as client:
        return _told(await _followed(client, name, arguments, lambda chunk: None), as_json)


async def _followed(
    client: Client, name: str, arguments: Mapping[str, Any],
    take: Callable[[Mapping[str, Any]], None],
) -> Mapping[str, Any]:  # fmt: skip
    """The last reply; a bar on stderr for one that takes long, `take` for every chunk."""
    reply: Mapping[str, Any] = {}
    with Progress(console=_console, transient=True) as progress:
        task = progress.add_task(name, total=None)
        async for reply in client.command(name, arguments):
            if reply["progress"] is not None:
                at = reply["progress"]
                progress.update(task, completed=at["done"], total=at["total"])
            if reply["chunk"] is not None:
                take(reply["chunk"])
    return reply


async def _fetched(client: Client, name: str) -> tuple[Mapping[str, Any], bytes]:
    assembly = Assembly()
    reply = await _followed(client, name, {}, assembly.take)
    return reply, assembly.finish(reply["answer"]) if reply["result"] == "done" else b""


async def download(aim: Target, name: str, out: Path) -> int:
    """Fetch a file."""
    async with connected(aim) as client:
        reply, content = await _fetched(client, name)
    if reply["result"] == "done":
        await asyncio.to_thread(out.write_bytes, content)
    return _told(reply, False)


async def log(aim: Target) -> int:
    """Fetch the event log and print it."""
    async with connected(aim) as client:
        reply, content = await _fetched(client, "log_download")
    if reply["result"] != "done":
        return _told(reply, False)
    for line in gzip.decompress(content).decode().splitlines():
        one = json.loads(line)
        rest = "  ".join(f"{k}={v}" for k, v in one.items() if k not in ("event", "seq", "t_ms"))
        print(f"{one['t_ms'] / 1000:.3f}  {one['event']:<9} {rest}")
    return GOOD


async def faults(aim: Target, as_json: bool) -> int:
    """Ask for the faults held."""
    async with connected(aim) as client:
        reply = await client.last("faults", {})
    if as_json or reply["result"] != "done":
        return _told(reply, as_json)
    table = Table("fault", "severity", "cause", "detail", "remedy", "seen by")
    for one in reply["answer"]["faults"]:
        table.add_row(one["id"], one["severity"], one["cause"], one["detail"], one["remedy"],
                      one["acknowledged_by"] or "")  # fmt: skip
    Console().print(table if table.row_count else "no fault is held")
    return GOOD


async def watch(aim: Target, seconds: float) -> int:
    """Show states, telemetry and events as they come."""
    seen, loop = Seen(aim.device), asyncio.get_running_loop()
    async with connected(aim) as client:
        for part in ("state", "telemetry", "event"):
            await client.mqtt.subscribe(f"{client.prefix}{part}/#")
        give_up_s = loop.time() + seconds if seconds else None
        # Drawn by its own beat: a message need not wait for a picture.
        with Live(get_renderable=lambda: view(seen), refresh_per_second=4) as live:
            try:
                async with asyncio.timeout_at(give_up_s):
                    async for message in client.mqtt.messages:
                        topic = str(message.topic).removeprefix(client.prefix)
                        seen.take(topic, json.loads(message.payload))
            except TimeoutError:
                live.refresh()
    return GOOD


def incident_bundle(run_dir: Path, config: Path | None, as_json: bool) -> Bundle:
    """Collect at the board; a refusal ends the command."""
    from controller.cli.machine import BENCH
    from controller.service.configs import chosen_now
    from controller.service.department import FOLDER
    from controller.service.incident import Sources, collect
    from controller.service.journal import EVENTS
    from controller.service.publisher import versions
    from controller.stream.publisher import endpoint_of
    from realtime.wire.config import load

    picture = ask(run_dir / "service.sock", {"n": 1, "ask": True})
    if "error" in picture:
        refuse(picture, as_json)
    file = config if config is not None else chosen_now(run_dir, BENCH)
    events = run_dir / FOLDER / EVENTS
    lines = events.read_text().splitlines() if events.exists() else []
    frames = endpoint_of(load(file)["stream.bind"], run_dir)
    try:
        return collect(Sources(run_dir, file, frames, picture, versions().model_dump(), lines),
                       lambda done, total: None)  # fmt: skip
    except Refused as refused:
        refuse(refusal(refused.reason, "machine", "incident", None, refused.detail, "try again"),
               as_json)  # fmt: skip
