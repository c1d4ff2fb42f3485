"""Tests of farthing; a package, so that no other of the name stands in for it."""
