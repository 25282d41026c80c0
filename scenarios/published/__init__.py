"""What papers report, beside what the simulator says of the same setting."""
