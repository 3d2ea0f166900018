"""What can be wrong with the arguments of a call."""


class InvalidArgument(ValueError):
    """A call that cannot become a row: `code` for programs, the message for people.

    Only a client made with `strict=True` raises it; others log the first of each code and count them all.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
