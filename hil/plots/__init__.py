"""Pictures of a run, drawn from its truth log: the timing picture and the waveform file.

Lives here: signals from records, drawing them, writing them as VCD.  May not live here: verdicts.
"""
