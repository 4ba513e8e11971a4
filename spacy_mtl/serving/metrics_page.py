"""Counters of a server, as text in the format of Prometheus."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

# Upper bounds of the histogram, in seconds.
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass
class Histogram:
    """How long requests took."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    total: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a request."""
        self.counts[bisect_left(BUCKETS, seconds)] += 1
        self.total += seconds


@dataclass
class ServerMetrics:
    """What has been counted since the start.

    requests (Counter): By path and status.
    docs, batches (Counter): By pipeline.
    durations (dict[str, Histogram]): By path.
    queues (Mapping[str, Callable]): How many texts wait now, by pipeline.
    in_progress (int): How many requests have come and are not answered yet.
    """

    requests: Counter[tuple[str, int]] = field(default_factory=Counter)
    docs: Counter[str] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    durations: dict[str, Histogram] = field(default_factory=dict)
    queues: Mapping[str, Callable[[], int]] = field(default_factory=dict)
    in_progress: int = 0

    def add_request(self, path: str, status: int, seconds: float) -> None:
        """Count a request."""
        self.requests[path, status] += 1
        self.durations.setdefault(path, Histogram()).add(seconds)

    def add_batch(self, pipeline: str, n_docs: int) -> None:
        """Count a batch that is read."""
        self.batches[pipeline] += 1
        self.docs[pipeline] += n_docs

    def as_text(self) -> str:
        """The page."""
        return "\n".join([*self._lines(), ""])

    def _lines(self) -> Iterator[str]:
        yield from _head("requests_total", "counter", "Requests that were answered, by path and status.")
        for (path, status), number in sorted(self.requests.items()):
            yield f"spacy_mtl_requests_total{_labels(path=path, status=str(status))} {number}"
        yield from _head("errors_total", "counter", "Requests that were answered with a status from 400 on.")
        yield f"spacy_mtl_errors_total {sum(number for (_, status), number in self.requests.items() if status >= 400)}"
        yield from _head("requests_in_progress", "gauge", "Requests that are not answered yet, this one included.")
        yield f"spacy_mtl_requests_in_progress {self.in_progress}"
        yield from _head("docs_total", "counter", "Texts that were read, by pipeline.")
        for name, number in sorted(self.docs.items()):
            yield f"spacy_mtl_docs_total{_labels(pipeline=name)} {number}"
        yield from _head("batches_total", "counter", "Batches that they were read in.")
        for name, number in sorted(self.batches.items()):
            yield f"spacy_mtl_batches_total{_labels(pipeline=name)} {number}"
        yield from _head("queue_length", "gauge", "Texts that wait to be read.")
        for name, count in self.queues.items():
            yield f"spacy_mtl_queue_length{_labels(pipeline=name)} {count()}"
        yield from _head("request_seconds", "histogram", "Time from the headers of a request to the end of its answer.")
        for path, histogram in sorted(self.durations.items()):
            so_far = 0
            for bound, number in zip((*map(str, BUCKETS), "+Inf"), histogram.counts, strict=True):
                so_far += number
                yield f"spacy_mtl_request_seconds_bucket{_labels(path=path, le=bound)} {so_far}"
            yield f"spacy_mtl_request_seconds_sum{_labels(path=path)} {histogram.total:.6f}"
            yield f"spacy_mtl_request_seconds_count{_labels(path=path)} {so_far}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP spacy_mtl_{name} {text}"
    yield f"# TYPE spacy_mtl_{name} {kind}"


def _labels(**values: str) -> str:
    return "{" + ",".join(f'{key}="{_escape(value)}"' for key, value in values.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
