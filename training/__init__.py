"""Text to token blocks, the mixture, the Lightning module, schedules, checkpoints, callbacks, the command line."""
