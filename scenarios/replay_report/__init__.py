"""The replay's page: one offline HTML file of miss-ratio curves and what the misses are due to."""

from scenarios.replay_report.page import write_replay

__all__ = ["write_replay"]
