"""Trained pipelines over HTTP: a JSON API that collects requests into batches, and a page to try the pipelines in."""
