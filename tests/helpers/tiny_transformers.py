"""Small random transformers, made on the spot and written as Hugging Face folders."""

from pathlib import Path
from typing import Any

import spacy
from pipelines import JOINT, make_examples
from spacy.language import Language

WORDS = "play some jazz in berlin who is anna schmidt where the wake me at seven ##ly ##s un ##believ ##able".split()


def write_bert(
    folder: Path, *, positions: int = 64, width: int = 16, layers: int = 2, model_type: str = "bert", **settings: Any
) -> str:
    """A transformer with a tokenizer of whole words, letters and pieces of words. RETURNS: the folder.

    model_type (str): Another of Hugging Face's types than BERT.
    settings: Of its config.
    """
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import AutoConfig, AutoModel, BertTokenizerFast

    letters = "abcdefghijklmnopqrstuvwxyz"
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    ids = {piece: i for i, piece in enumerate(dict.fromkeys(vocab))}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [("[CLS]", ids["[CLS]"]), ("[SEP]", ids["[SEP]"])]
    tokenizer.post_processor = processors.BertProcessing(special[1], special[0])
    BertTokenizerFast(tokenizer_object=tokenizer, model_max_length=positions).save_pretrained(folder)
    sizes = {
        "hidden_size": width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "intermediate_size": 2 * width,
    }
    no_dropout = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    shape = sizes | no_dropout | {"vocab_size": len(ids), "max_position_embeddings": positions, "pad_token_id": 0}
    torch.manual_seed(0)
    model = AutoModel.from_config(AutoConfig.for_model(model_type, **(shape | settings)))
    for param in model.parameters():
        torch.nn.init.normal_(param, std=0.3)
    model.save_pretrained(folder)
    return str(folder)


def transformer_pipeline(bert: str, *, listener: bool) -> Language:
    """A small pipeline over a transformer: in the component, or in a tok2vec pipe that it listens to."""
    nlp = spacy.blank("en")
    tok2vec: dict[str, Any] = {"@architectures": "spacy_mtl.TransformerEncoder.v1", "name": bert}
    if listener:
        nlp.add_pipe("tok2vec", config={"model": tok2vec})
        tok2vec = {"@architectures": "spacy_mtl.Tok2VecListener.v1", "width": 16, "upstream": "*"}
    model = {"@architectures": "spacy_mtl.SharedEncoder.v1", "tok2vec": tok2vec}
    nlp.add_pipe("multitask", config={"model": model, "heads": JOINT})
    nlp.initialize(lambda: make_examples(nlp))
    return nlp
