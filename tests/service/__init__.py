"""Tests of service over MQTT: pure rules, files, real processes, real brokers."""
