"""A callback that runs several callbacks, for slots of spaCy's config that take one."""

from collections.abc import Callable, Mapping
from typing import Any

CallbackT = Callable[..., Any]


def make_callbacks_v1(callbacks: dict[str, Any]) -> CallbackT:
    """Build a callback that runs several callbacks, for any of spaCy's slots: `training.before_update`,
    `training.before_to_disk`, `initialize.before_init`, `initialize.after_init`, `nlp.before_creation` and the like.

    callbacks (dict[str, Callable]): Sections with `@callbacks`, under names of your choice. They run in alphabetical
        order of these names, such as "1_freeze" and "2_save", since spaCy does not keep the order of sections.
    """
    for name, callback in callbacks.items():
        if not callable(callback):
            raise ValueError(
                f"spacy_mtl.Callbacks.v1: {name!r} is {callback!r}, which is no callback; give it a section with "
                "@callbacks"
            )
    return Callbacks(callbacks)


class Callbacks:
    """The callback that runs the others. Each one gets the pipeline that the one before it returned, as spaCy's slots
    for creation and initialisation expect.

    callbacks (dict[str, Callable]): The callbacks, in the order in which they run.
    """

    def __init__(self, callbacks: Mapping[str, CallbackT]) -> None:
        self.callbacks = {name: callbacks[name] for name in sorted(callbacks)}

    def __call__(self, nlp: Any, *args: Any) -> Any:
        """Run the callbacks.

        nlp (Language): The pipeline; for `nlp.before_creation`, its class.
        args (Any): Further arguments of the slot; for `training.before_update`, a dict with "step" and "epoch".
        RETURNS (Language): The result of the last callback, or the pipeline that it got if it returned None.
        """
        for callback in self.callbacks.values():
            result = callback(nlp, *args)
            nlp = nlp if result is None else result
        return nlp
