"""Tests of `hil/referee`. Nothing but tests lives here."""
