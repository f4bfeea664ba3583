"""The mathematics: activations, probes, experts, overlap, steering, findings, figures. Knows no trainer."""
