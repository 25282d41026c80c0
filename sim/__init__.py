"""Decides and predicts: a Trace, a Model and a Strategy give a Schedule; a Schedule and a Machine give a Timeline."""
