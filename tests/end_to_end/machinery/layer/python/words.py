"""Business Unit: tests | Status: current.

Errors and a word that only the layer carries.
"""


class TransientFault(Exception):
    """Worth another try."""


class Refused(Exception):
    """Worth none."""


WORD = "layered"
