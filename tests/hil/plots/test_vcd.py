"""The waveform file, read back by a parser that knows nothing of the writer."""

import re
from itertools import pairwise
from pathlib import Path

from hil.plots.vcd import WIRES, write_vcd
from hil.referee.truth import ordered
from tests.hil.referee.story import MS, Story, exam

Waves = dict[str, list[tuple[int, str]]]
ASKED = {
    "pedal_fluoro_no", "pedal_fluoro_nc", "door", "estop", "permit", "pulse", "window",
    "photons", "frame",
}  # fmt: skip


def parse(path: Path) -> Waves:
    """A small VCD reader: `$var wire 1`, `#time`, and one-bit changes."""
    head, _, rest = path.read_text().partition("$enddefinitions $end\n")
    assert re.search(r"\$timescale\s+1 ns\s+\$end", head)
    names = dict(re.findall(r"\$var wire 1 (\S+) (\S+) \$end", head))
    waves: Waves = {name: [] for name in names.values()}
    now = 0
    for line in rest.splitlines():
        if line.startswith("#"):
            assert int(line[1:]) >= now, "time runs forward"
            now = int(line[1:])
        elif not line.startswith("$"):
            assert line[0] in "01x"
            waves[names[line[1:]]].append((now, line[0]))
    return waves


def waves_of(story: Story, tmp_path: Path) -> Waves:
    write_vcd(ordered(story.lines()), tmp_path / "trace.vcd")
    return parse(tmp_path / "trace.vcd")


def test_every_asked_wire_is_there_and_codes_differ(tmp_path: Path) -> None:
    waves = waves_of(exam(), tmp_path)
    assert set(waves) >= ASKED
    assert len(waves) == len(WIRES)


def test_a_wire_is_unknown_until_the_log_says_its_level(tmp_path: Path) -> None:
    waves = waves_of(exam(), tmp_path)
    assert waves["door"][:2] == [(0, "x"), (0, "1")]
    assert waves["xray_on"] == [(0, "x")]


def test_photons_are_the_pulse_with_its_tail(tmp_path: Path) -> None:
    story = Story()
    story.press(2_000 * MS)
    story.pulse(2_200 * MS)
    waves = waves_of(story, tmp_path)
    assert waves["photons"][1:] == [(1_200 * MS, "1"), (1_208_562_500, "0")]
    assert waves["hv"][1:] == [(1_200 * MS, "1"), (1_208_300_000, "0")]
    assert waves["window"][1:] == [(1_199_600_000, "1"), (1_212_600_000, "0")]
    assert waves["frame"][1:] == [(1_212_600_000, "1"), (1_230_600_000, "0")]


def test_no_change_is_written_twice(tmp_path: Path) -> None:
    for wave in waves_of(exam(), tmp_path).values():
        assert all(a[1] != b[1] for a, b in pairwise(wave))
