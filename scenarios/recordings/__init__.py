"""Recordings: schedules that hardware has executed, kept so that any later moesim can be asked to predict them."""
