"""Whether checkpoints are sound, and which of a series tell a true trajectory."""
