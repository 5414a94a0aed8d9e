"""Tests of the room's physics.  One file per module, numbers from the domain's facts."""
