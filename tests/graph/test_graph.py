"""The graph: what is merged, what is written, and what goes wrong."""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import spacy
from spacy.cli._util import app
from spacy.language import Language
from spacy.tokens import Doc, DocBin, Span
from typer.testing import CliRunner

import spacy_mtl.cli  # noqa: F401  (adds the command to spaCy's app)
from spacy_mtl.graph.build_graph import build_graph
from spacy_mtl.graph.knowledge_graph import KnowledgeGraph, normalize
from spacy_mtl.graph.quotation import quote
from spacy_mtl.relation import Relation, set_relations

WORKS = [("Ada Lovelace", "works_for", "Acme", 0.9), ("Acme", "in", "London", 0.5)]
TYPES = {"Acme": "ORG", "London": "LOC"}


def make_doc(nlp, text, triples, kb=None, types=TYPES):
    """A doc with relations between the first occurrences of these names."""
    doc = nlp.make_doc(text)
    spans = {}
    for name in dict.fromkeys(name for head, _, tail, _ in triples for name in (head, tail)):
        start = text.index(name)
        spans[name] = doc.char_span(start, start + len(name), types.get(name, "PER"), kb_id=(kb or {}).get(name, ""))
    doc.ents = list(spans.values())
    set_relations(doc, [Relation(spans[h], spans[t], label, score) for h, label, t, score in triples])
    return doc


@Language.component("test_relations")
def find_test_relations(doc):
    """PER works_for ORG for any two names of the lists below, with a probability that depends on the text."""
    names = {"Ada": "PER", "ADA": "PER", "Bob": "PER", "Acme": "ORG", "Globex": "ORG"}
    doc.ents = [Span(doc, token.i, token.i + 1, names[token.text]) for token in doc if token.text in names]
    people = [ent for ent in doc.ents if ent.label_ == "PER"]
    score = 0.5 if "maybe" in doc.text else 1.0
    firms = [ent for ent in doc.ents if ent.label_ == "ORG"]
    set_relations(doc, [Relation(person, firm, "works_for", score) for person in people for firm in firms])
    return doc


@pytest.fixture(scope="module")
def nlp():
    nlp = spacy.blank("en")
    nlp.add_pipe("test_relations")
    return nlp


@pytest.fixture(scope="module")
def model(nlp, tmp_path_factory):
    """The pipeline on disk."""
    folder = tmp_path_factory.mktemp("model")
    nlp.to_disk(folder)
    return folder


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "news.txt"
    path.write_text("Ada joined Acme .\n\nADA maybe left Acme .\nBob works for Globex .\nNobody is here .\n")
    return path


def run_cli(*args: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["mtl", "graph", *map(str, args)])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, " ".join(result.output.split())


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf8", newline="") as file:
        return list(csv.DictReader(file))


# What is merged


def test_mentions_are_merged_by_text_and_type(nlp):
    graph = KnowledgeGraph()
    graph.add(make_doc(nlp, "Ada Lovelace of Acme in London .", WORKS), "a")
    graph.add(make_doc(nlp, "ADA  LOVELACE left Acme .", [("ADA  LOVELACE", "works_for", "Acme", 0.7)]), "b")
    graph.add(make_doc(nlp, "Ada Lovelace and London", [("Ada Lovelace", "knows", "London", 1.0)], types={}), "c")
    assert list(graph.nodes) == ["PER:ada lovelace", "ORG:acme", "LOC:london", "PER:london"]
    ada = graph.nodes["PER:ada lovelace"]
    assert (ada.name, ada.type, ada.count, dict(ada.names)) == (
        "Ada Lovelace",
        "PER",
        3,
        {"Ada Lovelace": 2, "ADA LOVELACE": 1},
    )
    edge = graph.edges["PER:ada lovelace", "works_for", "ORG:acme"]
    assert (edge.count, edge.confidence) == (2, pytest.approx(0.8))
    assert [(one.text, one.source, one.score) for one in edge.sentences] == [
        ("Ada Lovelace of Acme in London .", "a", 0.9),
        ("ADA LOVELACE left Acme .", "b", 0.7),
    ]
    assert next(graph.strongest_edges()) is edge
    assert graph.n_docs == 3


def test_names_are_normalized():
    assert normalize("\uff33traße\u00a0 Nr") == normalize("STRASSE  nr") == "strasse nr"


def test_a_linkers_entries_come_first(nlp):
    graph = KnowledgeGraph()
    kb = {"Ada Lovelace": "Q7259", "Acme": "NIL"}
    graph.add(make_doc(nlp, "Ada Lovelace of Acme in London .", WORKS, kb), "a")
    graph.add(make_doc(nlp, "Countess of Acme .", [("Countess", "works_for", "Acme", 1.0)], {"Countess": "Q7259"}), "b")
    assert list(graph.nodes) == ["Q7259", "ORG:acme", "LOC:london"]
    assert graph.nodes["Q7259"].kb_id == "Q7259"
    assert graph.edges["Q7259", "works_for", "ORG:acme"].count == 2


def test_an_entity_linked_after_its_relations_were_found(nlp):
    doc = make_doc(nlp, "Ada Lovelace of Acme in London .", WORKS)
    doc.ents = [Span(doc, ent.start, ent.end, ent.label_, kb_id=f"Q{ent.start}") for ent in doc.ents]
    graph = KnowledgeGraph()
    graph.add(doc, "a")
    assert list(graph.nodes) == ["Q0", "Q3", "Q5"]


def test_overlapping_entities_are_nodes_of_their_own(nlp):
    doc = nlp.make_doc("University of London")
    doc.ents = [Span(doc, 0, 3, "ORG")]
    doc.spans["entities"] = [Span(doc, 0, 3, "ORG"), Span(doc, 2, 3, "LOC")]
    set_relations(doc, [Relation(Span(doc, 0, 3, "ORG"), Span(doc, 2, 3), "in", 1.0)])
    graph = KnowledgeGraph()
    graph.add(doc, "a")
    assert {node.id: node.count for node in graph.nodes.values()} == {"ORG:university of london": 1, "LOC:london": 1}


def test_sentences_are_capped_and_the_most_probable_stay(nlp):
    graph = KnowledgeGraph(max_sentences=2)
    for number, score in enumerate([0.2, 0.9, 0.1, 0.5, 0.9]):
        text = f"Ada Lovelace of Acme {number if number < 4 else 1}"
        graph.add(make_doc(nlp, text, [("Ada Lovelace", "works_for", "Acme", score)]), str(number))
    (edge,) = graph.edges.values()
    assert edge.count == 5
    assert [one.source for one in edge.sentences] == ["1", "3"]


def test_both_directions_of_a_symmetric_label_are_one_edge(nlp):
    one = make_doc(nlp, "Ada married Bob of Acme.", [("Ada", "married_to", "Bob", 0.9), ("Bob", "of", "Acme", 0.8)])
    other = make_doc(nlp, "Bob married Ada.", [("Bob", "married_to", "Ada", 0.7)])
    plain, merged = KnowledgeGraph(), KnowledgeGraph(symmetric=["married_to"])
    for graph in (plain, merged):
        graph.add(one, "one")
        graph.add(other, "other")
    assert {key: edge.count for key, edge in plain.edges.items() if edge.label == "married_to"} == {
        ("PER:ada", "married_to", "PER:bob"): 1,
        ("PER:bob", "married_to", "PER:ada"): 1,
    }
    assert list(merged.edges) == [("PER:ada", "married_to", "PER:bob"), ("PER:bob", "of", "ORG:acme")]
    (edge, _) = merged.part(min_count=1).edges.values()
    assert (edge.count, edge.confidence) == (2, pytest.approx(0.8))
    assert [sentence.text for sentence in edge.sentences] == [one.text, other.text]


def test_relations_of_unknown_label_are_left_out(nlp):
    graph = KnowledgeGraph()
    graph.add(make_doc(nlp, "Ada Lovelace of Acme", [("Ada Lovelace", "", "Acme", 1.0)]), "a")
    assert (len(graph.nodes), len(graph.edges)) == (2, 0)


def test_quotations_are_sentences(nlp):
    doc = Doc(nlp.vocab, words=["One", ".", "Ada", "\n", "Bob", ".", "Two"], sent_starts=[1, 0, 1, 0, 0, 0, 1])
    assert quote(doc[2:3], doc[4:5]) == "Ada Bob ."
    assert quote(doc[0:1], doc[4:5]) == "One . Ada Bob ."


def test_quotations_of_long_docs_are_cut(nlp):
    doc = Doc(nlp.vocab, words=[f"w{i}" for i in range(1000)])
    assert quote(doc[500:501], doc[498:499]) == f"… {' '.join(f'w{i}' for i in range(468, 531))} …"
    text = quote(doc[10:11], doc[990:991])
    assert len(text) <= 605
    assert text.startswith("w0 w1")
    assert text.endswith("w999")


# Files


def test_texts_are_streamed(nlp, tmp_path):
    """Docs are read while earlier ones are already in the graph."""
    path = tmp_path / "long.txt"
    path.write_text("Ada joined Acme .\n" * 1000)
    seen = []

    class Watching(KnowledgeGraph):
        def add(self, doc, source, **settings):
            super().add(doc, source, **settings)
            seen.append(made[-1])

    made = []
    tokenizer = nlp.tokenizer
    nlp = spacy.blank("en")
    nlp.add_pipe("test_relations")
    nlp.tokenizer = lambda text: made.append(len(made)) or tokenizer(text)
    graph = build_graph(nlp, [path], Watching())
    assert (graph.n_docs, len(graph.edges)) == (1000, 1)
    assert max(number - place for place, number in enumerate(seen)) <= 2 * nlp.batch_size


def test_all_kinds_of_texts(nlp, texts, tmp_path):
    folder = tmp_path / "more"
    folder.mkdir()
    (folder / "a.jsonl").write_text(json.dumps({"text": "Ada joined Globex"}))
    gold = nlp("Bob joined Acme")
    set_relations(gold, [])
    DocBin(docs=[gold], store_user_data=True).to_disk(folder / "b.spacy")
    graph = build_graph(nlp, [texts, folder], KnowledgeGraph())
    assert graph.n_docs == 6
    assert set(graph.edges) == {
        (f"PER:{p}", "works_for", f"ORG:{o}") for p in ("ada", "bob") for o in ("acme", "globex")
    }
    sources = [one.source for edge in graph.edges.values() for one in edge.sentences]
    assert sources == ["news.txt, text 1", "news.txt, text 2", "news.txt, text 3", "a.jsonl, text 1", "b.spacy, text 1"]


def test_csv(model, texts, tmp_path):
    code, output = run_cli(model, texts, "-o", tmp_path / "out" / "kg.csv")
    assert code == 0, output
    assert "4 texts, 4 entities, 2 relations" in output
    assert output.endswith("kg.csv")
    first, second = table(tmp_path / "out" / "kg.csv")
    assert first == {
        "head": "Ada",
        "head_type": "PER",
        "head_id": "PER:ada",
        "label": "works_for",
        "tail": "Acme",
        "tail_type": "ORG",
        "tail_id": "ORG:acme",
        "confidence": "0.7500",
        "count": "2",
        "sentences": "Ada joined Acme .\nADA maybe left Acme .",
    }
    assert second["head"] == "Bob"
    assert [file.name for file in (tmp_path / "out").iterdir()] == ["kg.csv"]


def test_thresholds(model, texts, tmp_path):
    output = tmp_path / "kg.csv"
    assert run_cli(model, texts, "-o", output, "--min-count", 2)[0] == 0
    assert [row["head"] for row in table(output)] == ["Ada"]
    assert run_cli(model, texts, "-o", output, "--min-confidence", 0.8)[0] == 0
    assert [row["head"] for row in table(output)] == ["Bob"]
    assert run_cli(model, texts, "-o", output, "--sentences", 0)[0] == 0
    assert [row["sentences"] for row in table(output)] == ["", ""]
    code, printed = run_cli(model, texts, "-o", output, "--min-count", 3)
    assert code == 1
    assert "none of 2 relations reaches both" in printed
    assert "the highest count is 2, the highest confidence 1.00" in printed
    assert len(table(output)) == 2


def test_json_is_read_by_networkx(model, texts, tmp_path):
    networkx = pytest.importorskip("networkx")
    texts.write_text(texts.read_text() + "Ada and Bob .\n")
    assert run_cli(model, texts, "-o", tmp_path / "kg.json", "--all-entities")[0] == 0
    data = json.loads((tmp_path / "kg.json").read_text(encoding="utf8"))
    graph = networkx.node_link_graph(data, edges="edges")
    assert graph.is_directed()
    assert graph.is_multigraph()
    assert graph.nodes["PER:ada"] == {
        "name": "Ada",
        "type": "PER",
        "kb_id": "",
        "count": 3,
        "names": {"Ada": 2, "ADA": 1},
    }
    edge = graph.edges["PER:ada", "ORG:acme", "works_for"]
    assert (edge["count"], edge["confidence"], len(edge["sentences"])) == (2, 0.75, 2)
    assert edge["sentences"][1] == {"text": "ADA maybe left Acme .", "source": "news.txt, text 2", "score": 0.5}
    assert graph.graph == {"texts": 5, "max_sentences": 5}


def test_graphml_is_read_by_networkx(nlp, tmp_path):
    networkx = pytest.importorskip("networkx")
    from spacy_mtl.graph.graph_files import write_graph

    graph = KnowledgeGraph()
    text = 'Ada <b>&"\x0b\ufffe" \U0001f600 of Acme in London .'
    graph.add(make_doc(nlp, f"Ada Lovelace {text}", [*WORKS, ("Ada Lovelace", "owns", "Acme", 1.0)]), "a")
    write_graph(graph, tmp_path / "kg.graphml")
    read = networkx.read_graphml(tmp_path / "kg.graphml", force_multigraph=True)
    assert read.nodes["PER:ada lovelace"] == {
        "label": "Ada Lovelace",
        "type": "PER",
        "kb_id": "",
        "count": 1,
        "names": "Ada Lovelace",
    }
    edges = {(head, values["label"], tail): values for head, tail, values in read.edges(data=True)}
    assert set(edges) == set(graph.edges)
    assert edges["PER:ada lovelace", "works_for", "ORG:acme"]["confidence"] == 0.9
    assert "\U0001f600" in edges["PER:ada lovelace", "owns", "ORG:acme"]["sentences"]
    ids = [key for _, _, key in read.edges(keys=True)]
    assert len(set(ids)) == 3


def test_turtle_is_read_by_rdflib(nlp, tmp_path):
    rdflib = pytest.importorskip("rdflib")
    from spacy_mtl.graph.graph_files import write_graph

    graph = KnowledgeGraph(namespace="https://example.org/kg/")
    kb = {"Acme": "https://www.wikidata.org/entity/Q1", "London": "Q84"}
    triples = [("Ada “x” Lovelace", "works for/…", "Acme", 0.9), ("Acme", "in", "London", 0.5)]
    graph.add(make_doc(nlp, "Ada “x” Lovelace of Acme \\ in \x00 London .", triples, kb), "a")
    write_graph(graph, tmp_path / "kg.ttl")
    read = rdflib.Graph().parse(tmp_path / "kg.ttl")
    acme, london = (
        rdflib.URIRef("https://www.wikidata.org/entity/Q1"),
        rdflib.URIRef("https://example.org/kg/entity/Q84"),
    )
    assert (acme, rdflib.URIRef("https://example.org/kg/relation/in"), london) in read
    assert read.value(acme, rdflib.RDF.type) == rdflib.URIRef("https://example.org/kg/type/ORG")
    assert str(read.value(london, rdflib.RDFS.label)) == "London"
    (person,) = read.subjects(rdflib.RDF.type, rdflib.URIRef("https://example.org/kg/type/PER"))
    assert str(read.value(person, rdflib.RDFS.label)) == "Ada “x” Lovelace"
    statements = {
        str(read.value(one, rdflib.RDF.object)): one for one in read.subjects(rdflib.RDF.type, rdflib.RDF.Statement)
    }
    own = rdflib.Namespace("https://example.org/kg/")
    statement = statements[str(acme)]
    assert read.value(statement, own["confidence"]).toPython() == pytest.approx(0.9)
    assert read.value(statement, own["count"]).toPython() == 1
    assert str(read.value(statement, own["sentence"])) == "Ada “x” Lovelace of Acme \\ in \x00 London ."


# What goes wrong


def test_a_pipeline_without_relations(texts, tmp_path):
    nlp = spacy.blank("en")
    nlp.add_pipe("sentencizer")
    nlp.to_disk(tmp_path / "model")
    code, output = run_cli(tmp_path / "model", texts, "-o", tmp_path / "kg.csv")
    assert code == 1
    assert "the pipeline writes no relations: after its components sentencizer, the first text has no" in output
    assert "doc.spans['relations']" in output
    assert not (tmp_path / "kg.csv").exists()


def test_no_relation_is_found(model, tmp_path):
    (tmp_path / "a.txt").write_text("Nobody is here .\nAda is .\n")
    code, output = run_cli(model, tmp_path / "a.txt", "-o", tmp_path / "kg.csv")
    assert (code, "no relation was found in 2 texts, with 1 entities" in output) == (1, True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", "\n \n", "there is no text in"),
        ("a.txt", None, "no such file or folder"),
        ("a.csv", "text", "has the suffix '.csv', expected one of .txt, .jsonl, .spacy"),
        ("a.jsonl", '{"text": "Ada"}\n{"body": "Ada"}', "line 2: expected an object with a string"),
        ("a.spacy", "x", "is no complete .spacy file"),
    ],
)
def test_broken_input_leaves_the_output(model, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_text(content)
    output = tmp_path / "kg.csv"
    output.write_text("older")
    code, printed = run_cli(model, tmp_path / name, "-o", output)
    assert code == 1, printed
    assert message in printed
    assert "UnlabelledCorpus" not in printed
    assert output.read_text() == "older"
    assert not list(tmp_path.glob(".kg*"))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("kg.xml", "has the suffix '.xml', expected one of .graphml, .json, .ttl, .csv, .html"),
        ("kg", "has the suffix ''"),
        ("folder.csv", "folder.csv is a folder; name a file"),
        ("news.txt/kg.csv", "news.txt"),
    ],
)
def test_output_is_checked_first(texts, tmp_path, name, message):
    (tmp_path / "folder.csv").mkdir()
    code, output = run_cli("no_such_model", texts, "-o", tmp_path / name)
    assert (code, message in output) == (1, True), output
    assert "no_such_model" not in output


def test_an_input_is_never_replaced(model, tmp_path):
    (tmp_path / "a.json").write_text("{}")
    code, output = run_cli(model, tmp_path / "a.json", "-o", tmp_path / "a.json")
    assert (code, "is one of the texts; name another file" in output) == (1, True)
    assert (tmp_path / "a.json").read_text() == "{}"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_is_not_writable(texts, tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    code, output = run_cli("no_such_model", texts, "-o", tmp_path / "closed" / "kg.csv")
    assert (code, "Permission denied" in output) == (1, True)


@pytest.mark.parametrize(("suffix", "package"), [(".json", "networkx"), (".graphml", "networkx"), (".ttl", "rdflib")])
def test_a_missing_package_is_named_before_anything_runs(tmp_path, suffix, package):
    script = (
        "import sys; sys.modules[sys.argv[1]] = None\n"
        "from pathlib import Path\nfrom spacy_mtl.graph.graph_files import check_graph_file\n"
        "check_graph_file(Path(sys.argv[2]))"
    )
    command = [sys.executable, "-c", script, package, str(tmp_path / f"kg{suffix}")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert f"ImportError: {suffix} files need {package}" in done.stderr
    assert done.stderr.strip().endswith("pip install 'spacy-mtl[graph]'")
    others = subprocess.run([*command[:-1], str(tmp_path / "kg.html")], capture_output=True, check=False)
    assert others.returncode == 0


def test_help_names_all_suffixes():
    code, output = run_cli("--help")
    assert code == 0
    assert all(suffix in output for suffix in (".html", ".graphml", ".json", ".ttl", ".csv"))
