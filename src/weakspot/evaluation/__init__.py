"""Points against truth: matching, FROC, operating point, and their uncertainty."""
