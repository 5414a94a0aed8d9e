"""Tests of `docs/`: pages and schemas against the code. Nothing but tests lives here."""
