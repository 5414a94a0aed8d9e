"""What service decides, as values: contract, verdicts, replay window, audit chain, pictures.

Lives here: functions of their arguments, time among them.  May not live here: sockets, files,
clocks, or asyncio.
"""
