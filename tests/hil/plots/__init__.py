"""Tests of `hil/plots`. Nothing but tests lives here."""
