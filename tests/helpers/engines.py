"""Engines that spare a comparison its processes."""

from collections.abc import Sequence
from typing import Any

from spacy.util import registry

from spacy_mtl.comparison.compare import Running
from spacy_mtl.experiments.engine import EngineSettings
from spacy_mtl.experiments.run_folder import LOG, RunFolder
from spacy_mtl.experiments.worker import carry_out


class InThisProcess:
    """An engine that trains one run after the other in this process."""

    def __init__(self, settings: EngineSettings) -> None:
        self.settings = settings

    def run_all(self, folders: Sequence[RunFolder], watcher: Any) -> None:
        for folder in folders:
            watcher.started(folder)
            try:
                carry_out(folder.path)
            except Exception as error:
                (folder.path / LOG).write_text(f"{error}\n")
            watcher.advanced(folder, 6)
            watcher.ended(folder)


registry.mtl_engines.register("in_this_process", func=InThisProcess)  # type: ignore[attr-defined]
QUICK = Running(engine="in_this_process", costs=False)
