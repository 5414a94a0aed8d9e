"""The timing picture: which panels, and a picture that is a picture."""

from pathlib import Path

import pytest
from PIL import Image

from hil.plots.timing import NothingToDraw, plot_timing
from hil.referee.truth import ordered
from tests.hil.referee.story import MS, Story, exam


def killed() -> list[str]:
    story = exam()
    story.press(13_000 * MS)
    story.pulse(13_200 * MS)
    story.add(13_203 * MS, "process", "realtime", "kill9")
    return story.lines()


def test_run_release_and_kill_in_one_picture(tmp_path: Path) -> None:
    lines = killed()
    panels = plot_timing(lambda: ordered(lines), tmp_path / "timing.png")
    assert [panel.title for panel in panels] == [
        "a run at 15 pulses per second",
        "release in mid-pulse",
        "kill -9 of realtime in mid-pulse",
    ]
    with Image.open(tmp_path / "timing.png") as picture:
        assert picture.size == (1600, 1025)
        colours = picture.convert("RGB").getcolors(1 << 22)
    assert colours is not None
    drawn = {rgb for count, rgb in colours if count > 200}
    assert (0xE9, 0xA1, 0x15) in drawn, "photons are drawn"


@pytest.mark.parametrize("around", ["release", "kill", str(2_200 * MS)])
def test_one_moment(around: str, tmp_path: Path) -> None:
    lines = killed()
    panels = plot_timing(lambda: ordered(lines), tmp_path / "one.png", around=around)
    assert len(panels) == 1
    assert (tmp_path / "one.png").stat().st_size > 5_000


def test_a_span(tmp_path: Path) -> None:
    lines = killed()
    panels = plot_timing(lambda: ordered(lines), tmp_path / "span.png", 2_000 * MS, 2_500 * MS)
    assert (panels[0].start_ns, panels[0].end_ns) == (2_000 * MS, 2_500 * MS)


@pytest.mark.parametrize(("start_ms", "end_ms"), [(3_000, 3_000), (2_000, 62_001)])
def test_a_span_that_is_none_or_too_long_is_refused(
    start_ms: int, end_ms: int, tmp_path: Path
) -> None:
    lines = killed()
    with pytest.raises(NothingToDraw):
        plot_timing(lambda: ordered(lines), tmp_path / "x.png", start_ms * MS, end_ms * MS)


@pytest.mark.parametrize("around", ["release", "kill", "lunch"])
def test_a_moment_that_the_log_has_not_is_refused(around: str, tmp_path: Path) -> None:
    lines = Story().lines()
    with pytest.raises(NothingToDraw):
        plot_timing(lambda: ordered(lines), tmp_path / "x.png", around=around)


def test_a_log_without_beam_still_gives_a_picture(tmp_path: Path) -> None:
    lines = Story().lines()
    assert len(plot_timing(lambda: ordered(lines), tmp_path / "dark.png")) == 1
