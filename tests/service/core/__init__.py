"""Tests of what service decides."""
