"""What the supervisor shows of itself: status, why, faults, as JSON-able objects.

Lives here: the objects behind `carm status`, `carm why` and `carm faults`.  May not live here:
anything that changes state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from controller.core.condition import Core
from controller.core.faults import table
from controller.core.modes import DISTANCE
from controller.core.technique import EDITABLE
from controller.core.why import reasons
from realtime.wire.lines import In


def status(core: Core, now_ns: int) -> dict[str, Any]:
    """`carm.status/1`: mode, links, technique, faults, counters."""
    run = core.run
    return {
        "schema": "carm.status/1",
        "mode": core.mode.value,
        "distance": DISTANCE[core.mode],
        "device": core.config["device"],
        "epoch": core.epoch,
        "run_id": run.run_id if run is not None else None,
        "cine_mode": core.cine_mode.value,
        "technique": core.wanted.shown(),
        "committed_id": core.committed.technique_id if core.committed is not None else None,
        "bank": core.bank,
        "editable": list(EDITABLE),
        "rates": list(core.config["technique.rates"]),
        "executive": _executive(core, now_ns),
        "imaging": _imaging(core, now_ns),
        "generator": _generator(core),
        "durable": {"ok": core.durable.ok, "copied": core.durable.copied,
                    "unread": core.durable.unread, "detail": core.durable.detail},
        "faults": [held.shown() for held in core.faults],
        "self_test": [one.shown() for one in core.results],
        "reconciliation": core.finding.detail if core.finding is not None else None,
        "held_image": core.held_image,
        "last_run": dict(core.last_run) or None,
        "results_rejected": core.pairing.rejected,
    }  # fmt: skip


def _executive(core: Core, now_ns: int) -> dict[str, Any]:
    state = core.executive.state
    shown: dict[str, Any] = {"up": core.executive.up, "pid": core.executive.pid,
                             "epoch": core.executive.epoch}  # fmt: skip
    if state is None:
        return shown
    return shown | {
        "age_ms": (now_ns - core.executive.state_ns) // 1_000_000,
        "beam": state.beam, "run_id": state.run_id, "line_bus": state.link,
        "lines": {line.name.lower(): state.lines_in >> line & 1 for line in In},
        "trips": list(state.trips), "inhibits": list(state.inhibits),
        "pulses": state.pulses, "skipped": state.skipped,
        "irradiation_ms": state.irradiation_ms, "late_max_us": state.late_max_ns / 1000,
        "late_turns": state.late_turns, "late_cause": state.late_cause,
        "black_box_unread": state.black_box_unread,
    }  # fmt: skip


def _imaging(core: Core, now_ns: int) -> dict[str, Any]:
    state = core.imaging.state
    shown: dict[str, Any] = {"up": core.imaging.up, "pid": core.imaging.pid,
                             "epoch": core.imaging.epoch}  # fmt: skip
    if state is None:
        return shown
    return shown | {
        "age_ms": (now_ns - core.imaging.state_ns) // 1_000_000,
        "panel_link": state.panel_link, "executive_link": state.executive_link,
        "frames_read": state.frames_read, "frames_published": state.frames_published,
        "frames_missing": state.frames_missing, "detail": state.detail,
    }  # fmt: skip


def _generator(core: Core) -> dict[str, Any]:
    generator, status = core.generator, core.generator.status
    if status is None:
        return {"up": generator.up, "detail": generator.down_detail}
    return {
        "up": generator.up, "detail": "" if generator.up else generator.down_detail,
        "rotor_ready": status.rotor_ready, "filament_ready": status.filament_ready,
        "faults": status.faults, "heat_per_mille": status.heat_per_mille,
        "counter": core.pairing.counter,
    }  # fmt: skip


def why(core: Core, now_ns: int) -> dict[str, Any]:
    """`carm.why/1`: every reason that keeps the beam dark now, in order."""
    return {
        "schema": "carm.why/1",
        "mode": core.mode.value,
        "reasons": [reason.shown() for reason in reasons(core, now_ns)],
    }


def faults(core: Core, now_ns: int) -> dict[str, Any]:
    """`carm.faults/1`: the catalogue and what of it is held."""
    return {
        "schema": "carm.faults/1",
        "mode": core.mode.value,
        "held": [held.shown() for held in core.faults],
        "catalogue": table(),
    }


ANSWERS: Final[Mapping[str, Callable[[Core, int], dict[str, Any]]]] = {
    "status": status, "why": why, "faults": faults,
}  # fmt: skip
