"""Virtual time: the room, the executive, the supervisor and imaging, composed in one process.

Lives here: the composition, its wires with delays and losses, its process and bus faults, scenarios
and campaigns.  May not live here: sockets, threads, any clock of the machine, chance without a
seed, or a judgement of safety: that is the referee's.  A composition root: it may import all, and
only the command line and tests import it.
"""
