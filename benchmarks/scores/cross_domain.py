"""Scores on a domain without labels: plain, with a domain adversary, with private adapters.

    python benchmarks/scores/cross_domain.py ewt --data ../shared/data/ewt
    python benchmarks/scores/cross_domain.py nlupp --data ../shared/data

ewt: each of five genres in turn is held out. nlupp: from banking to hotels, scored on the labels that both have. Models
are chosen on dev docs of the other domains. A finished run is not repeated.
"""

import json
import statistics
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import spacy
from runs import spread, train_all
from score_options import REQUIRED, ROOT, SEEDS, make_parser
from spacy.tokens import Doc, DocBin
from spacy.util import load_config

from spacy_mtl.readers.corpus import Corpus
from spacy_mtl.readers.multi_corpus import make_multi_corpus_v1

CONFIG = ROOT / "configs" / "cross_domain.cfg"
SPLITS = ("train", "dev", "test")
PREFIX = "genre="
LEARNED = ["POS", "ENT_IOB", "ENT_TYPE"]
THRESHOLD = 0.5
# labelled words a step
WORDS = 500


@dataclass(frozen=True)
class Method:
    """What a run adds to plain training.

    max_lambda (float | None): Of the domain adversary, if there is one. unlabelled (bool): Whether it gets the target's
        texts. sharing (dict | None): Settings of the adapters, if there are any.
    """

    max_lambda: float | None = None
    unlabelled: bool = False
    sharing: dict[str, Any] | None = None


METHODS = {
    "plain": Method(),
    "adversary": Method(max_lambda=1.0, unlabelled=True),
    "adversary-weak": Method(max_lambda=0.1, unlabelled=True),
    "adversary-sources": Method(max_lambda=1.0),
    "adapters": Method(sharing={"by": "corpus"}),
    "adapters-bypass": Method(sharing={"by": "corpus", "bypass": 0.5}),
    "adapters-head": Method(sharing={"by": "head"}),
}
TASKS = {"ewt": ("pos_acc", "ents_f"), "nlupp": ("intents_f", "slots_f")}
CHOSEN_BY = {"ewt": ("pos_acc", "ents_f"), "nlupp": ("intents_micro_f", "slots_f")}


@dataclass(frozen=True)
class Run:
    """One training.

    target (str): The domain without labels. method (str): One of `METHODS`. seed (int): Of the training.
    """

    task: str
    target: str
    method: str
    seed: int
    steps: int

    @property
    def key(self) -> str:
        """Its name in files."""
        return f"{self.task}-{self.target}-{self.method}-{self.seed}-{self.steps}"


def main() -> None:
    parser = make_parser(__doc__, data=REQUIRED, output=Path("training/cross_domain"), seeds=SEEDS, steps=1200, jobs=1)
    parser.add_argument("task", choices=TASKS)
    parser.add_argument("--genres", nargs="+", help="ewt: which to hold out, in turn; all five without")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    args = parser.parse_args()
    domains = write_domains(args.task, args.data, args.output / args.task)
    targets = ["hotels"] if args.task == "nlupp" else args.genres or domains
    unknown = sorted(set(targets) - set(domains))
    if unknown:
        parser.error(f"--genres names {unknown}, but the genres are {domains}")
    runs = [
        Run(args.task, target, method, seed, args.steps)
        for seed in args.seeds
        for target in targets
        for method in args.methods
        if len(domains) > 2 or method != "adversary-sources"
    ]
    folder = args.output / args.task
    waiting = [run for run in runs if run.key not in finished(args.output)]
    configs = [(run.key, run.seed, make_config(run, domains, folder)) for run in waiting]
    for run, trained in zip(waiting, train_all(configs, args.output / "models", args.jobs), strict=True):
        result = test(run, trained.model, domains, folder)
        with (args.output / f"runs-{args.task}.jsonl").open("a", encoding="utf8") as file:
            file.write(json.dumps(result) + "\n")
        print(json.dumps(result), flush=True)
    keys = {run.key for run in runs}
    print(table([row for key, row in finished(args.output).items() if key in keys], TASKS[args.task]))


def finished(output: Path) -> dict[str, dict[str, Any]]:
    """The results so far, by the key of the run."""
    lines = [line for path in sorted(output.glob("runs-*.jsonl")) for line in path.read_text("utf8").splitlines()]
    return {row["key"]: row for row in map(json.loads, lines)}


def write_domains(task: str, data: Path, output: Path) -> list[str]:
    """Write one folder a domain, with train.spacy, dev.spacy and test.spacy. RETURNS: The domains' names."""
    nlp = spacy.blank("en")
    domains: dict[str, dict[str, DocBin]] = {}
    for split in SPLITS:
        for name, doc in read_domains(task, data, split, nlp):
            domains.setdefault(name, {}).setdefault(split, DocBin(store_user_data=False)).add(doc)
    for name, bins in domains.items():
        (output / name).mkdir(parents=True, exist_ok=True)
        for split, docs in bins.items():
            if not (output / name / f"{split}.spacy").exists():
                docs.to_disk(output / name / f"{split}.spacy")
    return sorted(domains)


def read_domains(task: str, data: Path, split: str, nlp: spacy.Language) -> Iterator[tuple[str, Doc]]:
    """The docs, each with its domain."""
    if task == "ewt":
        for doc in DocBin().from_disk(data / f"{split}.spacy").get_docs(nlp.vocab):
            (key,) = [key for key, value in doc.cats.items() if value > 0]
            yield key.removeprefix(PREFIX), with_what_is_learned(doc)
    else:
        for name in ("banking", "hotels"):
            for doc in DocBin().from_disk(data / f"nlupp_{name}" / f"{split}.spacy").get_docs(nlp.vocab):
                yield name, doc


def with_what_is_learned(doc: Doc) -> Doc:
    """A copy with parts of speech and entities only, so that a few docs have all labels to initialise from."""
    words, spaces = [token.text for token in doc], [bool(token.whitespace_) for token in doc]
    return Doc(doc.vocab, words=words, spaces=spaces).from_array(LEARNED, doc.to_array(LEARNED))


def test(run: Run, model: Path, domains: list[str], folder: Path) -> dict[str, Any]:
    """RETURNS: The run, and its scores on the test docs in per cent."""
    score = test_ewt if run.task == "ewt" else test_nlupp
    nlp = spacy.load(model)
    scores = {name: round(100 * value, 2) for name, value in score(nlp, folder, domains, run.target).items()}
    performance = nlp.meta["performance"]
    if "domain_acc" in performance:
        scores["dev_domain_acc"] = round(100 * performance["domain_acc"], 2)
    return {"key": run.key, "target": run.target, "method": run.method, "seed": run.seed} | scores


def make_config(run: Run, domains: list[str], folder: Path) -> Any:
    """configs/cross_domain.cfg for these domains and this method. All methods see as many labelled words a step."""
    method, config = METHODS[run.method], load_config(CONFIG, interpolate=False)
    sources = [name for name in domains if name != run.target]
    component = config["components"]["multitask"]
    if run.task == "nlupp":
        use_nlupp_heads(component)
    if method.max_lambda is None:
        del component["heads"]["domain"], component["weighting"]["weights"]["domain"]
    else:
        component["heads"]["domain"]["max_lambda"] = method.max_lambda
    if method.sharing:
        component["model"]["sharing"] = {"@mtl_sharing": "spacy_mtl.Adapters.v1", "width": 24} | method.sharing
    config["paths"]["corpora"] = str(folder)
    config["system"]["seed"] = run.seed
    config["training"]["max_steps"] = run.steps
    config["training"]["eval_frequency"] = max(run.steps // 6, 1)
    heads = list(component["heads"])
    tasks = [name for name in heads if name != "domain"]
    learned = dict.fromkeys(sources, heads) | ({run.target: ["domain"]} if method.unlabelled else {})
    scored = dict.fromkeys(sources, heads) | {run.target: heads if method.unlabelled else tasks}
    set_corpora(config["corpora"]["train"], learned, "train")
    set_corpora(config["corpora"]["dev"], scored, "dev")
    names = CHOSEN_BY[run.task]
    weights = {f"{source}/{name}": 1 / len(sources) / len(names) for source in sources for name in names}
    weights |= {f"{run.target}/{name}": 0.0 for name in names}
    if method.max_lambda is not None:
        weights["domain_acc"] = 0.0
    config["training"]["score_weights"] = weights
    n_words = {name: count_words(folder / name / "train.spacy") for name in learned}
    labelled = sum(n_words[name] for name in sources)
    config["training"]["batcher"]["size"] = round(WORDS * sum(n_words.values()) / labelled)
    return config


def use_nlupp_heads(component: Any) -> None:
    """Any number of intents, and slots, in place of parts of speech and entities."""
    heads = component["heads"]
    intents = {"@mtl_heads": "spacy_mtl.DocClassifier.v1", "exclusive": False}
    component["heads"] = {"intents": intents, "slots": heads["ents"], "domain": heads["domain"]}
    component["weighting"]["weights"] = dict.fromkeys(component["heads"], 1.0)


def set_corpora(reader: Any, heads: dict[str, list[str]], split: str) -> None:
    """Give the reader these corpora, each with the heads that may use it, with the settings of its first one."""
    section = next(iter(reader["corpora"].values()))
    reader["corpora"] = {name: deepcopy(section) | {"heads": names} for name, names in heads.items()}
    for name, corpus in reader["corpora"].items():
        corpus["reader"] = corpus["reader"] | {"path": f"${{paths.corpora}}/{name}/{split}.spacy"}


def count_words(path: Path) -> int:
    """Tokens of a file."""
    return sum(len(doc) for doc in DocBin().from_disk(path).get_docs(spacy.blank("en").vocab))


def test_ewt(nlp: spacy.Language, folder: Path, domains: list[str], target: str) -> dict[str, float]:
    """Scores on the held-out genre, and on the others together."""
    sections = {name: {"reader": Corpus(folder / name / "test.spacy")} for name in domains}
    rows = nlp.evaluate(list(make_multi_corpus_v1(sections)(nlp)))
    scores = {name: rows[f"{target}/{name}"] for name in TASKS["ewt"]}
    sources = [name for name in domains if name != target]
    own = {f"sources_{name}": statistics.mean(rows[f"{source}/{name}"] for source in sources) for name in scores}
    return scores | own


def test_nlupp(nlp: spacy.Language, folder: Path, domains: list[str], target: str) -> dict[str, float]:
    """Micro F on the labels that the target shares with the source that the pipeline has learned."""
    golds = {name: list(DocBin().from_disk(folder / name / "test.spacy").get_docs(nlp.vocab)) for name in domains}
    trained = list(DocBin().from_disk(folder / target / "train.spacy").get_docs(nlp.vocab))
    heads: Any = nlp.get_pipe("multitask").heads  # type: ignore[attr-defined]
    intents = set(heads["intents"].labels) & {key for doc in trained for key in doc.cats}
    slots = set(heads["slots"].labels) & {ent.label_ for doc in trained for ent in doc.ents}
    scores = {"shared_intents": len(intents) / 100, "shared_slots": len(slots) / 100}
    for name, prefix in ((target, ""), *((name, "sources_") for name in domains if name != target)):
        docs = list(nlp.pipe(Doc(nlp.vocab, words=[token.text for token in doc]) for doc in golds[name]))
        found = [positive(doc, intents, slots) for doc in docs]
        gold = [positive(doc, intents, slots) for doc in golds[name]]
        for kind, place in (("intents_f", 0), ("slots_f", 1)):
            scores[prefix + kind] = micro_f([pair[place] for pair in found], [pair[place] for pair in gold])
    return scores


def positive(doc: Doc, intents: set[str], slots: set[str]) -> tuple[set[Any], set[Any]]:
    """The doc's intents, and its slots with their places, that are among the labels."""
    chosen = {key for key, value in doc.cats.items() if value >= THRESHOLD and key in intents}
    return chosen, {(ent.start, ent.end, ent.label_) for ent in doc.ents if ent.label_ in slots}


def micro_f(found: list[set[Any]], gold: list[set[Any]]) -> float:
    """F1 over everything in all docs."""
    right = sum(len(mine & theirs) for mine, theirs in zip(found, gold, strict=True))
    return 2 * right / max(sum(map(len, found)) + sum(map(len, gold)), 1)


def table(rows: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    """A markdown table: for each method and target mean ± standard deviation over seeds, and the mean over targets."""
    targets = list(dict.fromkeys(row["target"] for row in rows))
    columns = [*names, *(f"sources_{name}" for name in names)]
    lines = [f"| method | held out | runs | {' | '.join(columns)} |", "|---" * (len(columns) + 3) + "|"]
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        for target in targets:
            group = [row for row in own if row["target"] == target]
            if group:
                cells = [spread([row[name] for row in group]) for name in columns]
                lines.append(f"| {method} | {target} | {len(group)} | {' | '.join(cells)} |")
        if len(targets) > 1:
            cells = [f"{statistics.mean(row[name] for row in own):.2f}" for name in columns]
            lines.append(f"| {method} | mean | {len(own)} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
