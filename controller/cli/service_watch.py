"""The live table of `carm service watch`: the machine at a glance, from its published states.

Lives here: pictures of states and events for people, as Rich values.  May not live here: MQTT
(`controller.cli.service_client`), or a state that was not published: what is unknown is shown so.
"""

from __future__ import annotations

import datetime as dt
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

State = Mapping[str, Any]
ROWS_MAX: Final = 6
EVENTS_MAX: Final = 6
UNKNOWN: Final = Text("not known yet", style="dim")
_COLOUR: Final = {"FAULT": "bold red", "EXPOSING": "bold yellow", "PREP": "yellow",
                  "READY": "bold green", "HOLD": "bold green"}  # fmt: skip


@dataclass
class Seen:
    """Everything heard so far: the newest of every state and telemetry, and the last events."""

    device: str
    said: dict[str, State] = field(default_factory=dict)
    events: deque[tuple[str, State]] = field(default_factory=lambda: deque(maxlen=EVENTS_MAX))

    def take(self, topic: str, value: State) -> None:
        """One message, by its topic below the device."""
        if topic.startswith("event/"):
            self.events.append((topic.removeprefix("event/"), value))
        else:
            self.said[topic] = value

    def state(self, name: str) -> State | None:
        """The newest state of this name."""
        return self.said.get(f"state/{name}")


def _lamp(good: bool, name: str, bad: str = "red") -> Text:
    return Text(f"{'●' if good else '○'} {name}  ", style="green" if good else bad)


def _head(seen: Seen) -> Text:
    mode, service, session = (seen.state(one) for one in ("mode", "service", "session"))
    text = Text(f"{seen.device}  ", style="bold")
    if service is None or not service["online"]:
        return text.append("OFFLINE: the service process is not there", style="bold red")
    if mode is not None:
        text.append(mode["mode"], style=_COLOUR.get(mode["mode"], "bold"))
        text.append("  dark" if mode["dark"] else "  BEAM", "green" if mode["dark"] else "yellow")
    if service["epoch"] is None:
        text.append("  the supervisor does not answer", style="bold red")
    if session is not None and session["open"]:
        until = dt.datetime.fromtimestamp(session["until_ms"] / 1000).astimezone()
        text.append(f"  service session until {until:%H:%M:%S}", style="cyan")
    return text


def _lines(seen: Seen) -> RenderableType:
    interlocks, pedals = seen.state("interlocks"), seen.state("pedals")
    if interlocks is None or pedals is None:
        return UNKNOWN
    text = Text()
    for name, level in interlocks["lines"].items():
        text.append_text(_lamp(level == "closed", name))
    known = "pedals up" if pedals["up"] else "pedals not known" if pedals["up"] is None else "PEDAL"
    return text.append_text(_lamp(pedals["up"] is True, known, "yellow"))


def _table(columns: Iterable[str], rows: list[list[str]], none: str) -> RenderableType:
    if not rows:
        return Text(none, style="green")
    table = Table(*columns, box=None, pad_edge=False, header_style="dim", expand=True)
    for row in rows[:ROWS_MAX]:
        table.add_row(*row)
    if len(rows) > ROWS_MAX:
        table.add_row(Text(f"… and {len(rows) - ROWS_MAX} more", style="dim"))
    return table


def _word(value: Any) -> str:
    if value is None:
        return "—"
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


def _why(seen: Seen) -> RenderableType:
    state = seen.state("why")
    rows = [[one["code"], _word(one["value"]), one["limit"], one["remedy"]]
            for one in (state or {}).get("reasons", [])]  # fmt: skip
    return _table(("reason", "is", "has to be", "remedy"), rows, "nothing keeps it dark")


def _faults(seen: Seen) -> RenderableType:
    state = seen.state("faults")
    rows = [[one["id"], one["detail"], one["remedy"], one["acknowledged_by"] or "nobody"]
            for one in (state or {}).get("faults", [])]  # fmt: skip
    return _table(("fault", "detail", "remedy", "seen by"), rows, "no fault is held")


def _technique(seen: Seen) -> RenderableType:
    one, time, heat = (seen.state(name) for name in ("technique", "irradiation", "heat"))
    if one is None or time is None or heat is None:
        return UNKNOWN
    minutes, seconds = divmod(time["irradiation_ms"] / 1000, 60)
    held = "committed" if one["committed"] else "not committed"
    share = heat["per_mille"]
    hot = "heat not known" if share is None else f"tube heat {share / 10:.1f} %"
    return Text(f"{one['kv']:g} kV  {one['ma']:g} mA  {one['ms']:g} ms  {one['pulses_per_s']:g}/s  "
                f"{one['filter']}  {held}\n{int(minutes)}:{seconds:04.1f} of irradiation, "
                f"{time['pulses']} pulses, {time['skipped']} skipped; {hot}")  # fmt: skip


def _processes(seen: Seen) -> RenderableType:
    state, service = seen.state("processes"), seen.state("service")
    beam, own = seen.said.get("telemetry/beam"), seen.said.get("telemetry/service")
    text = Text()
    for name, one in (state or {}).get("processes", {}).items():
        text.append_text(_lamp(one["up"], f"{name} {one['pid']}"))
    text.append_text(_lamp(bool(state and state["generator"]), "generator"))
    if service is not None:
        text.append_text(_lamp(service["online"], f"service {service['pid']}"))
    if beam is not None:
        text.append(f"\nlatest turn {beam['late_max_us']:.0f} µs late, {beam['late_turns']} late "
                    f"turns, {beam['black_box_unread']} records unread")  # fmt: skip
    if own is not None:
        text.append(f"\ncommands: {own['accepted']} accepted, {own['refused']} refused; "
                    f"{own['rss_kib'] // 1024} MiB")  # fmt: skip
    return text


def _events(seen: Seen) -> RenderableType:
    rows = []
    for name, one in reversed(seen.events):
        at = dt.datetime.fromtimestamp(one["t_ms"] / 1000).astimezone()
        rest = "  ".join(f"{k} {v}" for k, v in one.items() if k not in ("seq", "t_ms") and v != "")
        rows.append([f"{at:%H:%M:%S}", name, rest])
    return _table(("at", "event", ""), rows, "none since we listen")


def view(seen: Seen) -> RenderableType:
    """Everything, as tall as it needs to be."""
    parts = {"interlocks and pedals": _lines, "faults held": _faults, "why it is dark": _why,
             "technique": _technique, "processes": _processes, "events": _events}  # fmt: skip
    panels = [Panel(draw(seen), title=title, title_align="left", border_style="dim")
              for title, draw in parts.items()]  # fmt: skip
    return Group(_head(seen), *panels)
