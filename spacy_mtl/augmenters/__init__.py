"""Augmenters: what a corpus gives in the place of some of its docs, in training."""
