"""Published measurements, and what is predicted for each of them."""
