"""The frame stream: the publisher's side and a subscriber that a stranger could have written.

Lives here: what `docs/frame-stream.md` promises, as code.  May not live here: pixels' meaning
(`controller.imaging`).  `subscriber` imports nothing of this project.
"""
