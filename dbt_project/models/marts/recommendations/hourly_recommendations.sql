{{ layer('hourly') }}
