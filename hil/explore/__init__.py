"""Exploration: the shipped `step` functions against an environment that may do anything.

Lives here: the search, the two subjects (beam executive with its last gate, mode machine), their
environments and what must hold.  May not live here: a copy of anything that decides, chance, or a
clock.  A composition root: it may import all, and only the command line and tests import it.
"""
