"""The heads of a component whose config names none."""

DEFAULT_HEADS = {"textcat": "spacy_mtl.DocClassifier.v1", "ner": "spacy_mtl.EntityRecognizer.v1"}
