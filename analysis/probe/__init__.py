"""Language probes: can one token's hidden state tell which language it belongs to?"""
