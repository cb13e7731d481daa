{{ window_behaviour('short') }}
