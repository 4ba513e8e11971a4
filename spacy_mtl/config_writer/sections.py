"""A plan and its templates as one config with comments."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..protocols.head import Head
from .commented_config import CommentedConfig, has_template, read_template
from .config_plan import CorpusPlan, HeadPlan, Plan
from .request import Request

MULTITASK = "components.multitask"


def compose(request: Request, plan: Plan, heads: Mapping[str, Head], scores: Mapping[str, float]) -> CommentedConfig:
    """Lay the templates over one another, and put the plan in.

    heads (Mapping[str, Head]): The heads of the plan, built.
    scores (Mapping[str, float]): Weights of the scores.
    """
    result = CommentedConfig()
    for name in template_names(request, plan):
        result.add(read_template(name))
    result.set("nlp.lang", request.lang)
    for name, value in plan.paths.items():
        result.set(f"paths.{name}", value)
    add_heads(result, plan.heads, heads)
    training = result.config["training"]
    training["score_weights"] = {"multitask_score": 0.0, "multitask_exact": 0.0, **scores}
    if request.steps is not None:
        plan.values["training.max_steps"] = request.steps
    if "training.max_steps" in plan.values:
        steps = int(plan.values["training.max_steps"])
        evaluations = training["max_steps"] / training["eval_frequency"]
        plan.values["training.eval_frequency"] = rounded(steps / evaluations)
    add_corpora(result, plan, augmenter_of(request, plan.heads))
    if request.own_tokens:
        use_own_tokens(result.config["corpora"])
    for name, value in (*plan.values.items(), *request.settings):
        result.set(name, value)
    for name, why in plan.why.items():
        if why:
            result.comment(name, why)
    return result


def template_names(request: Request, plan: Plan) -> list[str]:
    """The templates, in the order in which they are laid over one another."""
    encoder = "cnn" if request.transformer is None else "transformer"
    corpora = "corpora" if plan.corpora else "stream" if augmenter_of(request, plan.heads) else "one_corpus"
    variants = [
        f"{encoder}_pipe" if request.pipe else "",
        f"{encoder}_{request.optimize}",
        f"{encoder}_{corpora}",
        f"{encoder}_{request.lang}",
    ]
    return ["base", encoder, *filter(has_template, filter(None, variants)), corpora]


def augmenter_of(request: Request, heads: Sequence[HeadPlan]) -> dict[str, Mapping[str, Any]]:
    """The sections of augmenters by the names of the heads that gain from them. `--optimize speed` uses none."""
    if request.optimize == "speed":
        return {}
    return {head.name: head.preset.augmenter for head in heads if head.preset.augmenter is not None}


def add_heads(result: CommentedConfig, plans: Sequence[HeadPlan], heads: Mapping[str, Head]) -> None:
    """Add the sections of the heads, and the weights of their losses."""
    for plan in plans:
        name = f"{MULTITASK}.heads.{plan.name}"
        result.set(name, plan.section)
        result.comment(name, sentence(f"{plan.preset.what}, from {', '.join(heads[plan.name].gold_attributes)}"))
        for text in filter(None, (*plan.why, plan.preset.note)):
            result.comment(name, sentence(text))
    result.set(f"{MULTITASK}.weighting.weights", {plan.name: plan.weight for plan in plans})


def add_corpora(result: CommentedConfig, plan: Plan, augmenters: Mapping[str, Mapping[str, Any]]) -> None:
    """Add the sections of several corpora, or the augmenter of a single one."""
    for corpus in plan.corpora:
        for split, file, names in (("train", corpus.train, corpus.heads), ("dev", corpus.dev, corpus.dev_heads)):
            if file:
                own = [augmenters[name] for name in names if name in augmenters] if split == "train" else []
                result.set(f"corpora.{split}.corpora.{corpus.name}", corpus_section(corpus, split, file, names, own))
        if corpus.why:
            result.comment(f"corpora.train.corpora.{corpus.name}", " ".join(map(sentence, corpus.why)))
    if plan.corpora:
        result.set("corpora.train.sampler", plan.sampler)
    else:
        for section in list(augmenters.values())[:1]:
            result.set("corpora.train.corpora.gold.augmenter", dict(section))


def corpus_section(
    corpus: CorpusPlan, split: str, file: str, heads: Sequence[str], augmenters: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The section of one corpus of several."""
    reader = {
        "@readers": "spacy_mtl.Corpus.v1",
        "path": file,
        "max_length": 0,
        "gold_tokens": True,
        "limit": 0,
        "augmenter": None,
    }
    section: dict[str, Any] = {"heads": list(heads)}
    if split == "train":
        section |= {"weight": 1.0, "limit": 0, "augmenter": dict(augmenters[0]) if augmenters else None}
    if corpus.label_map:
        pairs = [list(pair) for pair in corpus.label_map.items()]
        section["label_map"] = pairs if any("=" in old for old in corpus.label_map) else dict(corpus.label_map)
    return section | {"reader": reader}


def use_own_tokens(section: Any) -> None:
    """Set all readers in a section to the pipeline's own tokens."""
    if isinstance(section, dict):
        if "gold_tokens" in section:
            section["gold_tokens"] = False
        for part in section.values():
            use_own_tokens(part)


def rounded(number: float) -> int:
    """A number of steps, in tens if there are many."""
    return 10 * round(number / 10) if number >= 20 else max(round(number), 1)


def sentence(text: str) -> str:
    """A clause as a sentence."""
    return text[0].upper() + text[1:].rstrip(".") + "."
