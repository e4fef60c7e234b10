"""The one exception for input that a user can mend."""


class InputError(ValueError):
    """Input that cannot be used: the message says what was given, what was expected and the way out.

    The command line prints the message without a traceback and ends with exit code 1.
    Several problems found at once are one message of several lines, the first of which sums them up.
    """
