"""Augmenters, which replace some docs of a corpus by changed ones in training."""
