"""What happens under load and under faults: simulations over the cost model."""
