"""Many workers: what one host wrote, another finds in an object store. With a local home nothing here is used.

Every stage works in a folder of its own, made of what the stages before it left in the store, and leaves there what it
wrote. Files go there once, under the hash of their content; a *ref* is a small JSON object that lists files, and is
replaced only by whoever has read the present one. So two attempts never share a file, and none sees half of another.
"""

from __future__ import annotations
