"""Whether translations are represented alike."""
