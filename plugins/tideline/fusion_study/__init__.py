"""What fusion is worth on a home's own data: gates, and the hypotheses about the two windows; see `bench-fusion`."""
