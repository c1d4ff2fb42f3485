"""What is shown: records as text, JSON and derivations. Nothing is computed here but shares."""
