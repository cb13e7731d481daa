"""What the benchmarks of whole runs make and measure: generated shops, homes grown from small ones, timed runs."""
