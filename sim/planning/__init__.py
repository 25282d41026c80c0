"""Planning whole runs compiled: the twins of strategies, each of which plans what the strategy itself would."""
