"""Tests of `hil`. Nothing but tests lives here."""
