"""The report: one offline HTML file that says which strategy wins, by how much, and why."""

from scenarios.report.page import write_report

__all__ = ["write_report"]
