"""The study of arXiv 2006.10424, reproduced: two populations of networks, and every claim of the paper measured."""
