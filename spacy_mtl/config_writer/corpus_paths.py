"""The paths of several corpora: one value in `[paths]` for a folder that holds them all, or one for each."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath

from .config_plan import CorpusPlan
from .corpus_spec import CorpusSpec

COMMON = "corpora"


def place_corpora(
    specs: Sequence[CorpusSpec], label_maps: Mapping[str, Mapping[str, str]]
) -> tuple[list[CorpusPlan], dict[str, str]]:
    """Make the plans of corpora, and the values of `[paths]` that they refer to. Raise a ValueError if no corpus has a
    dev file.

    label_maps (Mapping): New names of labels by corpus.
    """
    if not any(spec.dev_file for spec in specs):
        raise ValueError(
            "--corpus: no corpus has a dev file to choose the best model on; give at least one as a folder with "
            "train.spacy and dev.spacy"
        )
    parents = {PurePath(spec.folder).parent for spec in specs}
    common = parents.pop() if len(parents) == 1 else None
    in_common = common is not None and all(PurePath(spec.folder).name == spec.name for spec in specs)
    paths = (
        {COMMON: common.as_posix()}
        if common is not None and in_common
        else {spec.name: PurePath(spec.folder).as_posix() for spec in specs}
    )
    plans = []
    for spec in specs:
        folder = f"${{paths.{COMMON}}}/{spec.name}" if in_common else f"${{paths.{spec.name}}}"
        dev = "" if spec.dev_file is None else f"{folder}/{spec.dev_file}"
        own = label_maps.get(spec.name, {})
        plan = CorpusPlan(
            spec.name, f"{folder}/{spec.train_file}", dev, list(spec.heads), list(spec.dev_heads), label_map=own
        )
        if spec.heads != spec.dev_heads:
            learn, scored = ", ".join(spec.heads), ", ".join(spec.dev_heads)
            plan.why.append(f"of its labels only those of {learn} are learned; the scores on it are of {scored}")
        plans.append(plan)
    return plans, paths
