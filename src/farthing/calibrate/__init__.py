"""Fits the constants of the catalogue's efficiency tables to measurements; never runs at prediction time."""
