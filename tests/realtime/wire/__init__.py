"""Tests of `realtime/wire`. Nothing but tests lives here."""
