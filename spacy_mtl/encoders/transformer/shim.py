"""A Hugging Face transformer inside a thinc model. Weights, config and tokenizer are saved with the pipeline."""

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

# typed as Any, since transformers annotates them only in part
AutoModel: Any = HFModel
AutoTokenizer: Any = HFTokenizer


class Reading(NamedTuple):
    """The result of a forward pass, with what its backward pass needs.

    output (Tensor): Vectors of the words, (n_words, width).
    ids (Tensor): Ids of the pieces, (n_rows, n_positions).
    vectors (Tensor | None): Vectors of the pieces, detached from the embedding table, (n_rows, n_positions, width).
        Their gradient is added to the few rows concerned, since a gradient of the whole table would be large. None
        where the transformer looked the vectors up itself.
    """

    output: torch.Tensor
    ids: torch.Tensor
    vectors: torch.Tensor | None


class TransformerShim(PyTorchShim):
    """A shim for the transformer and its tokenizer. It is empty until `load` or `from_bytes` is called.

    settings (dict): Arguments of `WordTransformer`.
    mixed_precision (bool): Whether to compute in 16 bits where that is safe, on a GPU.
    compiled (bool): Whether to use `torch.compile`, on a GPU.
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
        """Load pretrained weights and their tokenizer.

        Raises a ValueError if there is no such model, or if it has no fast tokenizer.

        name (str): A folder, or the name of a model on the Hugging Face hub.
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
        # Some tokenizers pad each text to a fixed length. That is left to the batches, which know what they need.
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.no_truncation()
        self._set(transformer, tokenizer.backend_tokenizer.to_str(), read_special(tokenizer), read_length(tokenizer))

    def _set(self, transformer: Any, tokenizer: str, special: SpecialPieces, max_length: int) -> None:
        # The pooled output of the first piece is not used, so its layer would never be trained.
        if getattr(transformer, "pooler", None) is not None:
            transformer.pooler = None
        self.special = special
        self.pieces = PieceTable(Tokenizer.from_str(tokenizer))
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
        """Whether there are weights."""
        return self.pieces is not None

    @property
    def module(self) -> WordTransformer:
        """The torch module."""
        model: WordTransformer = self._model
        return model

    @property
    def room(self) -> int:
        """Maximum number of pieces of a window, without the special ones."""
        return self.max_length - self.special.n_added

    def read(self, inputs: PieceInput, *, is_train: bool) -> Reading:
        """Run the module on a batch; in training, keep what its backward pass needs."""
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

    def read_embedded(self, inputs: PieceInput, vectors: torch.Tensor) -> torch.Tensor:
        """Run the module as in prediction, on vectors of the pieces (n_rows, n_positions, width), which the result can
        be differentiated by. RETURNS: Vectors of the words, (n_words, width).
        """
        self._set_mode(is_train=False)
        with torch.enable_grad():
            output: torch.Tensor = self._model(inputs, vectors)
        return output

    def _set_mode(self, *, is_train: bool) -> None:
        # The flag of the module changes before those of its layers. Without the lock, a thread that sees the new flag
        # could run while another thread is still switching dropout off.
        with self._lock:
            if self._model.training != is_train:
                self._model.train(is_train)

    def backprop(self, readings: Sequence[Reading], gradients: Sequence[torch.Tensor]) -> None:
        """Add to the gradients of the weights, and free what the readings kept.

        readings (Sequence[Reading]): The results of the forward passes.
        gradients (Sequence[Tensor]): The gradient of the output of each, (n_words, width).
        """
        scaled = self._grad_scaler.scale(list(gradients), inplace=True)
        torch.autograd.backward([reading.output for reading in readings], scaled)
        for reading in readings:
            self._add_rows(reading)

    def backprop_last(self, readings: Sequence[Reading], gradients: Sequence[Sequence[torch.Tensor]]) -> torch.Tensor:
        """Compute m gradients of the last linear layer's parameters alone, flat, (m, n_params). The readings keep what
        they need for further backward passes, and no gradient is stored.

        readings (Sequence[Reading]): The results of the forward passes.
        gradients (Sequence[Sequence[Tensor]]): For each of the m, the gradient of each output, (n_words, width).
        """
        params = list(self._model.last_linear.parameters())
        flat = torch.empty(len(gradients), sum(param.numel() for param in params), device=self.device)
        for row, of_outputs in zip(flat, gradients, strict=True):
            self._backprop_last(params, readings, of_outputs, row)
        return flat

    def _backprop_last(
        self,
        params: Sequence[torch.nn.Parameter],
        readings: Sequence[Reading],
        gradients: Sequence[torch.Tensor],
        out: torch.Tensor,
    ) -> None:
        """Compute one of these gradients, (n_params,)."""
        outputs, largest = [reading.output for reading in readings], None
        if self._mixed_precision:
            # Small gradients would be 0 in 16 bits.
            largest = torch.stack([gradient.abs().max() for gradient in gradients]).max().clamp(min=1e-30)
            gradients = [gradient / largest for gradient in gradients]
        found = torch.autograd.grad(outputs, params, gradients, retain_graph=True)
        torch.cat([gradient.flatten() for gradient in found], out=out)
        if largest is not None:
            out *= largest

    def _add_rows(self, reading: Reading) -> None:
        """Add the gradient of the pieces' vectors to the gradient of the embedding table."""
        if reading.vectors is None or reading.vectors.grad is None:
            return
        table = self._model.transformer.get_input_embeddings().weight
        if table.grad is None:
            table.grad = torch.zeros_like(table)
        table.grad.index_add_(0, reading.ids.flatten(), reading.vectors.grad.flatten(0, 1))

    @contextmanager
    def use_params(self, params: dict[Any, Any]) -> Iterator[None]:
        """Use other weights, such as averages, within the context.

        params (dict): Arrays by key, as in `Model.use_params`. Keys of other nodes are ignored.
        """
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
        """Serialise all that is needed to load the transformer without a network."""
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
        """Load the result of `to_bytes`. Raises a ValueError if the weights contain anything but tensors."""
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
        """Return a copy with weights of its own."""
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
        """Let the optimizer change the weights in place, and reset their gradients."""
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
    """Let the optimizer update a parameter, in place or by returning a new array."""
    assert param.grad is not None
    weights, gradient = torch2xp(param.data), torch2xp(param.grad)
    new, left = optimizer(key, weights, gradient)
    if new is not weights:
        param.data = xp2torch(new, device=param.device)
    if left is not gradient:
        param.grad = xp2torch(left, device=param.device)


def read_config(text: str) -> dict[str, Any]:
    """Read the settings of a transformer's config.

    Keys that start with "_" and `attn_implementation` are left out. They are not part of the network, and the latter
    can name code on the Hugging Face hub.
    """
    settings: dict[str, Any] = json.loads(text)
    return {key: value for key, value in settings.items() if not key.startswith("_") and key != "attn_implementation"}


def read_tensors(weights: bytes, *, device: Any) -> dict[str, torch.Tensor]:
    """Read the tensors, by name, that torch.save wrote. Raises a ValueError if there is anything else."""
    try:
        tensors: dict[str, torch.Tensor] = torch.load(io.BytesIO(weights), map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(
            "transformer: its saved weights hold something other than tensors, which was not loaded, since loading it "
            "could run any code. Do not trust this pipeline; get it again from where it was trained"
        ) from error
    return tensors


def read_special(tokenizer: Any) -> SpecialPieces:
    """Find the special pieces that the tokenizer, which must not pad, puts around a text, such as [CLS] and [SEP]."""
    encoding = tokenizer.backend_tokenizer.encode("a")
    start, stop = encoding.special_tokens_mask.index(0), len(encoding) - encoding.special_tokens_mask[::-1].index(0)
    pad = tokenizer.pad_token_id
    return SpecialPieces(tuple(encoding.ids[:start]), tuple(encoding.ids[stop:]), 0 if pad is None else pad)


def read_length(tokenizer: Any) -> int:
    """Return the number of pieces that the model can read at once, by the tokenizer, which reports a huge number if it
    does not know.
    """
    return int(min(tokenizer.model_max_length, 2**20))
