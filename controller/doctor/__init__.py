"""Fitness of the machine for the beam: `carm doctor`.

`table` names every check with limit and remedy, `probes` measure effects, `examination` brings them
together.  Nothing here decides about the beam: realtime's own preflight and the supervisor do.
"""
