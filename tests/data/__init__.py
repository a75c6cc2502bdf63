"""Fixtures: invented people only, every byte built by code (no copied sample)."""
