"""Fitting networks to counts, and the run folders that come of it."""
