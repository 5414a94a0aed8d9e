"""Line drivers: one port, one module per kind of hardware.

Lives here: `port` (the contract) and the drivers that keep it.  May not live here: any meaning of a
line.
"""
