"""What farthing reasons about: frozen records, no input or output."""
