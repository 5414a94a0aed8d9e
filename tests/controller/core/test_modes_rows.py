"""The table of the modes, written a second time: who acts on what, and where it may lead.

One letter per mode: B boot, T self-test, S standby, R ready, P prep, X exposing, H hold, V service,
F fault, E shutdown.  A pair that is not here is ignored.
"""

import pytest

from controller.core.events import Kind
from controller.core.modes import TABLE, Mode, Row

pytestmark = pytest.mark.invariant(14)

LETTERS = dict(zip("BTSRPXHVFE", Mode, strict=True))
# event, action, modes in which it acts, modes to which it may lead
ROWS = """
    tick             boot_tick           B          TF
    tick             test_tick           T          F
    tick             rest_tick           SRHV       SF
    tick             prep_tick           P          SXF
    tick             expose_tick         X          SF
    tick             fault_tick          F          TS
    executive_up     executive_up        BTSRPXHVF  -
    executive_down   executive_gone      BF         -
    executive_down   executive_lost      TSRPXHV    F
    state            state_seen          BTSRPXHVF  F
    press            refuse_press        BTSPXVFE   -
    press            press               RH         PX
    run_end          prep_ended          P          RH
    run_end          run_ended           X          HF
    pulse            pulse_fired         BTSRPXHVF  F
    skip             skip_counted        BTSRPXHVF  -
    trip             tripped             BTSRPXHVF  F
    refused          refusal_seen        BTSRPXHVF  -
    exercised        step_answered       T          SRF
    imaging_up       imaging_up          BTSRPXHVF  -
    imaging_down     imaging_down        BSVF       -
    imaging_down     imaging_down        T          F
    imaging_down     imaging_down        RPXH       S
    imaging_state    imaging_seen        BTSRPXHVF  -
    dark_frame       dark_frame_answered T          SRF
    generator_up     generator_up        BTSRHVF    -
    generator_up     generator_up        PX         F
    generator_down   generator_down      BSVF       -
    generator_down   generator_down      TPX        F
    generator_down   generator_down      RH         S
    generator_status generator_seen      BF         -
    generator_status generator_seen      TSRXHV     F
    generator_status generator_seen      P          XF
    result           result_seen         BTSRPXHVF  F
    emergency        emergency           BTSRPXHVF  F
    committed        bank_committed      BSRXHVF    F
    committed        bank_committed      T          SRF
    committed        bank_committed      P          XF
    gate_count       gate_counted        T          SRF
    durable          durable_seen        BTSPXVF    -
    durable          durable_seen        RH         S
    reconciled       reconciled          BTSRPXHVF  -
    ask              ask                 BTSRPXHVFE -
    ready            refuse_ready        BTPXVF     -
    ready            ready               S          T
    ready            ready_again         RH         -
    ready            refuse_busy         E          -
    reset            refuse_busy         BTPXE      -
    reset            reset_at_rest       SRHV       -
    reset            reset               F          -
    set              refuse_busy         BTXE       -
    set              edit                SVF        -
    set              edit                RPH        S
    select           refuse_busy         BTPXE      -
    select           select              SRHVF      -
    self_test        refuse_busy         BTPXVFE    -
    self_test        self_test           SRH        T
    reset_timer      refuse_busy         BTPXE      -
    reset_timer      reset_timer         SRHVF      -
    service          refuse_busy         BTPXE      -
    service          service_session     SVF        -
    service          service_session     RH         S
    remote_ask       remote_ask          BTSRPXHVFE -
    remote           remote_act          BTRPXHV    F
    remote           remote_act          S          TF
    remote           remote_act          F          -
    remote           refuse_remote       E          -
    stop             stop                BTSRPXHVF  E
    broken           broken              BTSRPXHVF  F
"""


def test_the_letters_are_those_of_the_modes() -> None:
    assert [mode.value for mode in LETTERS.values()] == [
        "BOOT", "SELF_TEST", "STANDBY", "READY", "PREP", "EXPOSING", "HOLD", "SERVICE", "FAULT",
        "SHUTDOWN",
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
