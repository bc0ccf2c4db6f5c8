"""A project's state for people: `status`, `audit` (labels verified and wrong), `catalogue` (all cubes as a table)."""
