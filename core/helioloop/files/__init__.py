"""Files on disk: whole or not at all (`atomic`), whose they are (`access`), of a cache (`cache_files`).

CSV tables are in `tables`, `table_header` and `decoding`, names that are safe as paths in `names`.
"""
