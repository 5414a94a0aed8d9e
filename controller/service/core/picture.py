"""From the supervisor's picture to the published states, telemetry and events.

Lives here: plain functions of pictures.  May not live here: when something is published, or to whom
(`controller.service.publisher`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from controller.service.core.commands import Strict
from controller.service.core.envelope import scalar
from controller.service.core.states import (
    BeamTelemetry,
    FaultHeld,
    FaultState,
    GeneratorTelemetry,
    HeatState,
    ImagingTelemetry,
    InterlockLines,
    InterlockState,
    IrradiationState,
    ModeState,
    PedalContacts,
    PedalState,
    ProcessesSeen,
    ProcessesState,
    ProcessState,
    SelfTestState,
    TechniqueState,
    WhyState,
)
from controller.service.core.status import Step, WhyReason
from realtime.wire.lines import INTERLOCKS, PEDALS, In

Picture = Mapping[str, Any]
_INTERLOCKS: Final = [line.name.lower() for line in In if INTERLOCKS >> line & 1]
_PEDALS: Final = [line.name.lower() for line in In if PEDALS >> line & 1]


# What moves by itself in every picture; no state and no event is made of it.
_MOVING: Final = frozenset({"age_ms", "late_max_us", "late_turns", "late_cause"})


def essence(picture: Picture) -> Picture:
    """The picture without what moves by itself: equal ones give equal states and no event."""
    status = picture["status"]
    still = {
        name: {key: value for key, value in status[name].items() if key not in _MOVING}
        for name in ("executive", "imaging")
    }
    opened = picture["session_left_ms"] > 0
    return {**picture, "t_ns": 0, "session_left_ms": opened, "status": {**status, **still}}


def _executive(picture: Picture) -> Mapping[str, Any]:
    found: Mapping[str, Any] = picture["status"]["executive"]
    return found


def _known(picture: Picture) -> bool:
    executive = _executive(picture)
    return bool(executive.get("up") and executive.get("line_bus"))


def mode(picture: Picture) -> ModeState:
    """Mode and distance from X-rays."""
    status = picture["status"]
    return ModeState(mode=status["mode"], distance=status["distance"], dark=picture["dark"])


def reasons(picture: Picture) -> list[dict[str, Any]]:
    """The reasons as the supervisor gives them, each with a value that a message may carry."""
    return [{**one, "value": scalar(one["value"])} for one in picture["why"]]


def why(picture: Picture) -> WhyState:
    """Everything that keeps the beam dark."""
    return WhyState(reasons=[WhyReason(**one) for one in reasons(picture)])


def interlocks(picture: Picture) -> InterlockState:
    """Unknown is open."""
    lines = _executive(picture).get("lines", {})
    known = _known(picture)
    levels = {n: "closed" if known and lines.get(n) else "open" for n in _INTERLOCKS}
    return InterlockState(known=known, lines=InterlockLines(**levels))


def pedals(picture: Picture) -> PedalState:
    """The contacts, as far as known."""
    lines = _executive(picture).get("lines", {})
    known = _known(picture)
    whole = known and all(name in lines for name in _PEDALS)
    contacts = PedalContacts(**{n: int(lines[n]) for n in _PEDALS}) if whole else None
    return PedalState(known=known, up=picture["pedals_up"], contacts=contacts)


def faults(picture: Picture) -> FaultState:
    """Faults held."""
    names = FaultHeld.model_fields
    return FaultState(faults=[FaultHeld(**{n: one[n] for n in names}) for one in picture["faults"]])


def technique(picture: Picture) -> TechniqueState:
    """The operator's technique."""
    status = picture["status"]
    shown = status["technique"]
    id_ = shown["technique_id"]
    return TechniqueState(
        id=id_, kv=float(shown["kv"]), ma=float(shown["ma"]), ms=float(shown["ms"]),
        filter=shown["filter"], field_mm=float(shown["field_mm"]),
        pulses_per_s=float(shown["pulses_per_s"]), committed=status["committed_id"] == id_,
    )  # fmt: skip


def irradiation(picture: Picture) -> IrradiationState:
    """Counters of realtime since it started."""
    executive = _executive(picture)
    names = ("irradiation_ms", "pulses", "skipped")
    return IrradiationState(**{name: int(executive.get(name, 0)) for name in names})


def heat(picture: Picture) -> HeatState:
    """What the generator says."""
    return HeatState(per_mille=picture["status"]["generator"].get("heat_per_mille"))


def _process(shown: Mapping[str, Any]) -> ProcessState:
    return ProcessState(up=shown["up"], pid=shown["pid"], epoch=shown["epoch"])


def processes(picture: Picture) -> ProcessesState:
    """Who is there."""
    status = picture["status"]
    found = ProcessesSeen(realtime=_process(status["executive"]),
                          imaging=_process(status["imaging"]))  # fmt: skip
    return ProcessesState(processes=found, generator=bool(status["generator"]["up"]))


def self_test(picture: Picture) -> SelfTestState:
    """Steps of the last self-test."""
    steps = [one | {"value": float(one["value"])} for one in picture["status"]["self_test"]]
    return SelfTestState(steps=[Step(**one) for one in steps])


STATE_OF: Final[Mapping[str, Callable[[Picture], Strict]]] = {
    "mode": mode, "why": why, "interlocks": interlocks, "pedals": pedals, "faults": faults,
    "technique": technique, "irradiation": irradiation, "heat": heat, "processes": processes,
    "self_test": self_test,
}  # fmt: skip


def beam_telemetry(picture: Picture, t_ms: int) -> BeamTelemetry | None:
    """None while realtime is not there."""
    shown = _executive(picture)
    if "beam" not in shown:
        return None
    names = ("beam", "pulses", "skipped", "irradiation_ms", "late_turns", "black_box_unread")
    late_us = float(shown["late_max_us"])
    return BeamTelemetry(t_ms=t_ms, late_max_us=late_us, **{name: shown[name] for name in names})


def imaging_telemetry(picture: Picture, t_ms: int) -> ImagingTelemetry | None:
    """None while imaging is not there."""
    shown = picture["status"]["imaging"]
    if "frames_read" not in shown:
        return None
    names = ("frames_read", "frames_published", "frames_missing")
    return ImagingTelemetry(t_ms=t_ms, **{name: shown[name] for name in names})


def generator_telemetry(picture: Picture, t_ms: int) -> GeneratorTelemetry | None:
    """None while the generator is not there."""
    shown = picture["status"]["generator"]
    if "rotor_ready" not in shown:
        return None
    names = ("rotor_ready", "filament_ready", "faults", "heat_per_mille")
    return GeneratorTelemetry(t_ms=t_ms, **{name: shown[name] for name in names})


TELEMETRY_OF: Final[Mapping[str, Callable[[Picture, int], Strict | None]]] = {
    "beam": beam_telemetry, "imaging": imaging_telemetry, "generator": generator_telemetry,
}  # fmt: skip


def changes(before: Picture | None, after: Picture) -> Iterator[tuple[str, dict[str, Any]]]:
    """Events between two pictures: (topic, fields without `seq` and `t_ms`)."""
    now_mode = after["status"]["mode"]
    if before is None:
        yield "mode", {"before": None, "mode": now_mode}
        return
    if before["status"]["mode"] != now_mode:
        yield "mode", {"before": before["status"]["mode"], "mode": now_mode}
    yield from _fault_changes(before, after)
    was_open, is_open = before["session_left_ms"] > 0, after["session_left_ms"] > 0
    if was_open != is_open:
        yield "session", {"open": is_open}
    was, now = processes(before).processes, processes(after).processes
    for name in ProcessesSeen.model_fields:
        up = getattr(now, name).up
        if up != getattr(was, name).up:
            yield "process", {"process": name, "up": up}


def _fault_changes(before: Picture, after: Picture) -> Iterator[tuple[str, dict[str, Any]]]:
    was = {one["id"]: one for one in before["faults"]}
    now = {one["id"]: one for one in after["faults"]}
    for id_, one in now.items():
        if id_ not in was:
            yield "fault", {"fault": id_, "change": "raised", "detail": one["detail"]}
        elif one["acknowledged_by"] != was[id_]["acknowledged_by"]:
            by = one["acknowledged_by"] or ""
            yield "fault", {"fault": id_, "change": "acknowledged", "detail": by}
    for id_, one in was.items():
        if id_ not in now:
            yield "fault", {"fault": id_, "change": "cleared", "detail": one["detail"]}
