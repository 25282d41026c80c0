"""Measures this computer into a Machine file."""
