"""A small Mixture-of-Experts language model of our own, to have real routing without a download."""
