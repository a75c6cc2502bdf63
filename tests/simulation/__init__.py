"""Seeded simulation of whole hospitals with faults at every port call: one seed, one run."""
