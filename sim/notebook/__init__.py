"""How objects look in a notebook, and to `print`: a title and a few rows of figures."""

from sim.notebook.card import Card, Row, shown

__all__ = ["Card", "Row", "shown"]
