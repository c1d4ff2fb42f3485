"""The command line: parses, calls `farthing.api`, shows. One file per command."""
