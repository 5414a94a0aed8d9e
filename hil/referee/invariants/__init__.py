"""One small judge per invariant, each written from its requirement's text.

Lives here: `dead_man` … `images` (invariants 1–8), `timers` (11), `fail_dark` (12).  May not live
here: shared cleverness; a judge sees the scene, its own records and the score, never another judge.
"""
