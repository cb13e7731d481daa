"""What `make bench-hourly` is made of: a shop that lands files, homes grown from a small one, timed runs."""
