"""What can go wrong while bringing up a stack, told in one line."""


class StackError(Exception):
    """The stack cannot be brought up or down; the message is the one line a person reads."""
