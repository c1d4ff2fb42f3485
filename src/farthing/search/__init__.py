"""Which plan: every legal one, evaluated in columns and ranked."""
