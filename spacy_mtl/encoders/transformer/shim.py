"""A Hugging Face transformer inside a thinc model: its weights, config and tokenizer are saved with the pipeline."""

import copy
import io
import json
import pickle
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, NamedTuple

import srsly
import torch
from thinc.api import PyTorchGradScaler, PyTorchShim, get_torch_default_device, torch2xp, xp2torch
from tokenizers import Tokenizer
from transformers import AutoConfig
from transformers import AutoModel as HFModel
from transformers import AutoTokenizer as HFTokenizer

from ...threads.torch_threads import use_one_thread_after_forks
from .piece_batches import SpecialPieces
from .piece_pooling import PieceInput, WordTransformer
from .word_pieces import PieceTable

# partly annotated
AutoModel: Any = HFModel
AutoTokenizer: Any = HFTokenizer


class Reading(NamedTuple):
    """What training keeps of a batch.

    output (Tensor): The words' vectors, (n_words, width).
    ids (Tensor): The pieces that were looked up apart from the embedding's table, (n_rows, n_positions).
    vectors (Tensor | None): What was found, (n_rows, n_positions, width). Its gradient belongs to few rows of the
        table, which is large; None where the transformer looked them up itself.
    """

    output: torch.Tensor
    ids: torch.Tensor
    vectors: torch.Tensor | None


class TransformerShim(PyTorchShim):
    """The transformer, once it is loaded, and its tokenizer.

    settings (dict): Arguments of `WordTransformer`.
    """

    def __init__(self, *, settings: dict[str, Any], mixed_precision: bool, compiled: bool) -> None:
        super().__init__(None, mixed_precision=mixed_precision, grad_scaler=PyTorchGradScaler(mixed_precision))
        use_one_thread_after_forks()
        self.settings = settings
        self.compiled = compiled
        self.pieces: PieceTable | None = None
        self.special = SpecialPieces((), (), 0)
        self.max_length = 0
        self._named: dict[str, torch.nn.Parameter] = {}
        self._lock = Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state, _lock=Lock())
        use_one_thread_after_forks()

    def load(self, name: str) -> None:
        """Load pretrained weights. name (str): A folder, or a name on the Hugging Face hub.

        Raises a ValueError if there is no such model, or it has no fast tokenizer.
        """
        try:
            tokenizer = AutoTokenizer.from_pretrained(name, add_prefix_space=True)
            transformer = AutoModel.from_pretrained(name)
        except (OSError, ValueError) as error:
            raise ValueError(
                f"transformer {name!r}: it can't be loaded: {str(error).splitlines()[0]}. Give a folder with "
                "config.json, weights and tokenizer.json, or the name of a model on the Hugging Face hub; without "
                "network it has to be in the cache already, as after: huggingface-cli download NAME"
            ) from error
        if not tokenizer.is_fast:
            raise ValueError(
                f"transformer {name!r}: its tokenizer {type(tokenizer).__name__} has no fast version (tokenizer.json), "
                "which is needed here; convert it with transformers, or use another model"
            )
        self._set(transformer, tokenizer.backend_tokenizer.to_str(), read_special(tokenizer), read_length(tokenizer))

    def _set(self, transformer: Any, tokenizer: str, special: SpecialPieces, max_length: int) -> None:
        # Nothing here reads the pooled output of the first piece, so its layer would never be trained.
        if getattr(transformer, "pooler", None) is not None:
            transformer.pooler = None
        self.special = special
        cutter = Tokenizer.from_str(tokenizer)
        cutter.no_truncation()
        cutter.no_padding()
        self.pieces = PieceTable(cutter)
        self._model = WordTransformer(transformer, **self.settings).to(get_torch_default_device())
        self._named = dict(self._model.named_parameters())
        positions = getattr(transformer.config, "max_position_embeddings", None) or max_length
        self.max_length = min(max_length, positions - self._model.first_position)
        self._grad_scaler.to_(self.device)
        self._compile()

    def _compile(self) -> None:
        if self.compiled and self.device.type == "cuda":
            self._model.transformer.compile(dynamic=True)

    @property
    def is_loaded(self) -> bool:
        """Whether it has weights."""
        return self.pieces is not None

    @property
    def module(self) -> WordTransformer:
        """The transformer."""
        model: WordTransformer = self._model
        return model

    def read(self, inputs: PieceInput, *, is_train: bool) -> Reading:
        """The module's output; in training with what its gradient needs."""
        on_gpu = self.device.type == "cuda"
        if is_train and self._mixed_precision and not on_gpu:
            raise ValueError(
                "transformer: mixed_precision is true, but training runs on a CPU; give spacy train --gpu-id 0, or set "
                "mixed_precision = false"
            )
        self._set_mode(is_train=is_train)
        vectors = self._model.piece_vectors(inputs.ids) if is_train and self._model.can_pack else None
        with torch.inference_mode(not is_train), torch.autocast("cuda", enabled=self._mixed_precision and on_gpu):
            output: torch.Tensor = self._model(inputs, vectors)
        return Reading(output, inputs.ids, vectors)

    def _set_mode(self, *, is_train: bool) -> None:
        # The module's own flag changes before those of its layers, so a thread that sees it without the lock could go
        # on while another still switches dropout off.
        with self._lock:
            if self._model.training != is_train:
                self._model.train(is_train)

    def backprop(self, readings: Sequence[Reading], gradients: Sequence[torch.Tensor]) -> None:
        """Add to the gradients of the weights. What the outputs kept for it is freed."""
        scaled = self._grad_scaler.scale(list(gradients), inplace=True)
        torch.autograd.backward([reading.output for reading in readings], scaled)
        for reading in readings:
            self._add_rows(reading)

    def _add_rows(self, reading: Reading) -> None:
        """Add the gradient of the pieces' vectors to that of the embedding's table."""
        if reading.vectors is None or reading.vectors.grad is None:
            return
        table = self._model.transformer.get_input_embeddings().weight
        if table.grad is None:
            table.grad = torch.zeros_like(table)
        table.grad.index_add_(0, reading.ids.flatten(), reading.vectors.grad.flatten(0, 1))

    @contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Put averaged weights in place of the own ones."""
        own = self._named
        kept = {}
        for key, value in params.items():
            if isinstance(key, tuple) and key[0] == self.id and key[1] in own:
                kept[key[1]] = own[key[1]].data
                own[key[1]].data = xp2torch(value, device=self.device)
        yield
        for name, data in kept.items():
            own[name].data = data

    def to_bytes(self) -> bytes:
        """All that is needed to load it without a network."""
        if self.pieces is None:
            return bytes(srsly.msgpack_dumps({}))
        weights = io.BytesIO()
        torch.save(self._model.state_dict(), weights)
        msg = {
            "config": self._model.transformer.config.to_json_string(use_diff=False),
            "tokenizer": self.pieces.tokenizer.to_str(),
            "special": [list(self.special.prefix), list(self.special.suffix), self.special.pad],
            "max_length": self.max_length,
            "weights": weights.getvalue(),
        }
        return bytes(srsly.msgpack_dumps(msg))

    def from_bytes(self, bytes_data: bytes) -> "TransformerShim":
        """Load what `to_bytes` gave. Raises a ValueError if there is anything but tensors among the weights."""
        msg = srsly.msgpack_loads(bytes_data)
        if msg:
            config = AutoConfig.for_model(**read_config(msg["config"]))
            prefix, suffix, pad = msg["special"]
            special = SpecialPieces(tuple(prefix), tuple(suffix), pad)
            transformer = AutoModel.from_config(config, trust_remote_code=False)
            self._set(transformer, msg["tokenizer"], special, msg["max_length"])
            self._model.load_state_dict(read_tensors(msg["weights"], device=self.device))
        return self

    def copy(self) -> "TransformerShim":
        """A copy with weights of its own."""
        copied = TransformerShim(settings=self.settings, mixed_precision=self._mixed_precision, compiled=self.compiled)
        if self.pieces is not None:
            copied.special, copied.max_length = self.special, self.max_length
            copied.pieces = PieceTable(self.pieces.tokenizer)
            copied._model = copy.deepcopy(self._model)
            copied._named = dict(copied._model.named_parameters())
            copied._compile()
        return copied

    def __deepcopy__(self, memo: Any) -> "TransformerShim":
        return self.copy()

    def finish_update(self, optimizer: Any) -> None:
        """Let the optimizer change the weights in place, and set their gradients to zero or drop them."""
        params = {(self.id, name): param for name, param in self._named.items() if param.grad is not None}
        if self._grad_scaler.unscale([param.grad for param in params.values()]):
            for param in params.values():
                param.grad = None
        elif self.device.type == "cuda" and hasattr(optimizer, "step_together"):
            optimizer.step_together(params)
            for param in params.values():
                param.grad = None
        else:
            for key, param in params.items():
                _take_step(optimizer, key, param)
        self._grad_scaler.update()


def _take_step(optimizer: Any, key: tuple[int, str], param: torch.nn.Parameter) -> None:
    """Let the optimizer change a parameter in place, or put what it gives in its place."""
    assert param.grad is not None
    weights, gradient = torch2xp(param.data), torch2xp(param.grad)
    new, left = optimizer(key, weights, gradient)
    if new is not weights:
        param.data = xp2torch(new, device=param.device)
    if left is not gradient:
        param.grad = xp2torch(left, device=param.device)


def read_config(text: str) -> dict[str, Any]:
    """The settings of a transformer's config. What starts with "_" and `attn_implementation` are left out: they do not
    belong to the network, and the latter can name code on the Hugging Face hub.
    """
    settings: dict[str, Any] = json.loads(text)
    return {key: value for key, value in settings.items() if not key.startswith("_") and key != "attn_implementation"}


def read_tensors(weights: bytes, *, device: Any) -> dict[str, torch.Tensor]:
    """The tensors by name, from what torch.save wrote."""
    try:
        tensors: dict[str, torch.Tensor] = torch.load(io.BytesIO(weights), map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            "transformer: its saved weights hold something other than tensors, which was not loaded, since loading it "
            "could run any code. Do not trust this pipeline; get it again from where it was trained"
        ) from error
    return tensors


def read_special(tokenizer: Any) -> SpecialPieces:
    """The pieces around a text, such as [CLS] and [SEP]."""
    encoding = tokenizer.backend_tokenizer.encode("a")
    start, stop = encoding.special_tokens_mask.index(0), len(encoding) - encoding.special_tokens_mask[::-1].index(0)
    pad = tokenizer.pad_token_id
    return SpecialPieces(tuple(encoding.ids[:start]), tuple(encoding.ids[stop:]), 0 if pad is None else pad)


def read_length(tokenizer: Any) -> int:
    """Pieces that the tokenizer says the model can read at once; it says a huge number where it does not know."""
    return int(min(tokenizer.model_max_length, 2**20))
