"""A service under load: requests, schedulers, cache blocks and passes."""
