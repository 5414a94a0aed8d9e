"""What crosses the borders of the beam executive: lines, messages, rings, records.

Lives here: tables and codecs, as data, shared by all three folders.  May not live here: anything
that decides, waits or opens a socket.  A stranger can write the other end of each wire from the
page in `docs/` that is generated from or checked against these files.
"""
