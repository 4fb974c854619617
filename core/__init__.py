"""Everything Elenchus does without a window: documents, engine, questions, project file, exchange, command line."""

__version__ = "0.1.0"
