"""What a server takes, and how it collects requests."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Limits of a server. All are above 0.

    max_body (int): Bytes of a request's body.
    max_texts (int): Texts of a request.
    max_characters (int): Characters of a text.
    max_explained (int): Characters of a text that is explained, which takes many passes.
    max_queue (int): Texts that wait to be read, for each pipeline.
    max_requests (int): Requests in progress.
    timeout (float): Seconds for a request, from its headers to its answer.
    batch_size (int): Texts that are read together.
    batch_delay (float): Seconds that a text waits for others to be read with.
    """

    max_body: int = 1_000_000
    max_texts: int = 256
    max_characters: int = 20_000
    max_explained: int = 2_000
    max_queue: int = 4_096
    max_requests: int = 256
    timeout: float = 30.0
    batch_size: int = 64
    batch_delay: float = 0.003

    def __post_init__(self) -> None:
        """Raise a ValueError for a limit that would let nothing through."""
        if self.max_texts > self.max_queue:
            raise ValueError(
                f"a request may have {self.max_texts} texts, but only {self.max_queue} texts may wait; let more wait, "
                "or fewer be in a request"
            )
