"""Multi-task learning for spaCy: one shared encoder, many heads, trained jointly."""

__version__ = "0.1.0"
