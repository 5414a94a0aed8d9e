"""Tests of `realtime`. Nothing but tests lives here."""
