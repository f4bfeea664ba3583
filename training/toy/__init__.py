"""The controlled worlds: invented languages whose truth is known."""
