"""The middleware: guarded calls, the command line, records."""
