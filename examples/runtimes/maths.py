# SPDX-License-Identifier: Apache-2.0
"""A toolkit for the examples: its functions become tools, what they say of themselves becomes the schemas."""


class Maths:
    def __init__(self, digits: int = 2):
        self.digits = digits
        self.calls = 0

    def get_tools(self):
        return [self.math_add, self.math_multiply, self.math_calls]

    def math_add(self, a: float, b: float) -> float:
        """Adds two numbers.

        Args:
            a (float): the first
            b (float): the second
        """
        self.calls += 1
        return a + b

    def math_multiply(self, a: float, b: float, digits: int = None) -> float:
        """Multiplies two numbers, rounded."""
        self.calls += 1
        return round(a * b, self.digits if digits is None else digits)

    def math_calls(self) -> int:
        """How often the others were called: the state of a toolkit lasts."""
        return self.calls
