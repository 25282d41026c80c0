"""What strategies are built from: placements, rules for misses, exchanges, caches, queues."""
