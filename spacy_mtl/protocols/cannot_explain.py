"""The error for what can't be explained."""


class CannotExplain(ValueError):
    """What was asked for can't be explained: the fault is in the question, and the message is for whoever asked."""
