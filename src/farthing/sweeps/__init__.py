"""Many questions at once: a grid of models, clusters, workloads, plans and prices, answered as a table."""
