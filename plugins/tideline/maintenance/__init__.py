"""What keeps a home fit for years: compaction, retention, backup and restore. Nothing here decides a result."""
