"""Supervises: modes, exams, technique, devices, imaging, service, archive, viewer, command line.

Lives here: everything above the beam executive, one package per department.  May not live here:
anything that must be on time (that is `realtime`) or that plays the room (that is `hil`).
"""
