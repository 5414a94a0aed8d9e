"""The command line `carm`: a composition root that may see every folder.

Lives here: commands, what they print, exit codes, and the launcher.  May not live here: anything a
command computes.  Each command imports its subject when it is called.
"""
