"""Text to token blocks, and the stream of them that trains."""
