"""`carm service …`, `carm audit verify`, `carm incident`: for engineers, at the board and afar.

Lives here: names, options, words for replies, exit codes.  May not live here: the protocol
(`controller.cli.service_client`) or any decision of the machine.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.answer import GOOD, JUDGED_BAD, MACHINE, REFUSED, refusal, refuse, show
from controller.cli.board import request
from controller.cli.lazily import lazily

if TYPE_CHECKING:
    from controller.cli import service_words as words
else:
    # The protocol, keys and pictures take a quarter of a second; `carm --help` needs none of it.
    words = lazily("controller.cli.service_words")

service_app = typer.Typer(no_args_is_help=True, help="Service engineers: at the board and afar.")
audit_app = typer.Typer(no_args_is_help=True, help="The audit log of service.")

RunDir = Annotated[Path, typer.Option("--run-dir", envvar="CARM_RUN_DIR")]
MaybeRunDir = Annotated[Path | None, typer.Option("--run-dir", envvar="CARM_RUN_DIR")]
Json = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
Host = Annotated[str, typer.Option(help="broker", envvar="CARM_MQTT_HOST")]
Port = Annotated[int, typer.Option(help="port; 0: from the run directory", envvar="CARM_MQTT_PORT")]
Device = Annotated[str, typer.Option(envvar="CARM_DEVICE", help="name of the C-arm")]
Key = Annotated[Path | None, typer.Option(envvar="CARM_KEY", help="private key, PEM")]
Person = Annotated[str | None, typer.Option("--by", envvar="CARM_BY", help="name of the key")]
Certificates = Annotated[Path | None, typer.Option(envvar="CARM_CERTIFICATES", help="TLS folder")]


def install(app: typer.Typer) -> None:
    """Add the commands of the service department."""
    app.add_typer(service_app, name="service")
    app.add_typer(audit_app, name="audit")
    app.command()(incident)
    from controller.cli import constancy

    service_app.add_typer(constancy.app, name="constancy")


def _names(incomplete: str) -> list[tuple[str, str]]:
    from controller.service.core.commands import COMMANDS

    found = COMMANDS.values()
    return [(row.name, row.meaning) for row in found if row.name.startswith(incomplete)]


def _keys(ctx: typer.Context, args: list[str], incomplete: str) -> list[tuple[str, str]]:
    """Keys of the command that stands before, and the values of those that have a few only."""
    from controller.cli.completion import keys_and_values

    return keys_and_values(str(ctx.params.get("name")), args, incomplete)


def _files(incomplete: str) -> list[tuple[str, str]]:
    from controller.cli.completion import FILES

    return [one for one in FILES.items() if one[0].startswith(incomplete)]


# ── at the board ─────────────────────────────────────────────────────────────────────────────


@service_app.command("open")
def open_(
    run_dir: RunDir, minutes: Annotated[int, typer.Option(min=1, max=240)] = 30, json: Json = False
) -> None:
    """Open a service session at the board; READY is impossible while it is open."""
    reply = request(run_dir, json, "service_open", minutes=minutes)
    show({"schema": "carm.service_open/1", **reply}, json, f"open for {minutes} min")


@service_app.command()
def close(run_dir: RunDir, json: Json = False) -> None:
    """End the service session."""
    reply = request(run_dir, json, "service_close")
    show({"schema": "carm.service_close/1", **reply}, json, f"closed; {reply['mode']}")


@audit_app.command()
def verify(run_dir: RunDir, json: Json = False) -> None:
    """Follow the hash chain: exit 0 when it holds, 1 when it does not."""
    from controller.service.department import FOLDER
    from controller.service.journal import verify_audit

    entries, file, damage = verify_audit(run_dir / FOLDER)
    body = {"schema": "carm.audit_verify/1", "ok": damage is None, "entries": entries,
            "file": file, "line": damage.line if damage else None,
            "what": damage.what if damage else None}  # fmt: skip
    held = f"{entries} entries hold together"
    show(body, json, held if damage is None else f"{file} line {damage.line}: {damage.what}")
    raise typer.Exit(GOOD if damage is None else JUDGED_BAD)


def incident(
    run_dir: RunDir, out: Annotated[Path, typer.Option()] = Path("incident.zip"),
    last: Annotated[bool, typer.Option("--last", help="the newest, which is what is kept")] = True,
    config: Annotated[Path | None, typer.Option(help="the configuration in force")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Everything somebody far away needs, in one offline file."""
    bundle = words.incident_bundle(run_dir.resolve(), config, json)
    out.write_bytes(bundle.content)
    body = {"schema": "carm.incident/1", "file": str(out), **bundle.summary()}
    show(body, json, f"{out}: {len(bundle.content)} bytes")


# ── keys ─────────────────────────────────────────────────────────────────────────────────────


@service_app.command()
def keygen(private: Path, public: Path) -> None:
    """A new Ed25519 pair; PUBLIC goes to the board as KEYS/ROLE/NAME.pem."""
    from controller.service.signing import make_key

    try:
        make_key(private, public)
    except OSError as error:
        refuse(refusal("file", "input", "private", str(private), "a new file", str(error)), False)


@service_app.command()
def sign(file: Path, key: Annotated[Path, typer.Option(envvar="CARM_KEY")]) -> None:
    """Print the signed payload for a body in FILE: exit 0, or 1 when it is no command."""
    from controller.service.core.envelope import read
    from controller.service.core.reasons import Refused
    from controller.service.signing import load_private, signed

    try:
        text = file.read_text(encoding="utf-8").rstrip("\n")
        payload = signed(text, load_private(key))
        read(payload, str(json.loads(text)["command"]))
    except (OSError, ValueError, KeyError, TypeError, Refused) as error:
        typer.echo(f"carm: not signed: {error}", err=True)
        raise typer.Exit(JUDGED_BAD) from None
    print(payload.decode())


@service_app.command()
def certs(
    folder: Path, device: Device = "bench-1",
    person: Annotated[list[str] | None, typer.Option(help="ROLE-NAME, repeatable")] = None,
    host: Annotated[list[str] | None, typer.Option(help="broker's names, repeatable")] = None,
    json: Json = False,
) -> None:  # fmt: skip
    """A private certificate authority for a bench: broker, device and people."""
    from controller.service.certs import make_bench

    now = dt.datetime.now(dt.UTC)
    people = person or ["engineer-bench"]
    try:
        files = make_bench(folder, device, people, host or ["localhost", "127.0.0.1"], now)
    except OSError as error:
        refuse(refusal("file", "input", "folder", str(folder), "a new folder", str(error)), json)
    body = {"schema": "carm.certs/1", "folder": str(folder), "files": files}
    show(body, json, f"{folder}: {', '.join(files)}\nnot for a hospital: its own authority signs")


# ── afar ─────────────────────────────────────────────────────────────────────────────────────


def _run(job: Coroutine[Any, Any, int]) -> None:
    import asyncio

    import aiomqtt

    try:
        code = asyncio.run(job)
    except (aiomqtt.MqttError, OSError, TimeoutError) as error:
        typer.echo(f"carm: no answer: {str(error) or 'in time'}; is the broker there?", err=True)
        raise typer.Exit(MACHINE) from None
    except ValueError as error:
        typer.echo(f"carm: {error}", err=True)
        raise typer.Exit(JUDGED_BAD) from None
    raise typer.Exit(code)


@service_app.command()
def watch(
    run_dir: MaybeRunDir = None, host: Host = "127.0.0.1", port: Port = 0,
    device: Device = "bench-1", certificates: Certificates = None, by: Person = None,
    seconds: Annotated[float, typer.Option(help="0: until Ctrl-C")] = 0,
) -> None:  # fmt: skip
    """A live table of the state."""
    target = words.target(run_dir, host, port, device, certificates, by, None)
    _run(words.watch(target, seconds))


@service_app.command()
def record(
    out: Path, run_dir: MaybeRunDir = None, host: Host = "127.0.0.1", port: Port = 0,
    device: Device = "bench-1", certificates: Certificates = None, by: Person = None,
    seconds: Annotated[float, typer.Option(help="0: until Ctrl-C")] = 0,
    protocol: Annotated[str, typer.Option(help="5 or 3.1.1")] = "5",
) -> None:  # fmt: skip
    """Write MQTT traffic down, commands included, for `carm referee --mqtt`."""
    from controller.cli import service_record

    target = words.target(run_dir, host, port, device, certificates, by, None)
    _run(service_record.record(target, out, seconds, protocol == "5"))


@service_app.command()
def command(
    name: Annotated[str, typer.Argument(autocompletion=_names)],
    argument: Annotated[
        list[str] | None, typer.Argument(help="key=value …", autocompletion=_keys)] = None,
    run_dir: MaybeRunDir = None, host: Host = "127.0.0.1", port: Port = 0,
    device: Device = "bench-1", certificates: Certificates = None, key: Key = None,
    by: Person = None, json: Json = False,
) -> None:  # fmt: skip
    """Send one command; exit 0 when done, 2 when refused."""
    target = words.target(run_dir, host, port, device, certificates, by, key)
    try:
        arguments = words.parsed(name, argument or [])
    except ValueError as error:
        refuse(refusal("argument", "input", name, argument, str(error), "see docs/mqtt.md"), json)
    _run(words.command(target, name, arguments, json))


@service_app.command()
def faults(
    run_dir: MaybeRunDir = None, host: Host = "127.0.0.1", port: Port = 0,
    device: Device = "bench-1", certificates: Certificates = None, by: Person = None,
    json: Json = False,
) -> None:  # fmt: skip
    """Faults held, with cause and remedy."""
    target = words.target(run_dir, host, port, device, certificates, by, None)
    _run(words.faults(target, json))


@service_app.command()
def log(
    run_dir: MaybeRunDir = None, host: Host = "127.0.0.1", port: Port = 0,
    device: Device = "bench-1", certificates: Certificates = None, key: Key = None,
    by: Person = None,
) -> None:  # fmt: skip
    """The event log, one line per event."""
    target = words.target(run_dir, host, port, device, certificates, by, key)
    _run(words.log(target))


@service_app.command()
def download(
    name: Annotated[str, typer.Argument(
        help="log, audit, blackbox or incident", autocompletion=_files)], out: Path,
    run_dir: MaybeRunDir = None, host: Host = "127.0.0.1", port: Port = 0,
    device: Device = "bench-1", certificates: Certificates = None, key: Key = None,
    by: Person = None,
) -> None:  # fmt: skip
    """Fetch a file, chunk by chunk, and compare its checksum."""
    if name not in words.DOWNLOADS:
        refuse(refusal("name", "input", "name", name, ", ".join(words.DOWNLOADS), "choose one"),
               False)  # fmt: skip
    target = words.target(run_dir, host, port, device, certificates, by, key)
    _run(words.download(target, words.DOWNLOADS[name], out))


assert REFUSED == 2
