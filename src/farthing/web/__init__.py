"""The page: questions answered in a browser, and the JSON API behind it."""
