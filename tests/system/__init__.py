"""Whole machines of real processes, in the rig's room."""
