"""weakspot: train a detector from counts alone."""

__version__ = "0.1.0"
