"""The incident bundle: everything somebody far away needs, in one offline zip file.

Lives here: collecting and packing, in a thread of its own.  May not live here: when, or sending.
What cannot be had is named in `missing.json` with its reason; the bundle is made all the same.
"""

from __future__ import annotations

import html
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from controller.core.refusal import Refusal
from controller.service.downloads import Bundle, black_box_rows
from controller.stream.subscriber import Subscriber

RECORDS_MAX: Final = 2048
PULSES_DRAWN_MAX: Final = 8
HEADERS_MAX: Final = 64
HEADER_WAIT_S: Final = 0.3
LINES_SHOWN_MAX: Final = 400
TIMING: Final = "timing.svg"
LOG_TAIL_BYTES: Final = 65_536
# A zip entry needs a date; a fixed one makes the same incident the same bytes.
_DATE: Final = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Sources:
    """Where an incident is collected from; `events` are JSON lines, `picture` the last one."""

    run_dir: Path
    config: Path
    frames: str
    picture: Mapping[str, Any]
    versions: Mapping[str, Any]
    events: Sequence[str]


def collect(sources: Sources, progress: Callable[[int, int], None]) -> Bundle:
    """Make the bundle; `progress(done, total)` is called from this thread."""
    parts: list[tuple[str, Callable[[], str]]] = [
        ("status.json", lambda: _json(sources.picture["status"])),
        ("why.json", lambda: _json(sources.picture["why"])),
        ("faults.json", lambda: _json(sources.picture["faults"])),
        ("versions.json", lambda: _json(sources.versions)),
        ("configuration.toml", lambda: sources.config.read_text(encoding="utf-8")),
        ("events.jsonl", lambda: "".join(f"{text}\n" for text in sources.events)),
        ("blackbox.jsonl", lambda: _jsonl(black_box_rows(sources.run_dir, RECORDS_MAX))),
        (TIMING, lambda: timing_svg(black_box_rows(sources.run_dir, PULSES_DRAWN_MAX))),
        ("headers.jsonl", lambda: _jsonl(_headers(sources.frames))),
        ("log.txt", lambda: _log_tails(sources.run_dir)),
    ]
    room, missing, kept = io.BytesIO(), dict[str, str](), dict[str, str]()
    with zipfile.ZipFile(room, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (name, make) in enumerate(parts, start=1):
            try:
                kept[name] = make()
                archive.writestr(zipfile.ZipInfo(name, _DATE), kept[name])
            except (Refusal, OSError, KeyError, ValueError) as error:
                missing[name] = str(error)
            progress(number, len(parts))
        archive.writestr(zipfile.ZipInfo("missing.json", _DATE), _json(missing))
        archive.writestr(zipfile.ZipInfo("index.html", _DATE), _index(sources, kept, missing))
    return Bundle("incident.zip", room.getvalue())


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def _jsonl(rows: Sequence[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, default=str) + "\n" for row in rows)


def _headers(endpoint: str) -> list[dict[str, Any]]:
    """What the stream tells a late joiner: the start of the series and the last image."""
    subscriber = Subscriber(endpoint)
    found: list[dict[str, Any]] = []
    try:
        while len(found) < HEADERS_MAX and (came := subscriber.receive(HEADER_WAIT_S)) is not None:
            found.append({"topic": came[0], **came[1]})
    finally:
        subscriber.close()
    return found


def _log_tails(run_dir: Path) -> str:
    text = []
    for path in sorted((run_dir / "log").glob("*.log")):
        tail = path.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")
        text.append(f"── {path.name} ──\n{tail}\n")
    return "".join(text)


def _part(name: str, text: str) -> str:
    """One file inside the page, its end when it is long."""
    lines = text.splitlines()
    cut = f"… {len(lines) - LINES_SHOWN_MAX} lines before\n" if len(lines) > LINES_SHOWN_MAX else ""
    shown = html.escape(cut + "\n".join(lines[-LINES_SHOWN_MAX:]))
    return f"<details><summary>{html.escape(name)}</summary><pre>{shown}</pre></details>"


def _index(sources: Sources, kept: Mapping[str, str], missing: Mapping[str, str]) -> str:
    """A page that needs no other file and no network."""
    status = sources.picture["status"]
    rows = "".join(
        f"<tr><td>{html.escape(one['id'])}<td>{html.escape(one['cause'])}"
        f"<td>{html.escape(one['detail'])}<td>{html.escape(one['remedy'])}"
        for one in sources.picture["faults"]
    )
    parts = "".join(_part(name, text) for name, text in kept.items() if name != TIMING)
    lacks = "".join(f"<li>{html.escape(n)}: {html.escape(why)}" for n, why in missing.items())
    return (
        "<!doctype html><meta charset=utf-8><title>Incident</title>"
        "<style>body{font-family:sans-serif;margin:1em}td,th{padding:2px 8px;text-align:left}"
        "pre{background:#f4f4f4;overflow:auto;max-height:30em}</style>"
        f"<h1>{html.escape(str(status['device']))}: {html.escape(status['mode'])}</h1>"
        f"<h2>Faults held</h2><table border=1><tr><th>id<th>cause<th>detail<th>remedy{rows}</table>"
        f"<h2>The last pulses</h2>{kept.get(TIMING, 'no picture')}"
        f"<h2>Files</h2>{parts}<h2>Missing</h2><ul>{lacks or '<li>nothing'}</ul>\n"
    )


def timing_svg(rows: Sequence[Mapping[str, Any]]) -> str:
    """The last pulses one below the other: set width, PULSE, X-rays, on a scale of ms from due."""
    pulses = [row for row in rows if row.get("start_ns") and row.get("end_ns")]
    span_ms = max([12.0, *((row["end_ns"] - row["start_ns"]) / 1e6 + 2 for row in pulses)])
    height, left, width = 46 * len(pulses) + 40, 120, 760
    size = f'width="{left + width + 20}" height="{height}"'
    font = 'font-family="sans-serif" font-size="11"'
    drawn = [f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font}>']
    for line, row in enumerate(pulses):
        top = 20 + 46 * line
        drawn.append(f'<text x="4" y="{top + 16}">pulse {row["pulse_id"]}</text>')
        drawn.append(f'<text x="4" y="{top + 30}">{html.escape(str(row["end_reason"]))}</text>')
        zero_ns = row["start_ns"]
        bars = [("#888", row["start_ns"], row["start_ns"] + row["set_us"] * 1000),
                ("#06c", row["start_ns"], row["end_ns"]),
                ("#c60", row["xray_on_ns"], row["xray_off_ns"])]  # fmt: skip
        for lane, (colour, on_ns, off_ns) in enumerate(bars):
            if on_ns and off_ns:
                x = left + (on_ns - zero_ns) / 1e6 / span_ms * width
                long = max(1.0, (off_ns - on_ns) / 1e6 / span_ms * width)
                drawn.append(f'<rect x="{x:.1f}" y="{top + 12 * lane}" width="{long:.1f}" '
                             f'height="9" fill="{colour}"/>')  # fmt: skip
    drawn.append(f'<text x="{left}" y="{height - 8}">grey: set width, blue: PULSE, orange: X-rays; '
                 f"the whole width is {span_ms:.1f} ms</text></svg>\n")  # fmt: skip
    return "\n".join(drawn)
