"""Imaging: from a raw slot to a verdict, a picture and a published frame.

Lives here: the pure steps (`pairing`, `verdict`, `corrections`, `series`, `display`), the chain
that runs them in order, and one thin loop with the sockets (`python -m controller.imaging`).  May
not live here: the stream's wire form (`controller.stream`), or any say in whether a pulse fires
beyond the verdict on its frame.
"""
