"""What a person asks for and gets back: scenario files, presets, runs, reports, the command line."""
