"""Pretraining: configuration, preflight, the Lightning module, checkpoints, stopping and going on."""
