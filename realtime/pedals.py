"""Foot pedals: two contacts per function, debounced press, instant release, fresh-edge rule.

Theory of operation.  A pedal is read as a pair of levels on every turn: NO = 1 and NC = 0 is
PRESSED, NO = 0 and NC = 1 is RELEASED, everything else is CROSSED and counts as not pressed.  A
press counts after PRESS_DEBOUNCE_NS of uninterrupted PRESSED from UP, timed by the stamp of the
contact; UP is reached only after RELEASED_MIN_NS of uninterrupted RELEASED.  The first reading that
is not PRESSED ends a press.  VOID (boot, reconnection, silence of the lines, trip, mode change,
reset, another pedal's run) demands a new release.  Contacts that stand still while nothing waits
for time change nothing and are not asked again.

Lives here: the table of one pedal and the set of three.  May not live here: what a press starts.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from realtime.limits import DISAGREE_MAX_NS, PRESS_DEBOUNCE_NS, RELEASED_MIN_NS, STALL_NS
from realtime.wire.lines import NC_CONTACTS, PEDALS, In
from realtime.wire.messages import Pedal


class PedalState(StrEnum):
    """Where one pedal stands."""

    BLOCKED = "blocked"
    RELEASING = "releasing"
    UP = "up"
    PRESSING = "pressing"
    DOWN = "down"


class PedalEvent(StrEnum):
    """What a turn says about one pedal."""

    PRESSED = "pressed"
    RELEASED = "released"
    CROSSED = "crossed"
    TIMER = "timer"
    VOID = "void"


_S, _E = PedalState, PedalEvent
ROWS: Final = {
    (_S.BLOCKED, _E.RELEASED): _S.RELEASING,
    (_S.RELEASING, _E.PRESSED): _S.BLOCKED,
    (_S.RELEASING, _E.CROSSED): _S.BLOCKED,
    (_S.RELEASING, _E.TIMER): _S.UP,
    (_S.RELEASING, _E.VOID): _S.BLOCKED,
    (_S.UP, _E.PRESSED): _S.PRESSING,
    (_S.UP, _E.VOID): _S.BLOCKED,
    (_S.PRESSING, _E.RELEASED): _S.UP,
    (_S.PRESSING, _E.CROSSED): _S.UP,
    (_S.PRESSING, _E.TIMER): _S.DOWN,
    (_S.PRESSING, _E.VOID): _S.BLOCKED,
    (_S.DOWN, _E.RELEASED): _S.RELEASING,
    (_S.DOWN, _E.CROSSED): _S.BLOCKED,
    (_S.DOWN, _E.VOID): _S.BLOCKED,
}
IGNORED: Final = {
    (_S.BLOCKED, _E.PRESSED): "a press that has not been let go first is not a press",
    (_S.BLOCKED, _E.CROSSED): "only a true release counts as seen released",
    (_S.BLOCKED, _E.TIMER): "no timer runs",
    (_S.BLOCKED, _E.VOID): "already waits for a release",
    (_S.RELEASING, _E.RELEASED): "the timer runs on",
    (_S.UP, _E.RELEASED): "stays up",
    (_S.UP, _E.CROSSED): "the lever travels between its contacts; disagreement is timed apart",
    (_S.UP, _E.TIMER): "no timer runs",
    (_S.PRESSING, _E.PRESSED): "the timer runs on",
    (_S.DOWN, _E.PRESSED): "stays down",
    (_S.DOWN, _E.TIMER): "no timer runs",
}
# Not Final: see `realtime.beam.NEXT`.
_NEXT: dict[tuple[PedalState, PedalEvent], PedalState] = {
    **{pair: pair[0] for pair in IGNORED},
    **ROWS,
}
_TIMERS: Final = {_S.RELEASING: RELEASED_MIN_NS, _S.PRESSING: PRESS_DEBOUNCE_NS}
_MOVING: Final = -1
_STARTED: Final = (_S.PRESSING, _S.DOWN)
_CONTACTS: Final = {
    Pedal.FLUORO: (1 << In.FLUORO_NO, 1 << In.FLUORO_NC),
    Pedal.HIGH: (1 << In.HIGH_NO, 1 << In.HIGH_NC),
    Pedal.CINE: (1 << In.CINE_NO, 1 << In.CINE_NC),
}


def reading(levels: int, no_mask: int, nc_mask: int) -> PedalEvent:
    """The pair of contacts as an event."""
    no_closed, nc_closed = levels & no_mask, levels & nc_mask
    if no_closed and not nc_closed:
        return PedalEvent.PRESSED
    if nc_closed and not no_closed:
        return PedalEvent.RELEASED
    return PedalEvent.CROSSED


class OnePedal:
    """State of one pedal; `since_ns` is when it entered the state."""

    __slots__ = ("crossed_since_ns", "nc_mask", "no_mask", "since_ns", "state")

    def __init__(self, no_mask: int, nc_mask: int) -> None:
        self.no_mask = no_mask
        self.nc_mask = nc_mask
        self.state = PedalState.BLOCKED
        self.since_ns = 0
        self.crossed_since_ns = -1

    def take(self, event: PedalEvent, now_ns: int) -> None:
        """Apply one event of the table."""
        after = _NEXT[self.state, event]
        if after is not self.state:
            self.state = after
            self.since_ns = now_ns

    def turn(self, now_ns: int, levels: int, unsafe_edges: int, edge_ns: int) -> None:
        """Read the contacts; an opening edge since the last turn is believed before the level.

        The contacts of this bank have stood since `edge_ns`; what that begins began then.
        """
        if unsafe_edges & (self.no_mask | self.nc_mask):
            self.take(PedalEvent.CROSSED, now_ns)
        event = reading(levels, self.no_mask, self.nc_mask)
        self.take(event, edge_ns if self.state is PedalState.UP else now_ns)
        timer_ns = _TIMERS.get(self.state)
        if timer_ns is not None and now_ns - self.since_ns >= timer_ns:
            self.take(PedalEvent.TIMER, now_ns)
        if event is not PedalEvent.CROSSED:
            self.crossed_since_ns = -1
        elif self.crossed_since_ns < 0:
            self.crossed_since_ns = edge_ns

    def wake_ns(self) -> int | None:
        """When this pedal wants the next turn, if it waits for a timer."""
        timer_ns = _TIMERS.get(self.state)
        if timer_ns is not None:
            return self.since_ns + timer_ns
        if self.crossed_since_ns >= 0:
            return self.crossed_since_ns + DISAGREE_MAX_NS + 1
        return None

    def disagrees(self, now_ns: int) -> bool:
        """True when NO and NC have contradicted each other for too long (F07)."""
        return self.crossed_since_ns >= 0 and now_ns - self.crossed_since_ns > DISAGREE_MAX_NS


class Pedals:
    """The three pedals and the rule of one function."""

    __slots__ = ("_items", "_rest_since_ns", "_rested", "_still", "_waits", "of", "up_since_ns")

    def __init__(self) -> None:
        self.of = {pedal: OnePedal(*masks) for pedal, masks in _CONTACTS.items()}
        self._items = tuple(self.of.values())
        self._rest_since_ns = -1
        self._rested = False
        self.up_since_ns = -1
        self.stir()

    def stir(self) -> None:
        """The next turn reads every contact, whatever the last one found."""
        self._still = _MOVING
        self._waits = True

    def turn(self, now_ns: int, levels: int, unsafe_edges: int, edge_ns: int = 0) -> None:
        """Read all contacts, which last changed at `edge_ns` (0: not known, so now)."""
        if levels & PEDALS == self._still and not self._waits and not unsafe_edges & PEDALS:
            return
        # A loop at rest comes a little later than its contacts; longer ago nobody has watched.
        if not now_ns - STALL_NS <= edge_ns <= now_ns:
            edge_ns = now_ns
        before = [pedal.state for pedal in self._items]
        for pedal in self._items:
            pedal.turn(now_ns, levels, unsafe_edges, edge_ns)
        self._watch_rest(now_ns, levels, unsafe_edges)
        if not self.all_up():
            self.up_since_ns = -1
        elif self.up_since_ns < 0:
            self.up_since_ns = now_ns
        if unsafe_edges & PEDALS or before != [pedal.state for pedal in self._items]:
            self.stir()
            return
        timed = any(pedal.wake_ns() is not None for pedal in self._items)
        resting = self._rest_since_ns >= 0 and not self._rested
        self._still = levels & PEDALS if timed or not resting else _MOVING
        self._waits = timed or resting

    def stands_still(self, levels: int) -> bool:
        """True when a turn with these levels, and no edge, changes nothing before `wake_ns`."""
        return levels & PEDALS == self._still

    def _watch_rest(self, now_ns: int, levels: int, unsafe_edges: int) -> None:
        """Invariant 2: since the last stop all pedals were seen released together."""
        if levels & PEDALS != NC_CONTACTS or unsafe_edges & PEDALS:
            self._rest_since_ns = -1
        elif self._rest_since_ns < 0:
            self._rest_since_ns = now_ns
        elif now_ns - self._rest_since_ns >= RELEASED_MIN_NS:
            self._rested = True

    def void(self, now_ns: int) -> None:
        """Demand a fresh release of every pedal."""
        for pedal in self._items:
            pedal.take(PedalEvent.VOID, now_ns)
            pedal.crossed_since_ns = -1
        self.up_since_ns = self._rest_since_ns = -1
        self._rested = False
        self.stir()

    def restart_debounce(self, now_ns: int) -> None:
        """Time has passed that nobody watched: a press in the making starts again."""
        for pedal in self._items:
            if pedal.state is PedalState.PRESSING:
                pedal.since_ns = now_ns

    def in_the_making(self) -> bool:
        """True when a pedal is pressed that has not called its run yet (asked with no run)."""
        return any(pedal.state in _STARTED for pedal in self._items)

    def void_others(self, active: Pedal, now_ns: int) -> None:
        """During a run: another pedal that leaves rest must be let go before it counts."""
        for name, pedal in self.of.items():
            if name is not active and pedal.state in _STARTED:
                pedal.take(PedalEvent.VOID, now_ns)
                self.stir()

    def pressed(self) -> Pedal | None:
        """The pedal that may call a run now: it is DOWN and all others have been let go."""
        down = [name for name, pedal in self.of.items() if pedal.state is PedalState.DOWN]
        if len(down) != 1 or not self._rested:
            return None
        rest = (PedalState.UP, PedalState.PRESSING)
        if all(pedal.state in rest for name, pedal in self.of.items() if name not in down):
            return down.pop()
        return None

    def any_down(self) -> bool:
        """True when any pedal has completed a press."""
        return any(pedal.state is PedalState.DOWN for pedal in self._items)

    def is_down(self, active: Pedal) -> bool:
        """True while the pedal of the run is pressed."""
        return self.of[active].state is PedalState.DOWN

    def all_up(self) -> bool:
        """True when every pedal has been let go for at least RELEASED_MIN_NS."""
        return all(pedal.state is PedalState.UP for pedal in self._items)

    @property
    def rested(self) -> bool:
        """True when all pedals were seen released together since the last stop, and none moved."""
        return self._rested and self.all_up()

    def disagree(self, now_ns: int) -> Pedal | None:
        """The first pedal whose contacts contradict each other for too long."""
        if not self._waits:
            return None
        for name, pedal in self.of.items():
            if pedal.disagrees(now_ns):
                return name
        return None

    def wake_ns(self) -> int | None:
        """Earliest instant at which a pedal's timer runs out."""
        if not self._waits:
            return None
        times = [at for pedal in self._items if (at := pedal.wake_ns()) is not None]
        return min(times) if times else None
