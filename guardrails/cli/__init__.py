"""The ``groundrail`` command: the one place of the project that prints."""
