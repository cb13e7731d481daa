{{ window_behaviour('long') }}
