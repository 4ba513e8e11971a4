"""Converters from published file formats to spaCy docs: one format a file, one function each.

The functions are lazy and raise `ConversionError` on malformed input. `python -m spacy mtl convert` runs them
from the command line.
"""
