"""How the database's tables came to their present form: Alembic's scripts, one to a change, and what runs them."""
