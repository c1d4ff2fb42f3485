"""Joins facts and prediction functions into one estimate: defaults, checks, memory, time, money."""
