"""The certificates of a pool's other hosts, pinned as that of the configured one is."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("pools", sa.Column("pins", sa.JSON(), nullable=False, server_default="{}"))
