"""What is done to Tideline to see whether it keeps its promises: one module a family of faults.

A family is a function that takes the prepared `ground.Ground` and yields `outcome.Outcome`s; `FAMILIES` in
`tideline.commands.faults` lists them.
"""
