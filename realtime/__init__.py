"""On time: the beam path, from pedal and interlocks to window, pulse and permit.

Lives here: the pure core (total tables), the last gate, one thin loop around them, the line
drivers, and in `realtime.wire` what crosses the borders of the process.  May not live here:
anything that supervises (that is `controller`), anything that plays the room (that is `hil`),
asyncio, numpy, or a library other than msgpack.
"""
