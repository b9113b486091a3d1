"""The nouns: instrument, order, position, session."""
