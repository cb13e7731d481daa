{#- A data test, for warning: every event type has a weight of its own. One row a type that has none. -#}
{% test known_event_types(model) %}
select distinct event_type
from {{ model }}
where not is_known_type
{% endtest %}
