"""Tests of `bench/`. Nothing but tests lives here."""
