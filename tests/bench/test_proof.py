"""The worlds of the proof's figures are whole, share the beam as they say, and add up."""

import pytest

from bench import proof, virtual
from bench.virtual import PARTS, Bench, S, bare_events, watched


def test_an_examination_has_the_beam_on_a_fifth_of_the_time() -> None:
    bench = Bench(seed=1)
    began_ns, beam_ns = bench.now_ns, bench.beam.total_ns
    bench.examination(0)
    bench.examination(1)
    share = (bench.beam.total_ns - beam_ns) / (bench.now_ns - began_ns)
    assert share == pytest.approx(0.2, abs=0.01)
    assert bench.faults == 1
    assert bench.judged.violations() == []


def test_the_parts_of_a_pulse_are_watched_once_each_and_let_go_again() -> None:
    bench = Bench(seed=2)
    spent: dict[str, float] = {}
    with watched(spent):
        bench.let(S)
    assert spent.keys() <= {part for part, _, _ in PARTS}
    bench.operator.act("press fluoro")
    with watched(spent):
        bench.let(S)
    assert spent.keys() == {part for part, _, _ in PARTS}
    before = dict(spent)
    bench.let(S // 10)
    assert spent == before


def test_a_stretch_gives_every_sample_that_is_read() -> None:
    samples = virtual.continuous(1) | virtual.parts()
    samples |= {"x_interpreted": samples["x"], "pulse_ms_interpreted": samples["pulse_ms"]}
    readings = {each.id: each for each in proof.read_continuous(samples, 1, "")}
    assert readings["proof.pulse_turns"].value == pytest.approx(20, abs=3)
    assert readings["proof.violations_continuous"].value == 0
    assert all(each.value is not None for each in readings.values())
    pair = readings["proof.x_realtime_continuous"].pair
    assert pair is not None
    assert pair[1] > readings["proof.x_realtime_continuous"].value  # type: ignore[operator]
    assert bare_events(100) >= 0


def test_what_was_not_measured_has_no_value() -> None:
    for experiment in proof.experiments():
        readings = experiment.read({}, 0, "no time")
        assert all(each.value is None and each.reason == "no time" for each in readings)


def test_reruns_that_differ_are_no_hundred_per_cent() -> None:
    samples = {"reruns": [3.0], "reruns_identical": [2.0], "sim_hours": [1.0], "beam_hours": [0.3]}
    readings = {each.id: each.value for each in proof.read_campaign(samples, 3, "")}
    assert readings["proof.campaign_reruns_identical"] == pytest.approx(200 / 3)
    assert readings["proof.campaign_beam_on_fraction"] == pytest.approx(0.3)
