{#- The categories of an item as a list: its category's parts between '|', spaces around them dropped; null of null. -#}
{% macro categories(column) -%}
    list_distinct(list_filter(string_split_regex(trim({{ column }}), ' *[|] *'), part -> part <> ''))
{%- endmacro %}
