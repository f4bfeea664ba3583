"""The callbacks of training over a series of checkpoints."""
