"""Augmenters: changes of training examples."""
