"""The picture of a case: which panels, what is marked, and a picture that is a picture."""

from pathlib import Path

from PIL import Image

from hil.plots.case import GOOD, Asked, Picture, Shade, draw, panels_for
from hil.referee.truth import ordered
from tests.hil.referee.story import MS, exam

ALARM = (0xC0, 0x39, 0x2B)


def picture(at_ms: int = 2210, limit_ms: int = 20, shows: bool = True) -> Picture:
    struck_ns = 2200 * MS
    asked = Asked(struck_ns, struck_ns + limit_ms * MS, "dark", shows, at_ms * MS)
    shade = Shade(struck_ns, 2600 * MS, "F08 interlock open")
    return Picture("a case", "virtual: pass", shows, 1800 * MS, 4000 * MS, 66 * MS, (shade,),
                   (asked,))  # fmt: skip


def test_the_whole_timeline_and_the_moment_of_the_effect() -> None:
    whole, close = panels_for(picture())
    assert (whole.start_ns, whole.end_ns) == (1800 * MS, 4000 * MS)
    assert close.start_ns < close.zero_ns == 2200 * MS < 2210 * MS < close.end_ns


def test_a_reaction_far_from_the_effect_has_a_panel_of_its_own() -> None:
    far = panels_for(picture(at_ms=3800, limit_ms=1700))[2]
    assert far.start_ns < 3800 * MS < far.end_ns


def test_a_control_has_one_panel_and_a_long_case_none_of_the_whole() -> None:
    control = picture()
    control = Picture(control.title, control.verdict, True, control.zero_ns, control.end_ns,
                      control.period_ns, (), control.asked)  # fmt: skip
    assert len(panels_for(control)) == 1
    long = Picture("x", "y", True, 0, 300_000 * MS, 66 * MS, picture().shades, ())
    assert [panel.zero_ns for panel in panels_for(long)] == [2200 * MS]


def test_fault_limit_and_verdict_are_drawn(tmp_path: Path) -> None:
    records = list(ordered(exam().lines()))
    for shows in (True, False):
        draw(picture(shows=shows), records, tmp_path / "case.png")
        with Image.open(tmp_path / "case.png") as drawn:
            assert drawn.size == (1600, 1112)
            colours = drawn.convert("RGB").getcolors(1 << 22)
        assert colours is not None
        seen = {rgb: count for count, rgb in colours}
        good = (int(GOOD[1:3], 16), int(GOOD[3:5], 16), int(GOOD[5:7], 16))
        assert seen.get(ALARM, 0) > 100, "the effect"
        assert (seen.get(good, 0) > 100) is shows
