"""Alembic migrations of the store. They run when a store is opened; nobody calls them by hand."""
