"""Three corpora in one pipeline: SNIPS (intents, slots), WNUT-17 (entities) and cooking (tags of questions).

    python benchmarks/scores/three_corpora.py --data ../shared/data

Trains `benchmarks/configs/three_corpora.cfg` on all of them, then each head alone, on as many passes over its corpus as
it gets together with the others, and spaCy's own ner and textcat_multilabel on the three corpora merged, in the same
proportions and for the same number of steps. Each is chosen on dev and scored on test, on gold tokens; half of
cooking's dev set stands for its test set.
"""

import argparse
import copy
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import spacy
from half_labels import best, spans_of
from runs import Run, annotated, load_config, merge_alone, read_docs, run_all, set_steps, table, write_docs
from score_options import DATA, ROOT, SEEDS, make_parser
from spacy.language import Language
from spacy.scorer import Scorer
from spacy.training import Example
from thinc.api import Config

OURS, NATIVE = (
    ROOT / "benchmarks" / "configs" / "three_corpora.cfg",
    ROOT / "benchmarks" / "configs" / "native_joint.cfg",
)
CORPORA = {"intent": "snips", "slots": "snips", "names": "wnut17", "tags": "cooking"}
# passes over each corpus in the time of one pass over cooking, as in the config
WEIGHTS = {"snips": 2, "wnut17": 3, "cooking": 1}
DEV_SCORES = {"intent": "intent_acc", "slots": "slots_f", "names": "names_f", "tags": "tags_macro_auc"}
SCORES = ("intent_acc", "slots_f", "names_f", "tags_macro_auc", "tags_micro_f")


def main() -> None:
    parser = make_parser(
        __doc__,
        data=DATA,
        output=ROOT / "training" / "three_corpora",
        seeds=SEEDS,
        systems=["together", "alone", "spaCy"],
        steps=4000,
        jobs=1,
    )
    args = parser.parse_args()
    data = args.output / "data"
    words = copy_corpora(args.data, data)
    rows = run_all(plan(args, data, words), args.output, jobs=args.jobs)
    print(table([merge_alone(row) for row in rows], "system", SCORES))


def copy_corpora(source: Path, target: Path) -> dict[str, int]:
    """Copy the corpora, halve cooking's dev set, and merge what spaCy's pipeline trains on.

    RETURNS: the number of words of each training set.
    """
    nlp = spacy.blank("en")
    for name in WEIGHTS:
        for split in ("train", "dev", "test"):
            path = source / name / f"{split}.spacy"
            if path.exists():
                (target / name).mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target / name)
    held_out = read_docs(source / "cooking" / "dev.spacy", nlp)
    write_docs(held_out[::2], target / "cooking" / "dev.spacy")
    write_docs(held_out[1::2], target / "cooking" / "test.spacy")
    for split in ("train", "dev"):
        docs = {name: read_docs(target / name / f"{split}.spacy", nlp) for name in WEIGHTS}
        times = WEIGHTS if split == "train" else dict.fromkeys(WEIGHTS, 1)
        write_docs([doc for name in WEIGHTS for doc in docs[name] * times[name]], target / "merged" / f"{split}.spacy")
        if split == "train":
            words = {name: sum(map(len, docs[name])) for name in WEIGHTS}
    return words


def plan(args: argparse.Namespace, data: Path, words: Mapping[str, int]) -> Iterator[Run]:
    """The trainings, seed by seed."""
    drawn = {name: WEIGHTS[name] * words[name] for name in WEIGHTS}
    for seed in args.seeds:
        together = load_config(OURS, {"paths.corpora": str(data), "system.seed": seed})
        if "together" in args.systems:
            yield make_run("together", seed, set_steps(together, args.steps), data)
        for head, corpus in CORPORA.items() if "alone" in args.systems else ():
            steps = round(args.steps * drawn[corpus] / sum(drawn.values()))
            yield make_run(f"{head} alone", seed, set_steps(only(together, head), steps), data)
        if "spaCy" in args.systems:
            yield make_run("spaCy, merged", seed, native_config(data / "merged", seed=seed, steps=args.steps), data)


def make_run(system: str, seed: int, config: Config, data: Path) -> Run:
    """A training, scored on the test sets of the corpora that it has learned from."""
    heads = [system.split()[0]] if system.endswith(" alone") else list(CORPORA)
    return Run({"system": system, "seed": seed}, config, lambda nlp: score(nlp, data, heads))


def only(config: Config, head: str) -> Config:
    """A copy with one head and its corpus."""
    config = copy.deepcopy(config)
    multitask = config["components"]["multitask"]
    multitask["heads"] = {head: multitask["heads"][head]}
    multitask["weighting"]["weights"] = {head: multitask["weighting"]["weights"][head]}
    if "condition_on" in multitask["heads"][head]:
        multitask["heads"][head]["condition_on"] = None
    for split in ("train", "dev"):
        corpora = config["corpora"][split]["corpora"]
        config["corpora"][split]["corpora"] = {CORPORA[head]: corpora[CORPORA[head]] | {"heads": [head]}}
    config["training"]["score_weights"] = {DEV_SCORES[head]: 1.0}
    return config


def native_config(merged: Path, *, seed: int, steps: int) -> Config:
    """spaCy's pipeline. Its exclusive textcat refuses cooking's docs, so that all classes go to textcat_multilabel."""
    paths = {f"paths.{split}": str(merged / f"{split}.spacy") for split in ("train", "dev")}
    gold = {f"corpora.{split}.gold_tokens": True for split in ("train", "dev")}
    length = {"training.max_epochs": 0, "training.max_steps": steps, "system.seed": seed}
    config = load_config(NATIVE, paths | gold | length)
    textcat = config["components"].pop("textcat")
    textcat.update(
        factory="textcat_multilabel", threshold=0.5, scorer={"@scorers": "spacy.textcat_multilabel_scorer.v2"}
    )
    textcat["model"]["exclusive_classes"] = False
    config["components"]["textcat_multilabel"] = textcat
    config["nlp"]["pipeline"] = ["tok2vec", "ner", "textcat_multilabel"]
    config["training"]["score_weights"] = {"ents_f": 0.5, "cats_macro_auc": 0.5}
    return config


def score(nlp: Language, data: Path, heads: list[str]) -> dict[str, float]:
    """The heads' scores on the test sets, in per cent, for any pipeline. Labels of other corpora are left out."""
    result: dict[str, float] = {}
    for name in dict.fromkeys(CORPORA[head] for head in heads):
        examples = annotated(nlp, data / name / "test.spacy")
        if name == "cooking":
            result |= tag_scores(examples)
            continue
        result["slots_f" if name == "snips" else "names_f"] = span_f(examples)
        if name == "snips":
            right = [best_of_gold(eg) for eg in examples]
            result["intent_acc"] = 100 * sum(right) / len(right)
    wanted = tuple(f"{head}_" for head in heads)
    return {key: round(value, 2) for key, value in result.items() if key.startswith(wanted)}


def tag_scores(examples: list[Example]) -> dict[str, float]:
    """Area under the ROC curve, the mean of the tags, and F1 of all decisions at probability 0.5."""
    labels = sorted(examples[0].reference.cats)
    scores = Scorer.score_cats(examples, "cats", labels=labels, multi_label=True, threshold=0.5)
    return {"tags_macro_auc": 100 * scores["cats_macro_auc"], "tags_micro_f": 100 * scores["cats_micro_f"]}


def best_of_gold(example: Example) -> bool:
    """Whether the best of the corpus's classes is the right one."""
    gold = example.reference.cats
    return bool(best({label: example.predicted.cats.get(label, 0.0) for label in gold}) == best(gold))


def span_f(examples: list[Example]) -> float:
    """F1 of exact spans, in `doc.spans["names"]` where the head wrote there, of the types that the corpus has."""
    gold = [spans_of(eg, predicted=False) for eg in examples]
    labels = {label for spans in gold for _, _, label in spans}
    found = [own_spans(eg, labels) for eg in examples]
    hits = sum(len(one & other) for one, other in zip(gold, found, strict=True))
    return 200 * hits / max(sum(map(len, gold)) + sum(map(len, found)), 1)


def own_spans(example: Example, labels: set[str]) -> set[tuple[int, int, str]]:
    """The predicted spans of these types."""
    spans = example.predicted.spans
    own = {(span.start, span.end, span.label_) for span in spans["names"]} if "names" in spans else set()
    return {span for span in own | spans_of(example, predicted=True) if span[2] in labels}


if __name__ == "__main__":
    main()
