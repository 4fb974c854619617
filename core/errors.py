"""Errors whose text is written for the person at the keyboard."""


class UserError(Exception):
    """Something the user can understand and act on: says what happened, why, and what to do next."""


class Cancelled(UserError):
    """The user asked for it to stop: no mistake, and nothing to report but that."""


class JobFailed(Exception):
    """A bug in a job. `details` is the child's traceback, for the user to copy."""

    def __init__(self, message: str, details: str) -> None:
        super().__init__(message)
        self.details = details
