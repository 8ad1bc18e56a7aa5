"""A clock for tests: it moves by itself, so that what happens after some seconds happens after some calls."""


class Ticks:
    """Each call is `seconds` after the one before; the first is at 0."""

    def __init__(self, seconds: float):
        self.seconds, self.calls = seconds, 0

    def __call__(self) -> float:
        self.calls += 1
        return (self.calls - 1) * self.seconds
