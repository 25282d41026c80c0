"""Rates of the parts that users wait for, each beside a bare SimPy loop timed in the same run."""
