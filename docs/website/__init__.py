"""The site: pages made from guides, released notebooks and the code, which Sphinx turns into HTML."""
