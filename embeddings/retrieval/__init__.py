"""Nearest items by cosine: exact in blocks, or through an index where a measured cost model says that it pays."""

from embeddings.retrieval.cost import index_pays
from embeddings.retrieval.exact import nearest_items

__all__ = ["index_pays", "nearest_items"]
