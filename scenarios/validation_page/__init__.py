"""A validation as one offline page: predicted against measured, errors by cause, and both timelines."""

from scenarios.validation_page.collect import Collected
from scenarios.validation_page.page import write_validation

__all__ = ["Collected", "write_validation"]
