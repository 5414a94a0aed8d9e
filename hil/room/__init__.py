"""Models of the room, pure: contacts, chain, monostable, generator, panel timing, dosimeter.

Lives here: event-driven models in integer ns that are told the time and return what happened; the
same ones run behind the real wires and in virtual time.  May not live here: a clock, a socket, a
file, chance without a seed, or a judgement.
"""
