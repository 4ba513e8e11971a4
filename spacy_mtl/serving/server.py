"""Load pipelines and serve them with uvicorn until a signal comes."""

import gc
import logging
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from spacy.language import Language

from .access import is_local, names_of
from .api import make_app
from .limits import Limits
from .served_pipeline import ServedPipeline
from .slow_clients import protocol_with_deadline

# Seconds for the head of a request; it is one packet.
HEAD_SECONDS = 10.0
# Seconds that the last requests get on top of their own limit when the server stops.
STOP_SECONDS = 5

logger = logging.getLogger("spacy_mtl.serving")


def serve(
    models: Sequence[str],
    load: Callable[[str], Language],
    *,
    host: str,
    port: int,
    limits: Limits,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
) -> None:
    """Serve pipelines until SIGTERM or SIGINT. Requests that are in progress then are answered.

    models (Sequence[str]): Folders or packages, one or two.
    load (Callable[[str], Language]): Loads one of them. It is called in the thread that uses them.
    host (str): The address to bind to. port (int): 0 for a free one.
    token (str | None): What requests must carry, if anything.
    allowed_hosts (Sequence[str]): Names that the server answers to, beside those of this machine.
    """
    executor = ThreadPoolExecutor(1, "pipelines")
    names = names_of_models(models)

    def load_all() -> list[ServedPipeline]:
        return [ServedPipeline(load(model), name) for model, name in zip(models, names, strict=True)]

    pipelines = executor.submit(load_all).result()
    if token is None and not is_local(host):
        logger.warning("Anyone who reaches %s can use the pipelines: there is no --token", host)
    app = make_app(pipelines, executor, limits=limits, names=names_of(host, allowed_hosts), token=token)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=protocol_with_deadline(min(HEAD_SECONDS, limits.timeout)),
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=int(limits.timeout) + STOP_SECONDS,
    )
    # What is loaded stays, so that it need not be looked at again and again.
    gc.collect()
    gc.freeze()
    run_until_signal(uvicorn.Server(config))
    executor.shutdown()


def run_until_signal(server: uvicorn.Server) -> None:
    """Run a server. At its end, uvicorn raises the signal that has stopped it once more: that is no failure here."""
    before = signal.signal(signal.SIGTERM, lambda number, frame: None)
    try:
        server.run()
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def names_of_models(models: Sequence[str]) -> list[str]:
    """Short names: the last two parts of the paths, or as many as tell them apart.

    RAISES ValueError: They are one.
    """
    parts = [Path(model).resolve().parts if Path(model).is_dir() else (model,) for model in models]
    for n in range(2, max(map(len, parts)) + 2):
        names = ["/".join(own[-n:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    raise ValueError(f"both pipelines are {models[0]}; name two different ones")
