"""Which hardware: complete builds and rentals, what they do and what they cost."""
