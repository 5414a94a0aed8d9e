"""The table of the modes, written a second time: who acts on what, and where it may lead.

One letter per mode: B boot, T self-test, S standby, R ready, P prep, X exposing, H hold, V service,
F fault, E shutdown.  A pair that is not here is ignored.
"""

import pytest

from controller.core.events import Kind
from controller.core.modes import TABLE, Mode, Row

pytestmark = pytest.mark.invariant(14)

LETTERS = dict(zip("BTSRPXHFE", Mode, strict=True))
# event, action, modes in which it acts, modes to which it may lead
ROWS = """
    tick             boot_tick           B          TF
    tick             test_tick           T          F
    tick             rest_tick           SRH        SF
    tick             prep_tick           P          SXF
    tick             expose_tick         X          SF
    tick             fault_tick          F          TS
    executive_up     executive_up        BTSRPXHF   -
    executive_down   executive_gone      BF         -
    executive_down   executive_lost      TSRPXH     F
    state            state_seen          BTSRPXHF   F
    press            refuse_press        BTSPXFE    -
    press            press               RH         PX
    run_end          prep_ended          P          RH
    run_end          run_ended           X          HF
    run_end          end_told            TSRHF      -
    pulse            pulse_fired         BTSRPXHF   F
    skip             skip_counted        BTSRPXHF   -
    trip             tripped             BTSRPXHF   F
    refused          refusal_seen        BTSRPXHF   -
    exercised        step_answered       T          SRF
    imaging_up       imaging_up          BTSRPXHF   -
    imaging_down     imaging_down        BSF        -
    imaging_down     imaging_down        T          F
    imaging_down     imaging_down        RPXH       S
    imaging_state    imaging_seen        BTSRPXHF   -
    dark_frame       dark_frame_answered T          SRF
    generator_up     generator_up        BTSRHF     -
    generator_up     generator_up        PX         F
    generator_down   generator_down      BSF        -
    generator_down   generator_down      TPX        F
    generator_down   generator_down      RH         S
    generator_status generator_seen      BF         -
    generator_status generator_seen      TSRXH      F
    generator_status generator_seen      P          XF
    result           result_seen         BTSRPXHF   F
    emergency        emergency           BTSRPXHF   F
    committed        bank_committed      BSRXHF     F
    committed        bank_committed      T          SRF
    committed        bank_committed      P          XF
    gate_count       gate_counted        T          SRF
    durable          durable_seen        BTSPXF     -
    durable          durable_seen        RH         S
    reconciled       reconciled          BTSRPXHF   -
    ask              ask                 BTSRPXHFE  -
    ready            refuse_ready        BTPXF      -
    ready            ready               S          T
    ready            ready_again         RH         -
    ready            refuse_busy         E          -
    reset            refuse_busy         BTPXE      -
    reset            reset_at_rest       SRH        -
    reset            reset               F          -
    set              refuse_busy         BTXE       -
    set              edit                SF         -
    set              edit                RPH        S
    select           refuse_busy         BTPXE      -
    select           select              SRHF       -
    self_test        refuse_busy         BTPXFE     -
    self_test        self_test           SRH        T
    reset_timer      refuse_busy         BTPXE      -
    reset_timer      reset_timer         SRHF       -
    service          refuse_busy         BTPXE      -
    service          service_session     SF         -
    service          service_session     RH         S
    remote_ask       remote_ask          BTSRPXHFE  -
    remote           remote_act          BTRPXH     F
    remote           remote_act          S          TF
    remote           remote_act          F          -
    remote           refuse_remote       E          -
    stop             stop                BTSRPXHF   E
    broken           broken              BTSRPXHF   F
"""


def test_the_letters_are_those_of_the_modes() -> None:
    assert [mode.value for mode in LETTERS.values()] == [
        "BOOT", "SELF_TEST", "STANDBY", "READY", "PREP", "EXPOSING", "HOLD", "FAULT", "SHUTDOWN",
    ]  # fmt: skip


def test_every_row_is_as_it_is_written_here_and_there_is_no_other() -> None:
    wanted = {}
    for line in ROWS.split("\n")[1:-1]:
        kind, action, modes, targets = line.split()
        for letter in modes:
            leads = frozenset(LETTERS[target] for target in targets if target != "-")
            wanted[LETTERS[letter], Kind(kind)] = (action, leads)
    rows = {pair: row for pair, row in TABLE.items() if isinstance(row, Row)}
    assert {pair: (row.action, row.targets) for pair, row in rows.items()} == wanted
