{#- The value of a setting: the command line's, else the source's default, else the default. A null is a value. -#}
{% macro setting(name) %}
    {%- set defaults = var('defaults') -%}
    {%- if name not in defaults -%}
        {{ exceptions.raise_compiler_error("no setting named " ~ name ~ ": see vars in dbt_project.yml") }}
    {%- endif -%}
    {%- set by_source = var('source_defaults').get(var('source'), {}) -%}
    {{ return(var(name, by_source.get(name, defaults[name]))) }}
{% endmacro %}


{#- The same as SQL: `setting_sql('top_k', 'integer')` becomes `cast(20 as integer)`. Only numbers, booleans and null. -#}
{% macro setting_sql(name, type) %}
    {%- set value = setting(name) -%}
    {%- if value is none -%}
        {{ return("cast(null as " ~ type ~ ")") }}
    {%- elif value is number or value is boolean -%}
        {{ return("cast(" ~ (value | string | lower) ~ " as " ~ type ~ ")") }}
    {%- else -%}
        {{ exceptions.raise_compiler_error("the setting " ~ name ~ " must be a number, a boolean or null, got " ~ value) }}
    {%- endif -%}
{% endmacro %}


{#- The setting event_type_weights as rows of `values`, after one row of nulls. -#}
{% macro given_event_weights() -%}
    values
    (cast(null as varchar), cast(null as decimal(18, 6)))
    {%- for event_type, weight in setting('event_type_weights').items() %},
    ('{{ event_type | replace("'", "''") }}', cast({{ weight | float }} as decimal(18, 6)))
    {%- endfor %}
{%- endmacro %}
