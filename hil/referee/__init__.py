"""The referee: judges a run on the rig's ground truth and on what leaves by public files.

Lives here: reading the truth log, one judge per invariant, metrics, cross-checks with the black
box and the frame stream.  May not live here: any code that also decides for the beam, nor any
table of it; the only foreign import is the byte layout of the black box.
"""
