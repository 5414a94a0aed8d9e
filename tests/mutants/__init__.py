"""Mutants: one deciding line is changed, and some test must notice.

Lives here: the operators, planting a mutant into running code, choosing tests by coverage, judging
in forked workers, the command line.  May not live here: tests of the machine; they are elsewhere,
and only run from here.
"""
