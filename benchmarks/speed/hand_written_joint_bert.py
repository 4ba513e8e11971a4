"""A joint intent and slot model as one writes it by hand: a transformer, two linear layers, a plain PyTorch loop.

The form of JointBERT (Chen et al. 2019): the intent from the first position, the slots from each word's first piece,
cross-entropy for both. Batches are padded to their longest text; prediction sorts the texts by length first.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from spacy.tokens import Doc
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

IGNORED = -100


class HandWritten(nn.Module):
    """The model, its tokenizer and its labels."""

    def __init__(self, name: str, gold: Sequence[Doc], *, device: str = "cpu") -> None:
        super().__init__()
        self.tokenizer = AutoTokenizer.from_pretrained(name)
        self.transformer = AutoModel.from_pretrained(name, add_pooling_layer=False)
        self.intents = sorted({key for doc in gold for key in doc.cats})
        self.tags = sorted({tag for doc in gold for tag in tags_of(doc)})
        width = self.transformer.config.hidden_size
        self.intent, self.slots = nn.Linear(width, len(self.intents)), nn.Linear(width, len(self.tags))
        self.dropout = nn.Dropout(0.1)
        self.device = device
        self.to(device)

    def forward(self, inputs: Any) -> tuple[Tensor, Tensor]:
        """RETURNS: logits of the intents (n_texts, n_intents) and of the tags (n_texts, n_pieces, n_tags)."""
        hidden = self.dropout(self.transformer(**inputs).last_hidden_state)
        return self.intent(hidden[:, 0]), self.slots(hidden)

    def encode(self, docs: Sequence[Doc]) -> Any:
        """Input ids and mask, padded to the longest text."""
        words = [[token.text for token in doc] for doc in docs]
        return self.tokenizer(words, is_split_into_words=True, padding=True, truncation=True, return_tensors="pt")

    def train_on(self, docs: Sequence[Doc], *, batch_size: int, lr: float = 5e-5) -> None:
        """One pass, with torch's fused AdamW."""
        self.train()
        optimizer = torch.optim.AdamW(self.parameters(), lr=lr, weight_decay=0.01, fused=True)
        for batch in batches(docs, batch_size):
            inputs = self.encode(batch)
            intents = torch.tensor([self.intents.index(max(doc.cats, key=doc.cats.__getitem__)) for doc in batch])
            tags = self._align(batch, inputs)
            intent_logits, tag_logits = self(inputs.to(self.device))
            loss = nn.functional.cross_entropy(intent_logits, intents.to(self.device))
            tags = tags.flatten().to(self.device)
            loss = loss + nn.functional.cross_entropy(tag_logits.flatten(0, 1), tags, ignore_index=IGNORED)
            loss.backward()
            nn.utils.clip_grad_norm_(self.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def _align(self, docs: Sequence[Doc], inputs: Any) -> Tensor:
        tags = torch.full(inputs["input_ids"].shape, IGNORED)
        for row, doc in enumerate(docs):
            own, last = tags_of(doc), None
            for place, word in enumerate(inputs.word_ids(row)):
                if word is not None and word != last:
                    tags[row, place] = self.tags.index(own[word])
                last = word
        return tags

    @torch.inference_mode()
    def annotate(self, docs: Sequence[Doc], *, batch_size: int) -> list[tuple[str, list[str]]]:
        """RETURNS: for each doc the intent, and a tag for each word."""
        self.eval()
        order = sorted(range(len(docs)), key=lambda i: len(docs[i]))
        results: list[tuple[str, list[str]]] = [("", [])] * len(docs)
        for batch in batches(order, batch_size):
            inputs = self.encode([docs[i] for i in batch])
            intents, tags = (logits.argmax(-1).tolist() for logits in self(inputs.to(self.device)))
            for row, i in enumerate(batch):
                words: dict[int, str] = {}
                for place, word in enumerate(inputs.word_ids(row)):
                    if word is not None:
                        words.setdefault(word, self.tags[tags[row][place]])
                results[i] = (self.intents[intents[row]], [words.get(j, "O") for j in range(len(docs[i]))])
        return results


def tags_of(doc: Doc) -> list[str]:
    """One BIO tag for each word."""
    return [f"{token.ent_iob_}-{token.ent_type_}" if token.ent_type_ else "O" for token in doc]


def batches(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    """Neighbours together."""
    for start in range(0, len(items), size):
        yield items[start : start + size]
