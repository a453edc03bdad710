# SPDX-License-Identifier: Apache-2.0
"""What the exchanges of api.jsonl were recorded with has this shape."""


class MathToolkit:
    def math_add(self, a: float, b: float) -> float:
        """Adds."""
        return a + b

    def math_subtract(self, a: float, b: float) -> float:
        """Subtracts."""
        return a - b

    def math_multiply(self, a: float, b: float, decimal_places: int = 2) -> float:
        """Multiplies."""
        return round(a * b, decimal_places)

    def math_divide(self, a: float, b: float, decimal_places: int = 2):
        """Divides."""
        return round(a / b, decimal_places) if b else "Error: Cannot divide by zero."

    def math_round(self, a: float, decimal_places: int = 0) -> float:
        """Rounds."""
        return round(a, decimal_places)

    def get_tools(self):
        return [self.math_add, self.math_subtract, self.math_multiply, self.math_divide, self.math_round]
