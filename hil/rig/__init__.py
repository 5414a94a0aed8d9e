"""The rig: the room behind real wires, as two processes, `hil.rig.line` and `hil.rig.world`.

Lives here: processes, sockets and files of the room.  May not live here: physics (`hil.physics`)
or the models of contacts, generator and panel in time (`hil.room`).
"""
