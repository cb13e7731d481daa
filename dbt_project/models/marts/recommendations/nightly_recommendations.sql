{{ layer('nightly') }}
