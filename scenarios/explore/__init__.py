"""The page of a sweep: one offline HTML file to look for the best compromises in."""

from scenarios.explore.page import write_page

__all__ = ["write_page"]
