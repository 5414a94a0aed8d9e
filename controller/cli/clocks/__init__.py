"""Scenarios in real time: the same files against the real processes and the rig.

Lives here: the timeline on a running machine, what is seen from outside, and the choice of what is
judged.  May not live here: a reaction or a rule of judgement (`hil.sim.judging`), the room, or
anything of the inside of a process.
"""
