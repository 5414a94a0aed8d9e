"""The supervisor's decisions: modes, faults, technique, orders, self-test, reconciliation, why.

Lives here: pure code; values in, values out, time is an argument.  May not live here: asyncio,
sockets, files, a clock, or anything that waits.  `controller.supervisor` is the shell around it.
"""
