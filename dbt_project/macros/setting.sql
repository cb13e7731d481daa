{#- The value of a setting: the command line's, else the source's default, else the default. A null is a value. -#}
{% macro setting(name) %}
    {%- set defaults = var('defaults') -%}
    {%- if name not in defaults -%}
        {{ exceptions.raise_compiler_error("no setting named " ~ name ~ ": see vars in dbt_project.yml") }}
    {%- endif -%}
    {%- set by_source = var('source_defaults').get(var('source'), {}) -%}
    {{ return(var(name, by_source.get(name, defaults[name]))) }}
{% endmacro %}


{#-
    The same as SQL: `setting_sql('top_k', 'integer')` becomes `cast(20 as integer)`. Only numbers, booleans and null;
    a number must lie between `least` and `most`, where they are given.
-#}
{% macro setting_sql(name, type, least=none, most=none) %}
    {%- set value = setting(name) -%}
    {%- if value is number and (least is not none and value < least or most is not none and value > most) -%}
        {%- set limits = "at least " ~ least if most is none else "from " ~ least ~ " to " ~ most -%}
        {{ exceptions.raise_compiler_error("the setting " ~ name ~ " must be " ~ limits ~ ", got " ~ value) }}
    {%- endif -%}
    {%- if value is none -%}
        {{ return("cast(null as " ~ type ~ ")") }}
    {%- elif value is number or value is boolean -%}
        {{ return("cast(" ~ (value | string | lower) ~ " as " ~ type ~ ")") }}
    {%- else -%}
        {{ exceptions.raise_compiler_error("the setting " ~ name ~ " must be a number, a boolean or null, got " ~ value) }}
    {%- endif -%}
{% endmacro %}


{#- A text as SQL: in quotes, and quotes inside doubled. -#}
{% macro quoted(text) %}
    {{- return("'" ~ (text | replace("'", "''")) ~ "'") -}}
{% endmacro %}


{#- A setting that is a list of texts, as a list of DuckDB. Ids that look like numbers need quotes in YAML. -#}
{% macro setting_list(name) %}
    {%- set value = setting(name) -%}
    {%- set texts = [] -%}
    {%- if value is string or value is mapping or value is not sequence -%}
        {{ exceptions.raise_compiler_error("the setting " ~ name ~ " must be a list of texts, got " ~ value) }}
    {%- endif -%}
    {%- for text in value -%}
        {%- if text is not string -%}
            {{ exceptions.raise_compiler_error("the setting " ~ name ~ " must hold texts: put " ~ text ~ " in quotes") }}
        {%- endif -%}
        {%- do texts.append(quoted(text)) -%}
    {%- endfor -%}
    {{- return("cast([" ~ texts | join(", ") ~ "] as varchar[])") -}}
{% endmacro %}


{#- A setting that is a mapping of texts to factors above 0, as a map of DuckDB. -#}
{% macro setting_factors(name) %}
    {%- set value = setting(name) -%}
    {%- set keys, factors = [], [] -%}
    {%- if value is not mapping -%}
        {{ exceptions.raise_compiler_error("the setting " ~ name ~ " must be a mapping of text to factor, got " ~ value) }}
    {%- endif -%}
    {%- for key, factor in value.items() -%}
        {%- if key is not string -%}
            {{ exceptions.raise_compiler_error("the setting " ~ name ~ " must hold texts: put " ~ key ~ " in quotes") }}
        {%- elif factor is boolean or factor is not number or not (factor > 0 and factor <= 1000000) -%}
            {{ exceptions.raise_compiler_error(
                "the setting " ~ name ~ " must hold factors above 0, at most 1000000; " ~ key ~ " has " ~ factor
            ) }}
        {%- endif -%}
        {%- do keys.append(quoted(key)) -%}
        {%- do factors.append(factor | string) -%}
    {%- endfor -%}
    {{- return("map(cast([" ~ keys | join(", ") ~ "] as varchar[]), cast([" ~ factors | join(", ") ~ "] as double[]))") -}}
{% endmacro %}


{#- The setting event_type_weights as rows of `values`, after one row of nulls. -#}
{% macro given_event_weights() -%}
    values
    (cast(null as varchar), cast(null as decimal(18, 6)))
    {%- for event_type, weight in setting('event_type_weights').items() %},
    ('{{ event_type | replace("'", "''") }}', cast({{ weight | float }} as decimal(18, 6)))
    {%- endfor %}
{%- endmacro %}
