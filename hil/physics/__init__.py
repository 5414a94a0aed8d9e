"""The physics of the room: spectra, patient, panel, as arithmetic on arrays.

Lives here: models that are handed what was delivered and return quanta and pixels.  May not live
here: clocks, sockets, processes (`hil.rig`).
"""
