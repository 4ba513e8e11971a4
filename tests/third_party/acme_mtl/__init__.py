"""A package that adds to spacy-mtl through entry points alone."""
