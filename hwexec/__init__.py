"""Runs a Schedule on this computer and gives its measured Timeline."""
