"""The room: tube, generator, panel, patient, pedal, wires, and what judges them.

Lives here: the rig, its physics, the referee and its pictures.  May not live here: anything that
decides for the beam; of the executive only `realtime.wire` is seen.
"""
