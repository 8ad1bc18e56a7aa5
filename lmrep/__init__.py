"""What the layers of a language model hold of an image: the article's experiments, rebuilt."""
