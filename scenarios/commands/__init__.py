"""The commands of `moesim`, one a file; each imports what it needs when it runs, so that the command starts fast."""
