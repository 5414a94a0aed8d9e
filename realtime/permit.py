"""The last gate: may an energy line change now?  A second opinion that shares no code.

Written from the requirements, not from the executive: it decodes the raw line packet and the raw
order bytes itself, and imports none of the deciding modules nor their tables, so one mistake
cannot sit in both.  It is asked before PULSE rises and before every toggle of PERMIT, and answers
with '' (agreed) or a code.  While PULSE is high it is asked again with every packet, before
anything else is done, and may withdraw.  It can only refuse.

Lives here: that answer, and what it needs to remember: fence, spacing, pulses granted per run.  May
not live here: schedules, states, or any way to make a pulse.
"""

from __future__ import annotations

import struct
import zlib
from typing import Any, Final

import msgpack

# Line bus packet, docs/line-bus.md.
_PACKET: Final = struct.Struct("<4sBBHIQII")
# Input bits, docs/lines.md: (NO, NC) per pedal; interlocks 6 … 13; read-backs.
_PEDAL_OF_MODE: Final = {
    "fluoro": (0, 1), "high_level": (2, 3), "one_shot": (4, 5), "cine": (4, 5), "dsa": (4, 5),
}  # fmt: skip
_INTERLOCK_BITS: Final = 0b11111111 << 6
_WINDOW: Final = 1 << 14
_XRAY_ON: Final = 1 << 15
_PERMIT_OK: Final = 1 << 16
_CHAIN_OK: Final = 1 << 17
_TONE: Final = 1 << 19
_NC_ALL: Final = 0b101010
_PEDALS_ALL: Final = 0b111111
# Output bits.
_OUT_PERMIT: Final = 1 << 0
_OUT_PULSE: Final = 1 << 1
_OUT_BANK: Final = 1 << 2
_AGE_NS_MAX: Final = 15_000_000
_ORDER_AHEAD_NS_MAX: Final = 100_000_000
_MARGIN_NS: Final = 1_000_000


class Gate:
    """The last gate.  `inhibited` (first light) agrees to no PERMIT toggle at all."""

    __slots__ = ("_cap_us", "_contacts", "_epoch", "_granted", "_inhibited", "_last_pulse_ns",
                 "_order", "_order_raw", "_run_id", "_spacing_ns")  # fmt: skip

    def __init__(self, spacing_ns: int, cap_us: int, inhibited: bool = False) -> None:
        self._spacing_ns = spacing_ns
        self._cap_us = cap_us
        self._inhibited = inhibited
        self._last_pulse_ns = -spacing_ns
        self._run_id = 0
        self._granted = 0
        self._contacts = _PEDAL_OF_MODE["fluoro"]
        self._epoch = 0
        self._order_raw = b""
        self._order: dict[str, Any] = {}

    def agree(
        self, now_ns: int, packet: bytes, received_ns: int, order: bytes, before: int, wanted: int
    ) -> str:
        """May the output bank go from `before` to `wanted`, PULSE rising or PERMIT moving?"""
        levels = self._levels(now_ns, packet, received_ns)
        if levels < 0:
            return "lines"
        lease = self._lease(order)
        if not lease:
            return "order"
        return self._common(now_ns, levels, lease) or (
            self._pulse(now_ns, levels, lease, wanted) if wanted & ~before & _OUT_PULSE else ""
        )

    def withdraws(self, now_ns: int, packet: bytes, received_ns: int) -> str:
        """PULSE is high: a code when the newest packet no longer allows it, else ''."""
        levels = self._levels(now_ns, packet, received_ns)
        if levels < 0:
            return "lines"
        if levels & _INTERLOCK_BITS != _INTERLOCK_BITS:
            return "interlock"
        no_bit, nc_bit = self._contacts
        if not levels >> no_bit & 1 or levels >> nc_bit & 1:
            return "pedal"
        return ""

    def rehearse(
        self, now_ns: int, packet: bytes, received_ns: int, order: bytes, wanted: int
    ) -> str:
        """Everything `agree` does for a rise of PULSE, granting nothing."""
        levels = self._levels(now_ns, packet, received_ns)
        lease = self._lease(order)
        if levels < 0 or not lease:
            return "lines or order"
        self.withdraws(now_ns, packet, received_ns)
        return self._common(now_ns, levels, lease) or self._lacks(now_ns, levels, lease, wanted)

    def agree_exercise(self, now_ns: int, packet: bytes, received_ns: int, wanted: int) -> str:
        """The same question in a self-test: nothing can shine, because every pedal is up."""
        levels = self._levels(now_ns, packet, received_ns)
        if levels < 0:
            return "lines"
        if levels & _PEDALS_ALL != _NC_ALL:
            return "pedals"
        if levels & _CHAIN_OK:
            return "chain"
        if levels & _XRAY_ON:
            return "xray"
        if wanted & _OUT_PULSE and levels & _PERMIT_OK:
            return "permit_ok"
        # PERMIT begins low; who never lets it rise has it at rest for ever.
        if self._inhibited and wanted & _OUT_PERMIT:
            return "inhibited"
        return ""

    def _levels(self, now_ns: int, packet: bytes, received_ns: int) -> int:
        if len(packet) != _PACKET.size or not 0 <= now_ns - received_ns <= _AGE_NS_MAX:
            return -1
        magic, kind, version, reserved, _seq, _stamp, levels, crc = _PACKET.unpack(packet)
        if (magic, kind, version, reserved) != (b"CLB1", 1, 1, 0):
            return -1
        return int(levels) if crc == zlib.crc32(packet[:24]) else -1

    def _lease(self, raw: bytes) -> dict[str, Any]:
        if raw and raw == self._order_raw:
            return self._order
        try:
            body = msgpack.unpackb(raw)
        except Exception:  # noqa: BLE001 - whatever is wrong with the bytes, the answer is no
            return {}
        if type(body) is not dict or body.get("m") != "order" or body.get("v") != 1:
            return {}
        if type(body.get("mode")) is not str or body["mode"] not in _PEDAL_OF_MODE:
            return {}
        numbers = ("supervisor_epoch", "run_id", "last_pulse_n", "expires_ns", "set_us",
                   "rise_us", "tail_us", "bank")  # fmt: skip
        if any(type(body.get(name)) is not int for name in numbers):
            return {}
        self._order_raw, self._order = raw, body
        return body

    def _common(self, now_ns: int, levels: int, lease: dict[str, Any]) -> str:
        if self._inhibited:
            return "inhibited"
        if levels & _INTERLOCK_BITS != _INTERLOCK_BITS:
            return "interlock"
        no_bit, nc_bit = _PEDAL_OF_MODE[lease["mode"]]
        if not levels >> no_bit & 1 or levels >> nc_bit & 1:
            return "pedal"
        if lease["mode"] == "high_level" and not levels & _TONE:
            return "tone"
        if not now_ns < lease["expires_ns"] <= now_ns + _ORDER_AHEAD_NS_MAX:
            return "expired"
        if lease["supervisor_epoch"] < self._epoch:
            return "epoch"
        self._epoch = lease["supervisor_epoch"]
        return ""

    def _pulse(self, now_ns: int, levels: int, lease: dict[str, Any], wanted: int) -> str:
        if lease["run_id"] < self._run_id:
            return "run"
        if lease["run_id"] > self._run_id:
            self._run_id, self._granted = lease["run_id"], 0
        code = self._lacks(now_ns, levels, lease, wanted)
        if not code:
            self._granted += 1
            self._last_pulse_ns = now_ns
            self._contacts = _PEDAL_OF_MODE[lease["mode"]]
        return code

    def _lacks(self, now_ns: int, levels: int, lease: dict[str, Any], wanted: int) -> str:
        end_ns = now_ns + (lease["rise_us"] + lease["set_us"] + lease["tail_us"]) * 1000
        checks = (
            ("window", levels & _WINDOW),
            ("permit_ok", levels & _PERMIT_OK),
            ("chain", levels & _CHAIN_OK),
            ("xray", not levels & _XRAY_ON),
            ("width", 0 < lease["set_us"] <= self._cap_us),
            ("lease", end_ns < lease["expires_ns"]),
            ("credit", self._granted <= lease["last_pulse_n"]),
            ("spacing", now_ns - self._last_pulse_ns >= self._spacing_ns - _MARGIN_NS),
            ("bank", bool(wanted & _OUT_BANK) == bool(lease["bank"])),
        )
        for code, good in checks:
            if not good:
                return code
        return ""
