"""The house rules: what no off-the-shelf tool checks, as functions and as tests."""
