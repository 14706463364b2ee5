"""A model while it trains: what formats would do to what flows through it."""
