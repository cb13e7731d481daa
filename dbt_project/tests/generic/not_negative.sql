{#- A data test: the column has a value of 0 or more in every row. -#}
{% test not_negative(model, column_name) %}
select {{ column_name }}
from {{ model }}
where {{ column_name }} < 0 or {{ column_name }} is null
{% endtest %}
