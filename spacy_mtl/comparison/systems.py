"""Which systems a comparison trains: all heads together, each alone, and on request pairs and all but one."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations

from ..experiments.companions import companions
from ..protocols.head import Head

JOINT = "joint"


@dataclass(frozen=True)
class System:
    """Heads that are trained together.

    name (str): "joint", "intent alone", "intent+slots", "without intent".
    tasks (tuple[str, ...]): The heads that it is judged by.
    alone_with (tuple[str, ...]): More heads, which these cannot do without.
    heads (tuple[str, ...]): All its heads, in the order of the config.
    """

    name: str
    tasks: tuple[str, ...]
    alone_with: tuple[str, ...]
    heads: tuple[str, ...]


def find_tasks(heads: Mapping[str, Head]) -> tuple[str, ...]:
    """The heads that a comparison is about. A head without a main score, such as a domain adversary, serves others."""
    return tuple(key for key, head in heads.items() if head.main_score is not None)


def joint_system(heads: Mapping[str, Head]) -> System:
    """All heads together."""
    tasks = find_tasks(heads)
    return System(JOINT, tasks, tuple(key for key in heads if key not in tasks), tuple(heads))


def alone(heads: Mapping[str, Head], task: str, *, detach: bool) -> System:
    """One head, with those that it needs."""
    return make_system(heads, f"{task} alone", (task,), detach=detach)


def make_system(heads: Mapping[str, Head], name: str, tasks: tuple[str, ...], *, detach: bool) -> System:
    """Some heads, with those that they need."""
    needed = companions(heads, tasks, detach=detach)
    return System(name, tasks, needed, tuple(key for key in heads if key in {*tasks, *needed}))


def pairs(heads: Mapping[str, Head], *, detach: bool) -> Iterator[System]:
    """Each two tasks that need no other one, if there are more than two."""
    tasks = find_tasks(heads)
    for one, other in combinations(tasks, 2) if len(tasks) > 2 else ():
        system = make_system(heads, f"{one}+{other}", (one, other), detach=detach)
        if not set(system.alone_with) & set(tasks):
            yield system


def leave_one_out(heads: Mapping[str, Head], *, detach: bool) -> Iterator[System]:
    """All heads but one, if there are more than two tasks. A task that another needs is never left out."""
    tasks = find_tasks(heads)
    for task in tasks if len(tasks) > 2 else ():
        rest = tuple(key for key in heads if key != task)
        needed = companions(heads, rest, detach=detach)
        if task not in needed:
            judged = tuple(key for key in tasks if key != task)
            yield System(f"without {task}", judged, tuple(key for key in rest if key not in judged), rest)
