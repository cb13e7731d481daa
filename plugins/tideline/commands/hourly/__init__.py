"""What `make bench-hourly` is made of: a shop that lands files, homes of many users grown from a small one, timed runs."""
