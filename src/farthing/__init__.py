"""farthing plans where large language models run."""

__version__ = "0.1.0"
