"""Plans as commands of engines."""
