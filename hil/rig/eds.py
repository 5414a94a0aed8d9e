"""The object dictionary of the default generator, and the EDS text made of it.

Lives here: one table of objects, `python -m hil.rig.eds` which writes `realtime/wire/generator.eds`
and its copy in `docs/`.  May not live here: behaviour (`hil.rig.generator_node`).  A test compares
both files with the table.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

U8, U16, U32, DOMAIN = 0x05, 0x06, 0x07, 0x0F
VAR, RECORD = 7, 9
ROOT: Final = Path(__file__).resolve().parents[2]
FILES: Final = (ROOT / "realtime/wire/generator.eds", ROOT / "docs/generator.eds")

STATUS, PREPARE, FAULT_RESET = 0x2000, 0x2001, 0x2002
BANK_0, BANK_1 = 0x2100, 0x2101
PULSE_COUNT, RESULT_RING, RESULT_OF, LAST_RESULT = 0x2200, 0x2201, 0x2202, 0x2203


class Entry(NamedTuple):
    """One value: name, type, access, default, and its limits where they are fixed."""

    name: str
    kind: int
    access: str
    default: str = ""
    low: str = ""
    high: str = ""


class Thing(NamedTuple):
    """One object: address, name, entries (one = a plain variable, more = a record from sub 1)."""

    address: int
    name: str
    entries: tuple[Entry, ...]


def _one(index: int, entry: Entry) -> Thing:
    return Thing(index, entry.name, (entry,))


def _mapping(index: int, name: str, *mapped: tuple[int, int, int]) -> Thing:
    rows = (
        Entry(f"Mapped object {n}", U32, "const", f"0x{i:04X}{sub:02X}{bits:02X}")
        for n, (i, sub, bits) in enumerate(mapped, 1)
    )
    return Thing(index, name, tuple(rows))


def _pdo(number: int, base: int) -> Thing:
    return Thing(0x1800 + number - 1, f"Transmit PDO {number}", (
        Entry("COB-ID", U32, "const", f"$NODEID+0x{base:X}"),
        Entry("Transmission type", U8, "const", "255"),
    ))  # fmt: skip


def _bank(index: int) -> Thing:
    return Thing(index, f"Technique bank {index - BANK_0}", (
        Entry("Technique id", U32, "rw", "0"),
        Entry("Tube voltage, 0.1 kV", U16, "rw", "0"),
        Entry("Tube current, 0.01 mA", U32, "rw", "0"),
        Entry("Set pulse width, us", U32, "rw", "0"),
        Entry("Filter (0 none, 1 3Al+0.1Cu)", U8, "rw", "0", "0", "1"),
        Entry("Check: CRC-32 of the five values packed <IHIIB", U32, "rw", "0"),
    ))  # fmt: skip


OBJECTS: Final = (
    _one(0x1000, Entry("Device type", U32, "ro", "0x00000000")),
    _one(0x1001, Entry("Error register", U8, "ro", "0")),
    _one(0x1014, Entry("COB-ID EMCY", U32, "const", "$NODEID+0x80")),
    _one(0x1017, Entry("Producer heartbeat time, ms", U16, "rw", "100")),
    Thing(0x1018, "Identity", (
        Entry("Vendor-ID", U32, "ro", "0"),
        Entry("Product code", U32, "ro", "0x43524731"),
        Entry("Revision number", U32, "ro", "1"),
        Entry("Serial number", U32, "ro", "1"),
    )),
    _pdo(1, 0x180), _pdo(2, 0x280), _pdo(3, 0x380),
    _mapping(0x1A00, "Mapping of PDO 1", (LAST_RESULT, 1, 32), (LAST_RESULT, 2, 32)),
    _mapping(0x1A01, "Mapping of PDO 2", (LAST_RESULT, 3, 16), (LAST_RESULT, 4, 16),
             (LAST_RESULT, 5, 16), (LAST_RESULT, 6, 16)),
    _mapping(0x1A02, "Mapping of PDO 3", (STATUS, 1, 8), (STATUS, 2, 8), (STATUS, 3, 8),
             (STATUS, 7, 8), (STATUS, 4, 16), (STATUS, 5, 16)),
    Thing(STATUS, "Status", (
        Entry("State: 0 off, 1 standby, 2 preparing, 3 ready, 5 fault", U8, "ro", "0"),
        Entry("Rotor at speed", U8, "ro", "0"),
        Entry("Filament ready", U8, "ro", "0"),
        Entry("Fault bits", U16, "ro", "0"),
        Entry("Anode heat, per mille", U16, "ro", "0"),
        Entry("Gate count: rises of PULSE and WINDOW", U32, "ro", "0"),
        Entry("Level of WINDOW at the generator", U8, "ro", "0"),
    )),
    _one(PREPARE, Entry("Prepare: 1 rotor to speed and filament boost, 0 rest", U8, "rw", "0",
                        "0", "1")),
    _one(FAULT_RESET, Entry("Fault reset: write 1", U8, "wo", "", "1", "1")),
    _bank(BANK_0), _bank(BANK_1),
    _one(PULSE_COUNT, Entry("Pulse counter, persistent", U32, "ro", "0")),
    _one(RESULT_RING, Entry("Last results, oldest first, 20 bytes each packed <IIIHHHBB", DOMAIN,
                            "ro")),
    Thing(RESULT_OF, "Result of one pulse", (
        Entry("Counter: write to choose (one of the last 256)", U32, "rw", "0"),
        Entry("Technique id", U32, "ro", "0"),
        Entry("Width at kV above 75 %, us", U32, "ro", "0"),
        Entry("Tube voltage, 0.1 kV", U16, "ro", "0"),
        Entry("Charge, 0.001 mAs", U16, "ro", "0"),
        Entry("Tube current, 0.01 mA", U16, "ro", "0"),
        Entry("Bank", U8, "ro", "0"),
        Entry("Flags: 1 truncated 2 back-up timer 4 permit 8 chain 16 window 32 unasked", U8,
              "ro", "0"),
    )),
    Thing(LAST_RESULT, "Last result", (
        Entry("Counter", U32, "ro", "0"),
        Entry("Technique id", U32, "ro", "0"),
        Entry("Counter, low 16 bits", U16, "ro", "0"),
        Entry("Width at kV above 75 %, 10 us", U16, "ro", "0"),
        Entry("Tube voltage, 0.1 kV", U16, "ro", "0"),
        Entry("Charge, 0.001 mAs", U16, "ro", "0"),
    )),
)  # fmt: skip

_HEAD = """\
; Electronic data sheet of the default generator. Made by `python -m hil.rig.eds`; do not edit.
; A bank is valid once its sub 6 was written last and equals the CRC-32 of subs 1 to 5, packed
; little-endian as u32, u16, u32, u32, u8. Any other write to a bank makes it invalid. Refusals are
; SDO aborts: 0609 0031 too high, 0609 0032 too low, 0609 0030 wrong check, 0800 0022 while the bank
; is firing. After each pulse PDO 1 and PDO 2 follow within 2 ms, PDO 1 first; PDO 3 follows each
; change of the status and every 200 ms. PDO 1: counter u32, technique id u32. PDO 2: counter low
; 16 bits, width in 10 us, tube voltage in 0.1 kV, charge in 0.001 mAs, u16 each. PDO 3: state,
; rotor, filament, window u8; fault bits, heat u16.

[FileInfo]
FileName=generator.eds
FileVersion=1
FileRevision=1
EDSVersion=4.0
Description=Pulsed X-ray generator with two technique banks
CreatedBy=carm-supervisor

[DeviceInfo]
VendorName=carm-supervisor
VendorNumber=0
ProductName=Stand-in generator
ProductNumber=0x43524731
RevisionNumber=1
BaudRate_10=0
BaudRate_20=0
BaudRate_50=0
BaudRate_125=1
BaudRate_250=1
BaudRate_500=1
BaudRate_800=0
BaudRate_1000=1
SimpleBootUpMaster=0
SimpleBootUpSlave=1
Granularity=8
DynamicChannelsSupported=0
GroupMessaging=0
NrOfRXPDO=0
NrOfTXPDO=3
LSS_Supported=0

[DummyUsage]
Dummy0001=0
Dummy0002=0
Dummy0003=0
Dummy0004=0
Dummy0005=0
Dummy0006=0
Dummy0007=0

[Comments]
Lines=0
"""


def _variable(section: str, entry: Entry) -> str:
    lines = [
        f"[{section}]", f"ParameterName={entry.name}", f"ObjectType=0x{VAR:X}",
        f"DataType=0x{entry.kind:04X}", f"AccessType={entry.access}",
        f"DefaultValue={entry.default}", "PDOMapping=0",
    ]  # fmt: skip
    if entry.low:
        lines += [f"LowLimit={entry.low}", f"HighLimit={entry.high}"]
    return "\n".join(lines) + "\n"


def _object(thing: Thing) -> str:
    index = f"{thing.address:04X}"
    if len(thing.entries) == 1:
        return _variable(index, thing.entries[0])
    count = len(thing.entries)
    head = (
        f"[{index}]\nParameterName={thing.name}\nObjectType=0x{RECORD:X}\nSubNumber={count + 1}\n"
    )
    subs = [_variable(f"{index}sub0", Entry("Highest sub-index", U8, "const", str(count)))]
    subs += [_variable(f"{index}sub{n:X}", entry) for n, entry in enumerate(thing.entries, 1)]
    return "\n".join([head, *subs])


def _list(title: str, indices: list[int]) -> str:
    rows = [f"{n}=0x{index:04X}" for n, index in enumerate(indices, 1)]
    return "\n".join([f"[{title}]", f"SupportedObjects={len(indices)}", *rows, ""])


def text() -> str:
    """The whole EDS."""
    indices = [thing.address for thing in OBJECTS]
    mandatory = [i for i in indices if i in (0x1000, 0x1001, 0x1018)]
    optional = [i for i in indices if i < 0x2000 and i not in mandatory]
    lists = [
        _list("MandatoryObjects", mandatory), _list("OptionalObjects", optional),
        _list("ManufacturerObjects", [i for i in indices if i >= 0x2000]),
    ]  # fmt: skip
    return "\n".join([_HEAD, *lists, *(_object(thing) for thing in OBJECTS)])


def main() -> None:
    """Write both copies."""
    for path in FILES:
        path.write_text(text(), encoding="ascii")


if __name__ == "__main__":
    main()
