"""Devices behind ports: what the departments ask of hardware, and the drivers that answer.

Lives here: one port per kind of device and the drivers of our own.  May not live here: decisions
about what to do with an answer.  Drivers are found through entry points (`carm.panel`, …).
"""
