"""A config whose encoder is computed by spaCy's layers, for the benchmarks of speed and of scores."""

from thinc.api import Config

# settings of the fast encoder that spaCy's does not have
OWN_SETTINGS = ("boundary", "word_dropout", "rare_word_dropout", "rare_word_power", "piece_vectors")


def with_spacy_encoder(config: Config) -> Config:
    """A copy whose encoder, of the same settings, is computed by spaCy's layers."""
    changed = config.copy()
    encoder = changed["components"]["tok2vec"]["model"]
    kept = {key: value for key, value in encoder.items() if key not in OWN_SETTINGS}
    changed["components"]["tok2vec"]["model"] = kept | {"@architectures": "spacy.HashEmbedCNN.v2"}
    return changed
