"""The strategies that come with moesim, one file each."""
