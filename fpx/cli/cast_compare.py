"""placeholder"""


def cast_compare() -> None:
    """todo"""
