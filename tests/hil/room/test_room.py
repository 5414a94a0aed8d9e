"""The whole room in time: what may shine, what stands in the truth log, what frames get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hil.room.commands import GeneratorFault, Mark
from hil.room.parameters import MS, SECOND
from hil.room.records import KINDS, NEVER, GateCount, ReadoutExposure, TruthRecord
from realtime.wire.lines import In
from tests.hil.room.bench import OTHER, TECHNIQUE, Bench

# ── the property: nothing shines without everything ──────────────────────────────────────────

GATES = {
    ("line", "pulse"), ("line", "permit_ok"), ("line", "chain_ok"),
    ("window_open", "panel"), ("window_close", "panel"), ("hv", "generator"),
}  # fmt: skip


def hv_only_inside(truth: list[TruthRecord]) -> bool:
    """Read the log as a stranger: after the records of any instant, hv needs all four."""
    level = {"pulse": 0, "permit_ok": 0, "chain_ok": 0, "window": 0, "hv": 0}
    truth = [r for r in truth if (r.kind, r.name) in GATES]
    for k, r in enumerate(truth):
        if r.kind.startswith("window"):
            level["window"] = int(r.kind == "window_open")
        else:
            level["hv" if r.kind == "hv" else r.name] = r.value
        settled = k + 1 == len(truth) or truth[k + 1].t_ns > r.t_ns
        if settled and level["hv"] and not all(level.values()):
            return False
    return True


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 15_000_000)),
        st.tuples(st.just("flip"), st.sampled_from(["pulse", "bank", "panel_trigger"])),
        st.tuples(st.just("act"), st.sampled_from([
            "press fluoro", "release fluoro", "open door", "close door", "estop", "reset estop",
        ])),
        st.tuples(st.just("alive"), st.integers(1, 6)),
        st.tuples(st.just("shoot"), st.integers(0, 12_000_000)),
    ),
    max_size=40,
)  # fmt: skip


def play(bench: Bench, steps: list[tuple[str, object]]) -> None:
    level = {"pulse": 0, "bank": 0, "panel_trigger": 0}
    for what, value in steps:
        if what == "wait":
            assert isinstance(value, int)
            bench.wait(value)
        elif what == "flip":
            level[str(value)] ^= 1
            bench.drive(**{str(value): level[str(value)]})
        elif what == "act":
            bench.act(str(value))
        elif what == "shoot":
            assert isinstance(value, int)
            bench.drive(pulse=0, panel_trigger=0).alive().open_window().drive(pulse=1).wait(value)
            level.update(pulse=1, panel_trigger=0)
        else:
            assert isinstance(value, int)
            for _ in range(value):
                bench.wait(3 * MS).toggle()


@given(STEPS, st.booleans())
def test_high_voltage_needs_pulse_permit_window_and_chain(
    steps: list[tuple[str, object]], master: bool
) -> None:
    bench = Bench(panel_master=master).ready()
    play(bench, steps)
    bench.wait(200 * MS)
    assert hv_only_inside(bench.room.out.truth)
    on, off = bench.truth("photons_on"), bench.truth("photons_off")
    assert [r.pulse_id for r in on] == [r.pulse_id for r in off] == list(range(1, len(on) + 1))
    assert [r.count for r in bench.results()] == [r.pulse_id for r in off]


@given(STEPS)
def test_the_log_is_in_order_and_knows_only_its_kinds(steps: list[tuple[str, object]]) -> None:
    bench = Bench().ready()
    play(bench, steps)
    times = [r.t_ns for r in bench.room.out.truth]
    assert times == sorted(times)
    assert {r.kind for r in bench.room.out.truth} <= set(KINDS)


@given(STEPS)
def test_the_same_steps_make_the_same_room(steps: list[tuple[str, object]]) -> None:
    rooms = [Bench().ready(), Bench().ready()]
    for bench in rooms:
        play(bench, steps)
    assert rooms[0].room.out.truth == rooms[1].room.out.truth


def test_the_property_can_fail() -> None:
    bench = Bench().ready().wire(chain=False)
    bench.act("release fluoro")
    bench.wait(60 * MS).pulse()
    assert not hv_only_inside(bench.room.out.truth)


# ── one pulse ────────────────────────────────────────────────────────────────────────────────


def test_a_proper_pulse_is_one_pulse_of_the_set_width() -> None:
    bench = Bench().ready().pulse()
    (result,) = bench.results()
    assert (result.count, result.technique_id, result.bank, result.flags) == (1, 7, 0, 0)
    assert result.width_us == pytest.approx(8000, abs=100)
    assert result.mas == pytest.approx(0.040 * 8, rel=0.02)


def test_a_frame_gets_what_its_pulse_gave() -> None:
    (frame,) = Bench().ready().pulse().frames()
    (exposure,) = frame.exposures
    assert exposure.mas_window == pytest.approx(0.32, rel=0.02)
    assert exposure.mas_readout == 0
    assert frame.integration_open_ns < exposure.on_ns < exposure.off_ns
    assert exposure.off_ns < frame.integration_close_ns < frame.readout_end_ns


def test_a_pulse_cut_to_half_gives_half() -> None:
    whole = Bench().ready().pulse().frames()[0].exposures[0].mas_window
    half = Bench().ready().pulse(4 * MS).frames()[0].exposures[0].mas_window
    assert half / whole == pytest.approx(0.5, rel=0.05)


def test_the_other_bank_fires_the_other_technique() -> None:
    bench = Bench().ready().drive(bank=1).pulse()
    assert (bench.results()[0].technique_id, bench.results()[0].bank) == (OTHER.technique_id, 1)


def test_bank_is_latched_at_the_rise_of_pulse() -> None:
    bench = Bench().ready().alive().open_window()
    bench.drive(pulse=1).wait(1 * MS).drive(bank=1).wait(20 * MS)
    assert bench.results()[0].technique_id == TECHNIQUE.technique_id


def test_xray_on_follows_the_voltage() -> None:
    bench = Bench().ready().pulse()
    edges = [(r.t_ns, r.value) for r in bench.truth("line", "xray_on")][-2:]
    (on,), (off,) = bench.truth("photons_on"), bench.truth("photons_off")
    assert edges[0] == (on.t_ns + 30_000, 1)
    assert edges[1][1] == 0
    assert edges[1][0] == off.t_ns - 26_250


def test_without_preset_the_fall_of_pulse_ends_it() -> None:
    bench = Bench().ready().wire(preset=False).pulse()
    (result,) = bench.results()
    assert result.end_ns - result.start_ns == 9 * MS
    assert result.flags == 0


def test_without_preset_and_fall_the_backup_timer_ends_it() -> None:
    bench = Bench(window_ns=30 * MS).ready().wire(preset=False).pulse(20 * MS)
    (result,) = bench.results()
    assert 9790 <= result.width_us <= 9800
    assert result.flags == 2


def test_window_closing_ends_the_pulse_and_the_tail_falls_into_the_readout() -> None:
    bench = Bench().ready().alive().open_window().keep_alive(9 * MS)
    bench.drive(pulse=1).keep_alive(9 * MS).drive(pulse=0).wait(40 * MS)
    (frame,) = bench.frames()
    assert frame.exposures[0].mas_readout > 0
    assert bench.results()[0].end_ns == frame.integration_close_ns
    assert bench.results()[0].flags & 16


def test_with_the_window_gate_disconnected_a_pulse_shines_into_the_readout() -> None:
    bench = Bench().ready().wire(gate=False).alive().open_window().keep_alive(9 * MS)
    bench.drive(pulse=1).keep_alive(9 * MS).drive(pulse=0).wait(40 * MS)
    late = [r for r in bench.room.out.reports if isinstance(r, ReadoutExposure)]
    assert late[0].exposures[0].mas_readout == pytest.approx(0.32 / 2, rel=0.2)


def test_pulse_high_before_the_permit_counts_for_nothing_until_its_next_rise() -> None:
    bench = Bench().ready().open_window().drive(pulse=1)
    bench.alive().wait(5 * MS)
    assert bench.room.monostable.ok
    assert bench.truth("hv") == []
    bench.drive(pulse=0).drive(pulse=1).wait(1 * MS)
    assert len(bench.truth("hv")) == 1


def test_silence_of_permit_ends_the_pulse_at_twelve_milliseconds() -> None:
    bench = Bench(window_ns=60 * MS).ready().wire(preset=False)
    bench.obey_long_technique().alive().open_window()
    last_toggle_ns = bench.truth("line", "permit")[-1].t_ns
    bench.drive(pulse=1).wait(50 * MS)
    (result,) = bench.results()
    assert result.end_ns == last_toggle_ns + 12 * MS
    assert result.flags & 4


def test_released_pedal_opens_the_chain_and_ends_a_pulse_that_software_forgot() -> None:
    bench = Bench(window_ns=60 * MS).ready().wire(preset=False)
    bench.obey_long_technique().alive().open_window().drive(pulse=1).keep_alive(2 * MS)
    bench.act("release fluoro")
    released_ns = bench.t_ns
    bench.keep_alive(45 * MS)
    (result,) = bench.results()
    assert result.flags & 8
    assert 0 < result.end_ns - released_ns <= 50 * MS


@pytest.mark.parametrize("spoil", ["rotor", "fault", "bank"])
def test_a_generator_that_is_not_ready_refuses_and_counts(spoil: str) -> None:
    bench = Bench()
    if spoil != "rotor":
        bench.ready()
    bench.act("press fluoro")
    bench.wait(60 * MS)
    if spoil == "fault":
        bench.obey(GeneratorFault(1, 4))
        assert not bench.high(In.GENERATOR_READY)
    if spoil == "bank":
        bench.room.generator.store(0, None)
    bench.pulse()
    assert bench.truth("hv") == []
    assert bench.room.generator.refused == 1


def test_the_gate_is_counted_without_a_photon() -> None:
    bench = Bench()
    bench.drive(pulse=1).drive(pulse=0).open_window()
    bench.drive(pulse=1).drive(pulse=0).wait(SECOND)
    counts = [r for r in bench.room.out.reports if isinstance(r, GateCount)]
    assert [c.count for c in counts] == [1]
    assert bench.truth("hv") == []


def test_a_bank_that_fires_cannot_be_written() -> None:
    bench = Bench().ready().alive().open_window().drive(pulse=1)
    assert bench.room.generator.store(0, OTHER) is False
    assert bench.room.generator.store(1, TECHNIQUE) is True


# ── levels, acts, time ───────────────────────────────────────────────────────────────────────


def test_the_log_opens_with_the_rig_and_every_level_once() -> None:
    bench = Bench()
    head = bench.room.out.truth[0]
    assert (head.kind, head.name, head.value["monostable_us"]) == ("process", "rig", 12_000)
    named = [(r.kind, r.name) for r in bench.room.out.truth[1:]]
    assert len(named) == len(set(named)) == 7 + 8 + 6 + 5


def test_every_edge_is_its_own_snapshot() -> None:
    bench = Bench()
    before = len(bench.room.out.edges)
    bench.act("open door")
    bench.act("close door")
    edges = bench.room.out.edges[before:]
    assert [e.levels >> In.DOOR & 1 for e in edges] == [0, 1]


def test_a_packet_older_than_the_room_counts_from_the_room_s_time() -> None:
    bench = Bench().wait(10 * MS)
    bench.t_ns = 4 * MS
    bench.drive(lamp=1)
    assert bench.truth("line", "lamp")[-1].t_ns == 10 * MS


def test_an_idle_room_has_nothing_to_do() -> None:
    assert Bench().room.next_event_ns() == NEVER


def test_an_unknown_act_is_refused_with_the_list() -> None:
    reply = Bench().act("dance")
    assert (reply.ok, reply.code) == (False, "unknown_act")
    assert "press fluoro" in reply.detail


def test_a_release_at_half_of_the_pulse_opens_the_contact_there() -> None:
    bench = Bench().ready()
    assert bench.act("release fluoro", 0.5, "pulse").ok
    bench.pulse()
    on = bench.truth("hv")[0].t_ns
    assert bench.truth("contact", "fluoro_no")[-1].t_ns >= on + 4 * MS
    opened = [r.t_ns for r in bench.truth("contact", "fluoro_no") if r.value == 0]
    assert on + 4 * MS in opened


def test_a_forgotten_act_does_not_come() -> None:
    bench = Bench().ready()
    bench.act("open door", 0.5, "pulse")
    assert bench.act("forget").ok
    bench.pulse()
    assert 0 not in [r.value for r in bench.truth("interlock", "door")]


def test_a_phase_of_the_cycle_counts_from_rise_to_rise() -> None:
    bench = Bench().ready().pulse()
    bench.act("open door", 0.25, "cycle")
    first_ns = bench.truth("line", "pulse")[-2].t_ns
    bench.pulse()
    second_ns = bench.truth("line", "pulse")[-2].t_ns
    opened = bench.truth("interlock", "door")[-1]
    assert (opened.value, opened.t_ns) == (0, second_ns + round(0.25 * (second_ns - first_ns)))


@pytest.mark.parametrize(("phase", "phase_of"), [(1.5, "cycle"), (0.5, "moon")])
def test_a_phase_that_is_none_is_refused(phase: float, phase_of: str) -> None:
    assert Bench().act("open door", phase, phase_of).code == "bad_phase"


def test_a_signal_is_logged_when_it_is_sent() -> None:
    bench = Bench()
    assert bench.act("signal realtime 4711 KILL").ok
    assert bench.truth("process", "realtime")[-1].value == "kill9"
    assert [(s.pid, s.signal) for s in bench.room.out.signals] == [(4711, "KILL")]
    assert bench.act("signal realtime 1 HUP").code == "bad_signal"


def test_a_mark_stands_where_it_says() -> None:
    bench = Bench().wait(5 * MS)
    bench.obey(Mark(1, 3 * MS, "select", "cine"))
    mark = bench.truth("process", "select")[-1]
    assert (mark.t_ns, mark.value) == (3 * MS, "cine")


def test_the_reset_button_shows() -> None:
    bench = Bench()
    bench.act("press reset")
    assert bench.high(In.RESET)
    bench.act("release reset")
    assert not bench.high(In.RESET)
    assert [r.value for r in bench.truth("contact", "reset")] == [0, 1, 0]


def test_without_preset_backup_and_gate_only_the_monostable_ends_a_pulse() -> None:
    bench = Bench(window_ns=10 * MS).ready()
    bench.wire(gate=False, preset=False, backup=False).alive().open_window()
    bench.drive(pulse=1).keep_alive(6 * MS)
    (dropped,) = bench.truth("line", "permit")[-1:]
    bench.wait(40 * MS)
    (off,) = bench.truth("hv")[-1:]
    assert (off.t_ns, off.value) == (dropped.t_ns + 12 * MS, 0)
