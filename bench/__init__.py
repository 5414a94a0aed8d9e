"""The bench: measures what the project promises and writes `out/bench/figures.json`.

Lives here: experiments, their goals as data, the harness that runs and resumes them.  May not live
here: a judgement that is not derived from `goals.toml`, or a number that nobody measured.
"""
