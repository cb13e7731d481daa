"""How a long-term and a short-term vector become one."""
