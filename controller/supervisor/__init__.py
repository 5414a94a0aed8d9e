"""The supervisor process: one inbox, one main step, and the adapters around them.

Lives here: everything of the supervisor that waits, reads a clock or touches a file.  May not live
here: decisions (`controller.core`).
"""
